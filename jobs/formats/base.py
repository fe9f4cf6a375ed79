"""What every reader of rows has in common: positions, batches, options, and checks of the header.

A reader knows its header when it is made, reads batches from any position, and can go back to one.
Whatever the format, a cell is a text as the converters take it: a number with a point, `1` or `0`
for a truth value, `2026-03-31` for a date, codes separated by commas for a list, JSON text for an
object, an empty text for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from jobs.definition import JobError

CELL_LIMIT = 1 << 20  # characters
BATCH_LIMIT = 1 << 23  # bytes; wide rows make smaller batches, so that memory stays flat
COLUMN_LIMIT = 500
NAME_LIMIT = 200  # characters
ENCODING_WORDS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Windows-1252 (Western Europe)",
    "latin-1": "ISO 8859-1",
    "iso8859-15": "ISO 8859-15",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp850": "DOS 850",
    "mac-roman": "Mac Roman",
    "shift_jis": "Shift JIS",
    "gb18030": "GB 18030",
}


class Absent(str):
    """The cell of a record that has no such key: empty, but not the same as an empty text."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return id(self)


ABSENT = Absent()


class Position(NamedTuple):
    """The start of a record: its byte offset, the number of rows before it, its line from 1.

    The offset is within the unpacked content; a format without bytes of its own counts rows.
    """

    offset: int
    row: int
    line: int


class Refusal(NamedTuple):
    """Why one record of a batch cannot be used: a warning's code and sentence."""

    at: int  # the record's index in the batch
    code: str
    message: str
    column: str = ""
    value: str = ""


@dataclass(slots=True)
class Batch:
    """Records of a file, with their numbers from 1 in `rows`.

    `lines` and `offsets` are their starts, and empty where nobody asked for them.
    `end` is the position behind the last. `suspect` says that some line has NUL or undecodable
    bytes; the latter stand in the cells as lone surrogates. `is_plain` says that no cell has a
    backslash, a tab or a line end, `has_apostrophes` that some cell may have one. `refusals` are
    of records that cannot be used, whose cells may be missing. `fault` says why reading ended.
    """

    records: list[list[str]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    end: Position = field(default_factory=lambda: Position(0, 0, 0))
    suspect: bool = False
    is_plain: bool = False
    has_apostrophes: bool = True
    refusals: list[Refusal] = field(default_factory=list)
    fault: JobError | None = None

    def position(self, index: int) -> Position:
        return Position(self.offsets[index], self.rows[index] - 1, self.lines[index])


@dataclass(frozen=True)
class Options:
    """How a file is to be read; what is empty is found from its content."""

    format: str = ""  # csv, xlsx, jsonl, json, parquet
    delimiter: str = ""
    quote: str = ""  # a character; "none" for none
    encoding: str = ""
    header: bool = True  # without one the columns are named A, B, C, ...
    sheet: str = ""


class Takes(Protocol):
    """Which rows of a file are taken, by their numbers and their cells up to the index `last`."""

    last: int  # -1 where only the numbers matter

    def __call__(self, row: int, cells: list[str]) -> bool:
        """Whether this row is taken."""

    def among(self, rows: Sequence[int], records: Sequence[list[str]]) -> list[bool]:
        """Of each of these rows whether it is taken; cells behind the index `last` may be cut."""


class Reader(Protocol):
    """Rows of a file, from any position on.

    `takes` may be set: other rows are passed over.
    With `keeps_positions` every batch knows where each of its records begins.
    `is_guarded` says that texts which look like formulas have an apostrophe before them. `size`
    is the offset behind the last record, None where only reading to the end would tell it. In
    `json_columns`, where a reader has them, a list stays JSON text instead of codes with commas.
    A file that `is_sparse` has records with ABSENT cells.
    """

    format: str
    header: list[str]
    start: Position
    takes: Takes | None
    keeps_positions: bool
    is_guarded: bool
    is_sparse: bool
    size: int | None
    json_columns: Collection[str]

    def said(self) -> str:
        """How the file is read, for people: `CSV in UTF-8, separated by semicolons`."""

    def seek(self, position: Position) -> None:
        """Go on reading at the start of a record."""

    def batch(self, size: int) -> Batch:
        """Read about `size` records; a batch without records and fault is the end of the file."""

    def read_at(self, positions: list[Position]) -> Batch:
        """Read the single records that start at these positions, in the order given."""

    def sample(self, count: int) -> list[list[str]]:
        """About so many records from all over the file, pieces of some perhaps; none where that
        would take long. Reading goes on where `seek` says."""


def letters(index: int) -> str:
    """The name of a column without one, by its index: A, B, … Z, AA, AB, …"""
    name = ""
    while index >= 0:
        index, letter = divmod(index, 26)
        name, index = chr(65 + letter) + name, index - 1
    return name


def check_names(names: list[str]) -> None:
    """Raise JobError for the first name of a header that cannot be used."""
    if len(names) > COLUMN_LIMIT:
        raise JobError(f"The file has {len(names)} columns; at most {COLUMN_LIMIT} are read.")
    for number, name in enumerate(names, 1):
        if not name:
            raise JobError(f"Column {number} has no name in the header.")
        if len(name) > NAME_LIMIT:
            raise JobError(
                f"The name of column {number} has {len(name)} characters, more than "
                f"{NAME_LIMIT}: {name[:40]!r}…. Is the first line the header?"
            )
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise JobError(f"The header names these columns twice: {', '.join(double)}.")
