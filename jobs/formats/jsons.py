"""JSON lines and JSON arrays of objects, read from any byte at which an object begins."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from jobs.definition import JobError
from jobs.formats.base import (
    BATCH_LIMIT,
    CELL_LIMIT,
    COLUMN_LIMIT,
    Batch,
    Position,
    Refusal,
    check_names,
)
from jobs.formats.numbers import plain

RECORD_LIMIT = 1 << 24  # bytes
BLOCK = 1 << 16
MARK = b"\xef\xbb\xbf"
SHOWN = 200  # characters of a record in a warning
NEAR = 16  # characters: what is cut off at the end of a block is no fault yet
SPACE = re.compile(r"[ \t\r\n]*")


class Digits(str):
    """A number as it is written."""

    __slots__ = ()


class Record(NamedTuple):
    """An object of the file, or why there is none, with its place and the one behind it."""

    offset: int
    line: int
    value: Any
    end: int
    end_line: int
    is_suspect: bool


class Broken(NamedTuple):
    """What stands in the place of an object: a warning's code and sentence, and the text."""

    code: str
    message: str
    text: str


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


DECODER = json.JSONDecoder(parse_float=Digits, parse_constant=_no_constant)


class JsonReader:
    """What JSON lines and arrays have in common.

    The columns are the keys of all objects, so that a file is read once for them; `known` spares
    that. In `json_columns` lists stay JSON text, elsewhere a list of texts is codes with commas.
    """

    format: str
    is_guarded = False
    size: int | None = None

    def __init__(self, file: BinaryIO, known: Sequence[str] = ()):
        self.file = file
        self.takes: Callable[[int, list[str]], bool] | None = None
        self.json_columns: Collection[str] = ()
        self.start = self._find_start()
        self.header = list(known) or self._find_columns()
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
            cells = [self._text(name, value.get(name)) for name in self.header]
        except RecursionError:
            return [], Broken("too_deep", "The record is nested too deeply.", "")
        if len(value) != len(cells):
            missing = [name for name in self.header if name not in value]
            said = f"The record lacks {', '.join(map(repr, missing))}; null clears a value."
            return cells, Broken("missing_key", said, "")
        if max(map(len, cells)) > CELL_LIMIT:
            return [], Broken("too_long", "A value has more than a million characters.", "")
        return cells, None

    def _text(self, name: str, value: Any) -> str:
        kind = type(value)
        if kind is str:
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

    def _find_columns(self) -> list[str]:
        columns: dict[str, None] = {}
        for record in self._read_from(self.start):
            if type(record.value) is dict and not record.value.keys() <= columns.keys():
                columns |= dict.fromkeys(record.value)
                if len(columns) > COLUMN_LIMIT:
                    raise JobError(
                        f"The objects up to line {record.line} have {len(columns)} different "
                        f"keys; at most {COLUMN_LIMIT} columns are read."
                    )
        if not columns:
            raise JobError(f"The file is read as {self.said()} and has no object with keys.")
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
        text = _Stream(self.file, start)
        if text.next_character() != "[":
            raise JobError("The file is no JSON array: it must be objects between [ and ].")
        text.advance(text.at + 1)
        return Position(text.offset, 0, text.line)

    def _read_from(self, position: Position) -> Iterator[Record]:
        text, before = _Stream(self.file, position), "start"
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


class _Stream:
    """A window on a text file of JSON, with its offset in bytes and its line."""

    def __init__(self, file: BinaryIO, position: Position):
        self._file, self._position = file, position.offset
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text, self._is_whole = "", False
        self.at, self.offset, self.line = 0, position.offset, position.line

    def next_character(self, *, at_end: bool = False) -> str:
        """The next character that is no space, empty at the end if that may come here."""
        while True:
            found = SPACE.match(self._text, self.at)
            self.advance(found.end() if found else self.at)
            if self.at < len(self._text):
                return self._text[self.at]
            if not self._read_on():
                if at_end:
                    return ""
                raise self.fault("the file ends before the closing ]")

    def record(self) -> Record:
        """The JSON value that begins here."""
        offset, line = self.offset, self.line
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self.at)
                if end < len(self._text) or not self._read_on():
                    break
            except json.JSONDecodeError as error:
                if not (self._is_cut(error) and self._read_on()):
                    raise self.fault(_why(error), error.pos) from None
            except (ValueError, RecursionError) as error:
                raise self.fault(_why(error)) from None
        text = self._text[self.at : end]
        self.advance(end)
        is_suspect = "\\u" in text or not _is_text(text)
        return Record(offset, line, value, self.offset, self.line, is_suspect)

    def advance(self, end: int) -> None:
        passed = self._text[self.at : end]
        self.offset += len(passed if passed.isascii() else _bytes(passed))
        self.line += passed.count("\n")
        self.at = end

    def fault(self, why: str, at: int | None = None) -> JobError:
        line = self.line + (self._text.count("\n", self.at, at) if at else 0)
        return JobError(f"The JSON is broken in line {line}: {why}.")

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        return error.pos >= len(self._text) - NEAR or error.msg.startswith("Unterminated")

    def _read_on(self) -> bool:
        """Read twice as much as is there; False at the end of the file."""
        if self._is_whole:
            return False
        self._text, self.at = self._text[self.at :], 0
        if len(self._text) >= RECORD_LIMIT:
            raise self.fault(f"a record has more than {RECORD_LIMIT:,} characters")
        self._file.seek(self._position)
        block = self._file.read(max(BLOCK, len(self._text)))
        self._position += len(block)
        self._is_whole = not block
        self._text += self._decoder.decode(block, final=not block)
        return True


def json_text(value: Any) -> str:
    """The JSON text of a value, its numbers as they are written."""
    if type(value) is Digits:
        return value
    if type(value) is dict:
        return (
            "{" + ",".join(f"{json_text(key)}:{json_text(of)}" for key, of in value.items()) + "}"
        )
    if type(value) is list:
        return "[" + ",".join(map(json_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _are_codes(values: list[Any]) -> bool:
    return all(type(value) is str and "," not in value for value in values)


def _parsed(text: str) -> Any:
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        return Broken("broken_record", f"The line is no JSON object: {_why(error)}.", text[:SHOWN])


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[0].lower()}{error.msg[1:]} at character {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _decoded(line: bytes) -> tuple[str, bool]:
    """The text of a line, and whether its characters need a look."""
    try:
        return line.decode(), b"\\u" in line
    except UnicodeDecodeError:
        return line.decode("utf-8", "surrogateescape"), True


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
