"""XLSX workbooks written as a stream: memory does not grow with the rows.

Every text is a cell of type string, so that none is ever taken for a formula. Texts stand in their
cells (`inlineStr`) and not in a table of shared ones, which would have to be kept until the end.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import IO, Any, cast
from xml.sax.saxutils import escape

from jobs.definition import JobError
from jobs.formats import workbook_parts as parts
from jobs.formats.written import (
    AS_SHEET,
    BOOLEAN,
    DATE,
    NUMBER,
    TEXT,
    Onward,
    Target,
    WriteOptions,
    WrittenColumn,
)

SHEET_ROWS = 1_048_576  # with the header
SHEET_BYTES = 3 << 29  # unpacked; more would need the 64-bit form of ZIP, which not all can read
SHEET_COLUMNS = 16_384
CELL_CHARACTERS = 32_767
AS_TEXT = "\x01"  # before a value that its column's type cannot hold, such as 20 digits
LEVEL = 1  # of compression: higher levels take several times as long to save a tenth

CELLS = {
    TEXT: b'<c t="inlineStr"><is><t>%b</t></is></c>',
    NUMBER: b"<c><v>%b</v></c>",
    BOOLEAN: b'<c t="b"><v>%b</v></c>',
    DATE: b'<c s="2"><v>%b</v></c>',
}
TYPED = frozenset({NUMBER, BOOLEAN, DATE})  # of other columns the cells are texts
SPACED = b'<c t="inlineStr"><is><t xml:space="preserve">%b</t></is></c>'
HEADER = b'<c s="1" t="inlineStr"><is><t xml:space="preserve">%b</t></is></c>'
EMPTY = b"<c/>"
EMPTIES = [cell % b"" for cell in CELLS.values()]
# What XML cannot have is written _xHHHH_, and so is the beginning of what looks like that.
UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
CONTROLS = bytes(code for code in range(32) if code not in {9, 10})
FLAT = bytes.maketrans(b"\n", b"\t")
ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


class XlsxWriter:
    """Sheets of at most 1,048,576 rows, each with the header in bold and kept in view.

    Copied rows are in COPY's text format, with NULL as an empty text: numbers, truth values as 1
    and 0, dates as days since 1899-12-30, and AS_TEXT before what is to be a text all the same.
    """

    copies = AS_SHEET

    def __init__(self, target: Target, columns: Sequence[WrittenColumn], options: WriteOptions):
        if len(columns) > SHEET_COLUMNS:
            raise JobError(
                f"There are {len(columns):,} columns, and a sheet has {SHEET_COLUMNS:,} at most. "
                "Choose fewer columns, or CSV."
            )
        self.onward = Onward(target)
        self.archive = zipfile.ZipFile(
            cast("IO[bytes]", self.onward), "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL
        )
        self.title, self.has_header = options.title, options.header
        self.columns = columns
        self.titles: list[str] = []
        self._begin_sheet(self.title)

    def write(self, rows: Iterable[Sequence[str]]) -> None:
        for row in rows:
            self._make_room()
            self._put([self._row(row)])

    def write_copied(self, lines: Sequence[Any]) -> None:
        while lines:
            self._make_room()
            now, lines = lines[: self.rows_left], lines[self.rows_left :]
            self._put(self._converted(now), len(now))

    def add_sheet(self, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A further sheet of texts, behind the rows."""
        self._end_sheet()
        self.columns = [WrittenColumn(name) for name in header]
        self._begin_sheet(title)
        self.write(rows)

    def close(self) -> None:
        self._end_sheet()
        for name, text in parts.workbook(self.titles).items():
            self.archive.writestr(name, text)
        self.archive.close()

    def abandon(self) -> None:
        self.onward.is_abandoned = True
        self.sheet.close()
        self.archive.close()

    # --- sheets -------------------------------------------------------------------------------

    def _begin_sheet(self, title: str) -> None:
        self.titles.append(parts.sheet_title(title, self.titles))
        self.template = b"<row>%b</row>" % b"".join(
            CELLS.get(column.kind, CELLS[TEXT]) for column in self.columns
        )
        self.sheet = self.archive.open(f"xl/worksheets/sheet{len(self.titles)}.xml", "w")
        self.rows_left, self.bytes_left = SHEET_ROWS, SHEET_BYTES
        self.sheet.write(parts.sheet_head(self.columns, frozen=self.has_header).encode())
        if self.has_header:
            cells = (HEADER % self._text(column.name, column.name) for column in self.columns)
            self._put([b"<row>%b</row>" % b"".join(cells)])

    def _end_sheet(self) -> None:
        self.sheet.write(parts.SHEET_END)
        self.sheet.close()

    def _make_room(self) -> None:
        """Begin another sheet where this one is full."""
        if not self.rows_left or self.bytes_left <= 0:
            self._end_sheet()
            self._begin_sheet(self.title)

    def _put(self, blocks: Iterable[bytes], rows: int = 1) -> None:
        for block in blocks:
            self.sheet.write(block)
            self.bytes_left -= len(block)
        self.rows_left -= rows

    # --- rows ---------------------------------------------------------------------------------

    def _converted(self, lines: Sequence[Any]) -> list[bytes]:
        """XML of copied rows. Those that need a closer look are found by halving."""
        block = b"".join(lines)
        if is_plain(lines, block):
            return [self._quickly(block)]
        if len(lines) == 1:
            return [self._carefully(block)]
        middle = len(lines) // 2
        return self._converted(lines[:middle]) + self._converted(lines[middle:])

    def _quickly(self, block: bytes) -> bytes:
        block = block.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
        rows = map(bytes.split, block.split(b"\n")[:-1], repeat(b"\t"))
        xml = b"".join(map(self.template.__mod__, map(tuple, rows)))
        for empty in EMPTIES:
            xml = xml.replace(empty, EMPTY)
        return xml

    def _carefully(self, line: bytes) -> bytes:
        cells = line.removesuffix(b"\n").split(b"\t")
        return self._row([ESCAPED.sub(_unescaped, cell).decode() for cell in cells])

    def _row(self, row: Sequence[str]) -> bytes:
        cells = zip(row, self.columns, strict=False)
        return b"<row>%b</row>" % b"".join([self._cell(text, column) for text, column in cells])

    def _cell(self, text: str, column: WrittenColumn) -> bytes:
        if not text:
            return EMPTY
        if column.kind in TYPED:
            if not text.startswith(AS_TEXT):
                return CELLS[column.kind] % text.encode()
            text = text.removeprefix(AS_TEXT)
        return SPACED % self._text(text, column.name)

    def _text(self, text: str, column: str) -> bytes:
        if len(text) > CELL_CHARACTERS:
            raise JobError(
                f"A text in the column {column!r} has {len(text):,} characters, and a cell of an "
                f"XLSX file has {CELL_CHARACTERS:,} at most. Choose CSV, or leave the column out."
            )
        written = UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
        return escape(written).encode("utf-8", "replace")


def is_plain(lines: Sequence[Any], block: bytes) -> bool:
    """Whether copied rows have nothing to unescape, nothing that XML refuses, and no long text.

    `block` is all of their lines. To look for one byte takes a tenth of the time of two.
    """
    flat = block.translate(FLAT, CONTROLS)
    return (
        len(flat) == len(block)
        and b"\\" not in block
        and not (b"_" in block and b"_x" in block)
        and not (b"\xef" in block and b"\xef\xbf" in block)
        and not (b"\t " in flat or b" \t" in flat or flat.startswith(b" "))
        and (max(map(len, lines)) < CELL_CHARACTERS or _longest(flat) < CELL_CHARACTERS)
    )


def _longest(flat: bytes) -> int:
    return max(map(len, flat.split(b"\t")))


def _unescaped(found: re.Match[bytes]) -> bytes:
    return ESCAPES.get(found[1], found[1])
