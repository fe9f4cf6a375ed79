"""CSV files, read from any byte at which a record begins."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from io import StringIO
from itertools import compress
from typing import Any, BinaryIO

from jobs.definition import JobError
from jobs.formats.base import (
    BATCH_LIMIT,
    CELL_LIMIT,
    ENCODING_WORDS,
    Batch,
    Position,
    Takes,
    check_names,
    letters,
)

DELIMITERS = (";", ",", "\t", "|")
DELIMITER_WORDS = {
    ";": "separated by semicolons",
    ",": "separated by commas",
    "\t": "separated by tabs",
    "|": "separated by vertical bars",
}
LINE_LIMIT = 1 << 24  # bytes
SAMPLE_BYTES = 1 << 16
SMALLEST_BLOCK = 64  # records; fewer are read a line at a time
UTF8_MARK = b"\xef\xbb\xbf"
REASONS = {
    "unexpected end of data": "a quote is opened and never closed",
    "field larger than field limit": "a cell has more than a million characters",
    "expected after": "text follows a closing quote; inside a quoted cell, write a quote twice",
    "new-line character": "a line ends in a lone carriage return; end lines with a line feed",
}


class CsvReader:
    """A CSV file of bytes, read in batches, with its header read already.

    Without a delimiter it is the one that splits the header into most names. Without a `quote`
    character cells are taken as they stand. Raises JobError for a header that cannot be used.
    """

    keeps_positions = False

    format = "csv"
    is_guarded = True
    is_sparse = False
    size: int | None = None
    json_columns: Collection[str] = ()

    def __init__(
        self,
        file: BinaryIO,
        delimiter: str = "",
        encoding: str = "utf-8",
        quote: str = '"',
        has_header: bool = True,
    ):
        csv.field_size_limit(CELL_LIMIT)
        self.file = file
        self.encoding = encoding
        self.said_encoding = encoding
        self.quote = quote
        sample = self._first_bytes(SAMPLE_BYTES)
        self._row_bytes = len(sample) / (sample.count(b"\n") or 1)
        self._reader: Any = None
        self.takes: Takes | None = None
        self.delimiter = delimiter or self._guess_delimiter()
        start = len(UTF8_MARK) if sample.startswith(UTF8_MARK) else 0
        self.seek(Position(start, 0, 1))
        self.header = self._read_header(has_header)
        self.start = self._next

    def said(self) -> str:
        """How the file is read, for people."""
        encoding = ENCODING_WORDS.get(self.said_encoding, self.said_encoding)
        separated = DELIMITER_WORDS.get(self.delimiter, f"separated by {self.delimiter!r}")
        return f"CSV in {encoding}, {separated}"

    def seek(self, position: Position) -> None:
        """Go on reading at the start of a record."""
        self._next = position
        self._reader = None

    def batch(self, size: int) -> Batch:
        """Read about `size` records; a batch without records and fault is the end of the file."""
        batch = None
        if size >= SMALLEST_BLOCK and not self.keeps_positions:
            batch = self._read_block(size)
            while batch and not batch.records:  # none of these rows is taken
                self._next = batch.end
                batch = self._read_block(size)
        batch = batch or self._read_lines(size)
        self._next = batch.end
        return batch

    def _read_block(self, size: int) -> Batch | None:
        """Some lines at once, which takes a third of the time; None where each needs a look."""
        start, self._reader = self._next, None
        self.file.seek(start.offset)
        block = self._whole_lines(min(BATCH_LIMIT, int(size * self._row_bytes)))
        if block is None:
            return None
        try:
            text = block.decode(self.encoding)
            records: list[Any] = self._unquoted_lines(text)
            records = records or [cells for cells in self._csv(StringIO(text)) if cells]
        except (UnicodeDecodeError, csv.Error):
            return None
        if not records or "\0" in text or self._widest(records) > len(self.header):
            return None
        self._row_bytes = len(block) / len(records)
        ends = text.count("\n") + (not text.endswith("\n"))
        end = Position(start.offset + len(block), start.row + len(records), start.line + ends)
        rows, records = self._taken(range(start.row + 1, end.row + 1), records)
        is_plain = ends <= end.row - start.row and self._is_plain(text)  # else some within a cell
        return Batch(records, rows, end=end, is_plain=is_plain, has_apostrophes="'" in text)

    def _whole_lines(self, size: int) -> bytes | None:
        """About so many bytes, which end where a line and no cell ends; None where that is far."""
        block = self.file.read(size)
        rest = self.file.readline(LINE_LIMIT)
        if len(block) + len(rest) >= LINE_LIMIT:
            return None
        lines, length = [block, rest], len(block) + len(rest)
        quote = self.quote.encode()
        is_open = bool(quote) and (block.count(quote) + rest.count(quote)) % 2
        while is_open and (line := self.file.readline(LINE_LIMIT)):
            is_open ^= line.count(quote) % 2
            lines.append(line)
            length += len(line)
            if length > 2 * BATCH_LIMIT:
                return None
        return b"".join(lines)

    def _unquoted_lines(self, text: str) -> list[str]:
        """The lines, where nothing is quoted, so that splitting them is enough; else none."""
        end = "\r\n" if "\r" in text else "\n"
        ends = {text.count(letter) for letter in end}
        if (self.quote and self.quote in text) or ends != {text.count(end)}:
            return []
        lines = [line for line in text.split(end) if line]
        return lines if max(map(len, lines), default=0) <= CELL_LIMIT else []

    def _widest(self, records: Sequence[Any]) -> int:
        """The most cells that a record has, or that a line would be split into."""
        if isinstance(records[0], str):
            return max([line.count(self.delimiter) for line in records]) + 1
        return max(map(len, records))

    def _taken(self, rows: Sequence[int], records: list[Any]) -> tuple[list[int], list[list[str]]]:
        """The rows to be taken, and their cells; of the others few are split off."""
        if takes := self.takes:
            flags = takes.among(rows, self._split(records, takes.last + 1))
            rows, records = [*compress(rows, flags)], [*compress(records, flags)]
        return [*rows], self._split(records)

    def _split(self, records: list[Any], cuts: int = -1) -> list[list[str]]:
        """The cells of unquoted lines, after so many cuts with the rest in one."""
        if records and isinstance(records[0], str):
            return [line.split(self.delimiter, cuts) for line in records]
        return records

    def _is_plain(self, text: str) -> bool:
        if "\\" in text or text.count("\r") != text.count("\r\n"):
            return False
        if "\t" not in text:
            return True
        return self.delimiter == "\t" and not (self.quote and self.quote in text)

    def _read_lines(self, size: int) -> Batch:
        batch = Batch()
        if self._reader is None:
            self._reader = self._begin_lines()
        self._suspect = False
        width, start = len(self.header), self._next
        offset, row, line = start
        try:
            for cells in self._reader:
                if len(cells) > width:
                    why = f"it has {len(cells)} cells, but the header has {width} names"
                    batch.fault = _broken(line, why)
                    break
                if cells:
                    row += 1
                if cells and (self.takes is None or self.takes(row, cells)):
                    batch.records.append(cells)
                    batch.rows.append(row)
                    batch.lines.append(line)
                    batch.offsets.append(offset)
                offset = self._offset
                line = self._base + self._reader.line_num
                if len(batch.rows) >= size or (batch.rows and offset - start.offset >= BATCH_LIMIT):
                    break
        except csv.Error as error:
            batch.fault = _broken(line, _why(error))
        batch.end = Position(offset, row, line)
        batch.suspect = self._suspect
        return batch

    def _begin_lines(self) -> Any:
        self.file.seek(self._next.offset)
        self._offset, self._base = self._next.offset, self._next.line
        self._suspect = False
        return self._csv(self._lines())

    def _csv(self, lines: Iterable[str]) -> Any:
        if not self.quote:
            return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE, strict=True)
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote, strict=True)

    def read_at(self, positions: list[Position]) -> Batch:
        """Read the single records that start at these positions, in the order given."""
        batch = Batch()
        for position in positions:
            self.seek(position)
            one = self.batch(1)
            batch.records += one.records
            batch.rows += one.rows
            batch.lines += one.lines
            batch.offsets += one.offsets
            batch.suspect |= one.suspect
        return batch

    def sample(self, count: int) -> list[list[str]]:
        """About so many records from all over the file, pieces of some perhaps."""
        if self.size is None:
            return []
        first, length = self.start.offset, self.size - self.start.offset
        found: list[list[str]] = []
        for number in range(count):
            self.file.seek(first + length * number // count)
            self.file.readline(LINE_LIMIT)
            line = self.file.readline(LINE_LIMIT).decode(self.encoding, "replace")
            with suppress(csv.Error):
                found += self._csv([line])
        return found

    def _lines(self) -> Iterator[str]:
        readline, encoding = self.file.readline, self.encoding
        while line := readline(LINE_LIMIT):
            if len(line) == LINE_LIMIT:
                raise csv.Error(f"a line has more than {LINE_LIMIT:,} bytes")
            self._offset += len(line)
            if b"\0" in line:
                self._suspect = True
            try:
                yield line.decode(encoding)
            except UnicodeDecodeError:
                self._suspect = True
                yield line.decode(encoding, "surrogateescape")

    def _read_header(self, has_header: bool) -> list[str]:
        reader = self._begin_lines()
        try:
            names = [name.strip() for name in next(reader, [])]
        except csv.Error as error:
            raise JobError(f"The header cannot be read: {_why(error)}.") from None
        if not any(names):
            raise JobError("The file is empty: its first line must name the columns.")
        if not has_header:
            check_names(names := [letters(index) for index in range(len(names))])
            return names
        self._check_header(names)
        self._next = Position(self._offset, 0, self._base + reader.line_num)
        return names

    def _check_header(self, names: list[str]) -> None:
        if self._suspect:
            raise JobError(
                f"The header is not text in {ENCODING_WORDS.get(self.encoding, self.encoding)}. "
                "Save the file as UTF-8, or choose the encoding that it has."
            )
        check_names(names)

    def _guess_delimiter(self) -> str:
        first = self._first_bytes(SAMPLE_BYTES).split(b"\n", 1)[0].decode(self.encoding, "replace")
        quote = re.escape(self.quote)
        unquoted = re.sub(f"{quote}[^{quote}]*{quote}", "", first) if quote else first
        return max(DELIMITERS, key=unquoted.count)

    def _first_bytes(self, count: int) -> bytes:
        self.file.seek(0)
        return self.file.read(count)


def _broken(line: int, why: str) -> JobError:
    return JobError(f"The record that begins in line {line} is broken: {why}.")


def _why(error: csv.Error) -> str:
    text = str(error)
    return next((reason for start, reason in REASONS.items() if start in text), text)
