"""The rows of a sheet of a workbook (XLSX), read from any byte at which a row begins."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack, closing
from typing import BinaryIO

from jobs.definition import JobError
from jobs.formats.base import (
    BATCH_LIMIT,
    COLUMN_LIMIT,
    Batch,
    Position,
    Refusal,
    Takes,
    check_names,
    letters,
)
from jobs.formats.cells import Row, Rows
from jobs.formats.markup import BLOCK
from jobs.formats.packed import open_entry, spooled, unpacked_limit
from jobs.formats.sheetxml import AnySheet, PlainSheet, is_plain
from jobs.formats.workbooks import Workbook


class SheetReader:
    """The rows of one sheet, whose first row with values is the header.

    Rows without values are passed over. A position's offset is within the unpacked sheet, and its
    line is the row's number there. Raises JobError for what is no workbook or has no such sheet.
    """

    format = "xlsx"
    keeps_positions = True
    is_guarded = False
    is_sparse = False
    json_columns: Collection[str] = ()

    def __init__(self, file: BinaryIO, sheet: str = "", has_header: bool = True):
        self.takes: Takes | None = None
        limit = unpacked_limit(file.seek(0, 2))
        with ExitStack() as opened:
            self._workbook = Workbook(file)
            opened.enter_context(archive := self._workbook.archive)
            self.sheet = self._workbook.sheet(sheet)
            self.size: int | None = self.sheet.entry.file_size
            self._file = opened.enter_context(spooled(open_entry(archive, self.sheet.entry), limit))
            self._texts = opened.enter_context(closing(self._workbook.texts()))
            self._opening, self._is_plain, self._width = b"", False, COLUMN_LIMIT + 1
            self.seek(Position(0, 0, 1))
            self.header, self.start = self._read_header(has_header)
            self.close = opened.pop_all().close
        self._width = len(self.header)
        self.seek(self.start)

    def said(self) -> str:
        """How the file is read, for people."""
        sheets = len(self._workbook.sheets)
        return f"XLSX, sheet {self.sheet.name!r}" + (f" of {sheets}" if sheets > 1 else "")

    def seek(self, position: Position) -> None:
        """Go on reading at the start of a record."""
        workbook = self._workbook
        self._rows = Rows(self._width, self._texts, workbook.formats, workbook.from_1904)
        self._rows.number = position.line - 1
        self._source: PlainSheet | AnySheet
        if self._is_plain:
            self._source = PlainSheet(self._rows, position.offset)
        else:
            self._source = AnySheet(self._rows, position.offset, self._opening)
        self._file.seek(position.offset)
        self._row = position.row
        self._fault: JobError | None = None

    def batch(self, size: int) -> Batch:
        """Read about `size` records; a batch without records and fault is the end of the file."""
        batch, characters = Batch(), 0
        start = self._position().offset
        while len(batch.rows) < size and self._fill():
            row = self._rows.ready.popleft()
            self._row += 1
            if self.takes is None or self.takes(self._row, row.cells):
                self._add(batch, row)
                characters += row.characters
            if batch.rows and row.offset - start + characters >= BATCH_LIMIT:
                break
        batch.end = self._position()
        batch.fault = None if self._rows.ready else self._fault
        return batch

    def sample(self, count: int) -> list[list[str]]:  # noqa: ARG002 (as of every reader)
        """None: a record is found by those before it."""
        return []

    def read_at(self, positions: list[Position]) -> Batch:
        """Read the single records that start at these positions, in the order given."""
        batch = Batch()
        for position in positions:
            self.seek(position)
            if self._fill():
                self._row += 1
                self._add(batch, self._rows.ready.popleft())
        return batch

    def _add(self, batch: Batch, row: Row) -> None:
        for index, code, message, value in row.faults:
            name = self.header[index] if index < len(self.header) else letters(index)
            batch.refusals.append(Refusal(len(batch.rows), code, message, name, value))
        batch.records.append(row.cells)
        batch.rows.append(self._row)
        batch.lines.append(row.number)
        batch.offsets.append(row.offset)

    def _fill(self) -> bool:
        """Whether there is a row; then the one behind it, whose start is its end, is there too."""
        rows = self._rows
        try:
            while len(rows.ready) < 2 and rows.behind is None and self._fault is None:
                self._read_block()
        except JobError as error:
            self._fault = error
        return bool(rows.ready)

    def _read_block(self) -> None:
        block, rows = self._file.read(BLOCK), self._rows
        rows.characters = 0
        if isinstance(self._source, AnySheet):
            self._source.feed(block)
            if not block:
                rows.behind = self._file.tell()
        elif not self._source.feed(block):
            self._file.seek(self._source.offset)
            self._source = AnySheet(rows, self._source.offset, self._opening)

    def _position(self) -> Position:
        """Where the next row begins, or the rows end."""
        if self._fill():
            row = self._rows.ready[0]
            return Position(row.offset, self._row, row.number)
        return Position(self._rows.behind or self._file.tell(), self._row, self._rows.number + 1)

    def _read_header(self, has_header: bool) -> tuple[list[str], Position]:
        if not self._fill():
            raise self._fault or JobError(
                f"The sheet {self.sheet.name!r} is empty: its first row must name the columns."
            )
        self._file.seek(0)
        self._opening = self._file.read(self._rows.first or 0)
        self._is_plain = is_plain(self._opening)
        row = self._rows.ready[0]
        width = max((at + 1 for at, cell in enumerate(row.cells) if cell), default=0)
        if not has_header:
            check_names(names := [letters(at) for at in range(width)])
            return names, self._position()
        if any(code == "extra_cell" for _, code, _, _ in row.faults):
            raise JobError(f"The sheet has more than {COLUMN_LIMIT} columns, which is the limit.")
        if row.faults:
            column, _, said, _ = row.faults[0]
            raise JobError(f"The header cannot be read at {letters(column)}{row.number}: {said}")
        check_names(names := [cell.strip() for cell in row.cells[:width]])
        self._rows.ready.popleft()
        return names, self._position()
