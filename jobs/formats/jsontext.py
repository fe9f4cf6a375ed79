"""The text of JSON: decoded with numbers as they are written, and a window on a long one."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, BinaryIO, NamedTuple

from jobs.definition import JobError
from jobs.formats.base import Position

RECORD_LIMIT = 1 << 24  # bytes
BLOCK = 1 << 16
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


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


DECODER = json.JSONDecoder(parse_float=Digits, parse_constant=_no_constant)


class Window:
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
                    raise self.fault(why_not(error), error.pos) from None
            except (ValueError, RecursionError) as error:
                raise self.fault(why_not(error)) from None
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


def why_not(error: Exception) -> str:
    """Why something is no JSON, as the end of a sentence."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[0].lower()}{error.msg[1:]} at character {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
