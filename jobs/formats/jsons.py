"""JSON lines and JSON arrays of objects, read from any byte at which an object begins."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from jobs.definition import JobError
from jobs.formats.base import (
    ABSENT,
    BATCH_LIMIT,
    CELL_LIMIT,
    COLUMN_LIMIT,
    Absent,
    Batch,
    Position,
    Refusal,
    Takes,
    check_names,
)
from jobs.formats.jsontext import (
    DECODER,
    RECORD_LIMIT,
    Digits,
    Record,
    Window,
    json_text,
    why_not,
)
from jobs.formats.numbers import plain

MARK = b"\xef\xbb\xbf"
SHOWN = 200  # characters of a record in a warning


class Broken(NamedTuple):
    """What stands in the place of an object: a warning's code and sentence, and the text."""

    code: str
    message: str
    text: str


class JsonReader:
    """What JSON lines and arrays have in common.

    The columns are the keys of all objects, so that a file is read once for them, or with a
    `sample` so many objects only. In `json_columns` lists stay JSON text, elsewhere a list of
    texts is codes with commas. `is_sparse` says that some object lacks keys of others.
    """

    format: str
    keeps_positions = True
    is_guarded = False
    is_sparse = False
    size: int | None = None

    def __init__(self, file: BinaryIO, sample: int | None = None):
        self.file = file
        self.takes: Takes | None = None
        self.json_columns: Collection[str] = ()
        self.start = self._find_start()
        self.header = self._find_columns(sample)
        check_names(self.header)
        self.seek(self.start)

    def said(self) -> str:
        """How the file is read, for people."""
        return {"jsonl": "JSON lines", "json": "a JSON array"}[self.format]

    def seek(self, position: Position) -> None:
        """Go on reading at the start of a record."""
        self._next = position
        self._records = self._read_from(position)

    def batch(self, size: int) -> Batch:
        """Read about `size` records; a batch without records and fault is the end of the file."""
        batch, start = Batch(), self._next
        try:
            while len(batch.rows) < size and (record := next(self._records, None)):
                row = self._next.row + 1
                self._next = Position(record.end, row, record.end_line)
                self._add(batch, record, row)
                if batch.rows and record.end - start.offset >= BATCH_LIMIT:
                    break
        except JobError as fault:
            batch.fault = fault
        batch.end = self._next
        return batch

    def sample(self, count: int) -> list[list[str]]:  # noqa: ARG002 (as of every reader)
        """None: a record is found by those before it."""
        return []

    def read_at(self, positions: list[Position]) -> Batch:
        """Read the single records that start at these positions, in the order given."""
        batch = Batch()
        for position in positions:
            self.seek(position)
            if record := next(self._records, None):
                self._add(batch, record, position.row + 1)
        return batch

    def _add(self, batch: Batch, record: Record, row: int) -> None:
        cells, broken = self._cells(record.value)
        if self.takes and not self.takes(row, cells):
            return
        if broken:
            code, message, text = broken
            batch.refusals.append(Refusal(len(batch.rows), code, message, "", text[:SHOWN]))
        batch.records.append(cells)
        batch.rows.append(row)
        batch.lines.append(record.line)
        batch.offsets.append(record.offset)
        batch.suspect |= record.is_suspect

    def _cells(self, value: Any) -> tuple[list[str], Broken | None]:
        if isinstance(value, Broken):
            return [], value
        if type(value) is not dict:
            return [], Broken("not_object", "The record is no JSON object.", str(value)[:SHOWN])
        try:
            cells = [self._text(name, value.get(name, ABSENT)) for name in self.header]
        except RecursionError:
            return [], Broken("too_deep", "The record is nested too deeply.", "")
        if max(map(len, cells)) > CELL_LIMIT:
            return [], Broken("too_long", "A value has more than a million characters.", "")
        return cells, None

    def _text(self, name: str, value: Any) -> str:
        kind = type(value)
        if kind is str or kind is Absent:
            return value
        if value is None:
            return ""
        if kind is bool:
            return "1" if value else "0"
        if kind is Digits:
            return plain(value)
        if kind is list and name not in self.json_columns and _are_codes(value):
            return ",".join(value)
        return json_text(value)

    def _find_columns(self, sample: int | None) -> list[str]:
        columns: dict[str, None] = {}
        fewest = COLUMN_LIMIT
        for record in islice(self._read_from(self.start), sample):
            if type(record.value) is not dict:
                continue
            fewest = min(fewest, len(record.value))
            if not record.value.keys() <= columns.keys():
                columns |= dict.fromkeys(record.value)
                if len(columns) > COLUMN_LIMIT:
                    raise JobError(
                        f"The objects up to line {record.line} have {len(columns)} different "
                        f"keys; at most {COLUMN_LIMIT} columns are read."
                    )
        if not columns:
            raise JobError(f"The file is read as {self.said()} and has no object with keys.")
        self.is_sparse = fewest < len(columns)
        return list(columns)

    def _find_start(self) -> Position:
        self.file.seek(0)
        return Position(len(MARK) if self.file.read(len(MARK)) == MARK else 0, 0, 1)

    def _read_from(self, position: Position) -> Iterator[Record]:
        raise NotImplementedError


class JsonLinesReader(JsonReader):
    """A JSON object in each line. A broken line costs one row."""

    format = "jsonl"

    def _read_from(self, position: Position) -> Iterator[Record]:
        offset, _, number = position
        self.file.seek(offset)
        while line := self.file.readline(RECORD_LIMIT):
            if len(line) == RECORD_LIMIT:
                raise JobError(f"Line {number} has more than {RECORD_LIMIT:,} bytes.")
            end = offset + len(line)
            if not line.isspace():
                text, is_suspect = _decoded(line)
                yield Record(offset, number, _parsed(text), end, number + 1, is_suspect)
            offset, number = end, number + 1


class JsonArrayReader(JsonReader):
    """One array of objects. Where it is broken the reading ends."""

    format = "json"

    def _find_start(self) -> Position:
        start = super()._find_start()
        text = Window(self.file, start)
        if text.next_character() != "[":
            raise JobError("The file is no JSON array: it must be objects between [ and ].")
        text.advance(text.at + 1)
        return Position(text.offset, 0, text.line)

    def _read_from(self, position: Position) -> Iterator[Record]:
        text, before = Window(self.file, position), "start"
        while (character := text.next_character()) != "]":
            if character == ",":
                if before == "comma":
                    raise text.fault("two commas follow each other")
                text.advance(text.at + 1)
                before = "comma"
            elif before == "record":
                raise text.fault("a comma or ] is missing behind the record before")
            else:
                yield text.record()
                before = "record"
        text.advance(text.at + 1)
        if text.next_character(at_end=True):
            raise text.fault("something follows the end of the array")


def _are_codes(values: list[Any]) -> bool:
    return all(type(value) is str and "," not in value for value in values)


def _parsed(text: str) -> Any:
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        return Broken(
            "broken_record", f"The line is no JSON object: {why_not(error)}.", text[:SHOWN]
        )


def _decoded(line: bytes) -> tuple[str, bool]:
    """The text of a line, and whether its characters need a look."""
    try:
        return line.decode(), b"\\u" in line
    except UnicodeDecodeError:
        return line.decode("utf-8", "surrogateescape"), True
