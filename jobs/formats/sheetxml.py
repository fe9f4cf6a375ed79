"""The XML of a sheet, heard in two ways: a quick one for what programs write, one for any."""

from __future__ import annotations

import re
from html import unescape

from jobs.definition import JobError
from jobs.formats.base import CELL_LIMIT
from jobs.formats.cells import Rows
from jobs.formats.markup import TAG_LIMIT, Attributes, Markup

DIGITS = "0123456789"
END_OF_ROW, END_OF_ROWS = b"</row>", b"</sheetData"
# What nearly every program writes, and nothing else: no comments, no sections, no line ends that
# XML would change, only the usual entities, attributes in the usual order.
LETTERS = r"[^<&\r\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]*+"
TEXT = rf"{LETTERS}(?:&(?:amp|lt|gt|quot|apos|#9|#10|#39);{LETTERS})*+"
ATTRIBUTES = r'(?: [\w:.]++="[^"<&]*+")*+'
CELL = (
    r'<c(?: r="([A-Z]{1,3})\d{1,7}")?(?: s="(\d{1,6})")?(?: t="(\w{1,9})")?(?:/>|>'
    rf"(<f{ATTRIBUTES}(?:/>|>{TEXT}</f>))?"
    rf'(?:<v>({TEXT})</v>|<v ?/>|<is><t(?: xml:space="preserve")?>({TEXT})</t></is>)?</c>)'
)
ANY_CELL = re.sub(r"\((?!\?)", "(?:", CELL)
find_cells = re.compile(CELL).findall
match_row = re.compile(
    rf'\s*+(<row(?: r="(\d{{1,9}})")?({ATTRIBUTES})(?:/>|>((?:{ANY_CELL})*+)</row>))'
).match


def is_plain(opening: bytes) -> bool:
    """Whether a sheet that begins so is in UTF-8, with element names as programs write them."""
    declared = re.search(rb"<\?xml[^>]*encoding=[\"']([^\"']*)", opening)
    return END_OF_ROWS.replace(b"/", b"") in opening and (
        not declared or declared[1].lower() == b"utf-8"
    )


class PlainSheet:
    """Rows as programs write them, in a third of the time that an XML parser takes.

    At the first row that has another form it gives up, at `offset`; whatever stands there is left
    to the parser.
    """

    def __init__(self, rows: Rows, offset: int):
        self._rows, self.offset = rows, offset
        self._rest = b""

    def feed(self, block: bytes) -> bool:
        """Read the whole rows so far; False where it gives up, at the latest at the end."""
        if not block:
            return False
        block = self._rest + block
        cut = block.rfind(END_OF_ROW) + len(END_OF_ROW)
        if cut < len(END_OF_ROW):
            cut = 0
        self._rest = block[cut:]
        try:
            is_plain = self._read(block[:cut].decode())
        except UnicodeDecodeError:
            return False
        return is_plain and len(self._rest) < TAG_LIMIT and END_OF_ROWS not in self._rest

    def _read(self, text: str) -> bool:
        at, rows, is_ascii = 0, self._rows, text.isascii()
        while at < len(text):
            found = match_row(text, at)
            if not found or ' r="' in found[3]:
                return False
            rows.begin(self.offset + found.start(1) - at, found[2] or "")
            for place, style, kind, formula, value, inline in find_cells(found[4] or ""):
                shown = value or inline
                rows.put(
                    place, kind, style, unescape(shown) if "&" in shown else shown, bool(formula)
                )
            rows.end()
            self.offset += found.end() - at if is_ascii else len(found[0].encode())
            at = found.end()
        return True


class AnySheet:
    """Rows of a sheet in any form that XML allows, from an offset on.

    `opening` is what stands before the first row; the parser hears it first.
    """

    def __init__(self, rows: Rows, offset: int, opening: bytes):
        self._rows = rows
        self._base = 0
        self._markup = Markup(self)
        self._text, self._listens, self._is_phonetic, self._has_formula = "", False, False, False
        self._place, self._kind, self._style = "", "", ""
        if offset:
            self._markup.feed(opening)
            self._base = offset - len(opening)

    def feed(self, block: bytes) -> None:
        """Read a block, which is empty at the end. Raises JobError where the XML is broken."""
        self._markup.feed(block, is_last=not block)

    def begin(self, prefix: str) -> None:
        self._cell, self._row, self._formula = f"{prefix}c", f"{prefix}row", f"{prefix}f"
        self._value, self._run, self._phonetic = f"{prefix}v", f"{prefix}t", f"{prefix}rPh"
        self._all = f"{prefix}sheetData"

    def start(self, name: str, attributes: Attributes) -> None:
        if name == self._value:
            self._listens = True
        elif name == self._cell:
            self._place = attributes.get("r", "").rstrip(DIGITS)
            self._kind, self._style = attributes.get("t", ""), attributes.get("s", "")
            self._text, self._has_formula = "", False
        elif name == self._run:
            self._listens = not self._is_phonetic
        elif name == self._row:
            self._rows.begin(self._base + self._markup.offset, attributes.get("r", ""))
        elif name == self._formula:
            self._has_formula = True
        elif name == self._phonetic:
            self._is_phonetic = True

    def data(self, text: str) -> None:
        if self._listens:
            self._text += text
            if len(self._text) > CELL_LIMIT:
                raise JobError(
                    f"A cell of row {self._rows.number} has more than a million characters."
                )

    def end(self, name: str) -> None:
        self._listens = False
        if name == self._cell:
            self._rows.put(self._place, self._kind, self._style, self._text, self._has_formula)
        elif name == self._row:
            self._rows.end()
        elif name == self._phonetic:
            self._is_phonetic = False
        elif name == self._all:
            self._rows.behind = self._base + self._markup.offset
