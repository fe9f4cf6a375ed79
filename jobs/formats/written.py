"""What every writer of rows has in common: its columns, its options, and what it writes to."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from jobs.definition import JobError

TEXT, NUMBER, BOOLEAN, DATE, MOMENT = "text", "number", "boolean", "date", "moment"
# How PostgreSQL is to copy rows to a writer: as the options of COPY, and as JSON or as cells.
AS_CSV = "csv"
PLAIN = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}  # encodings without their mark
AS_TABLE = "table"  # CSV with commas and without a guard
AS_JSON = "json"  # one object a row
AS_SHEET = "sheet"  # COPY's text format; see XlsxWriter


class WrittenColumn(NamedTuple):
    """The name that stands in the header, and what the values are.

    A number has at most so many digits, so many of them behind the point; None if that varies.
    """

    name: str
    kind: str = TEXT
    digits: int | None = None
    places: int | None = None


@dataclass(frozen=True, kw_only=True)
class WriteOptions:
    """How a file is to be written. Without a guard, texts that look like formulas stay as such."""

    delimiter: str = ";"
    quote: str = '"'  # none: cells have neither delimiters nor line ends
    encoding: str = "utf-8"  # utf-8-sig puts a mark before it, which Excel wants
    header: bool = True
    guard: bool = True
    title: str = "Rows"  # of a workbook's sheets


class Target(Protocol):
    """A binary file, or what counts, hashes and packs on the way there."""

    def write(self, block: Any, /) -> Any: ...


class Onward(io.RawIOBase):
    """The target for libraries that write files: it can only go on, and be abandoned."""

    def __init__(self, target: Target):
        self.target, self.at = target, 0
        self.is_abandoned = False

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        if not self.is_abandoned:
            self.target.write(bytes(block))
        self.at += len(block)
        return len(block)

    def tell(self) -> int:
        return self.at


class Writer(Protocol):
    """Rows of one file. Nothing is held back but what a format must have together."""

    copies: str

    def write(self, rows: Iterable[Sequence[str]]) -> None:
        """Write rows of texts, as the readers give them."""

    def write_copied(self, lines: Sequence[Any]) -> None:
        """Write rows as PostgreSQL copies them in the shape `copies`, each of them bytes."""

    def close(self) -> None:
        """Write what stands behind the last row. The target stays open."""

    def abandon(self) -> None:
        """Let go after an error, and write nothing more."""


def encoding_mark(encoding: str) -> bytes:
    """What stands at the beginning of a file, so that others know its encoding."""
    return {"utf-8-sig": codecs.BOM_UTF8, "utf-16": codecs.BOM_UTF16_LE}.get(encoding, b"")


def encoded(text: str, encoding: str) -> bytes:
    """The text in that encoding; raises JobError for a character that it does not have."""
    try:
        return text.encode(PLAIN.get(encoding, encoding))
    except UnicodeEncodeError as error:
        raise JobError(not_in(encoding, error.object[error.start : error.end])) from None


def not_in(encoding: str, characters: str = "") -> str:
    which = f"The character {characters[:1]!r}" if characters else "A character of the rows"
    return f"{which} does not exist in the encoding {encoding}. Choose UTF-8, which has them all."
