"""Hears the cells of a sheet of a workbook and makes rows of texts of them."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, NoReturn

from jobs.definition import JobError
from jobs.formats.base import CELL_LIMIT, letters
from jobs.formats.markup import Attributes, Markup
from jobs.formats.numbers import NotExact, date_text, number_text
from jobs.formats.texts import SharedTexts, unescaped

ROW_CHARACTERS_LIMIT = 1 << 24
PLACES_LIMIT = 16_384
FAULTS_LIMIT = 20  # of one row
DIGITS = "0123456789"
DIGITS_KEPT = 16


class Refused(ValueError):
    """A cell whose value cannot be used: the code of a warning, its sentence, the value."""


class Row(NamedTuple):
    """A row with values: where it begins, its number in the sheet, what is wrong with its cells.

    A fault is the index of the cell, the code and the sentence of a warning, and the value.
    """

    offset: int
    number: int
    cells: list[str]
    faults: list[tuple[int, str, str, str]]
    characters: int


class Cells:
    """Collects in `rows` the rows that have values, each of `width` cells.

    `number` is that of the row before the next, `base` what is added to the offsets of the markup.
    """

    def __init__(
        self, width: int, texts: SharedTexts, formats: dict[str, str], from_1904: bool
    ) -> None:
        self.width, self.texts, self.few = width, texts, texts.few
        self.formats, self.from_1904 = formats, from_1904
        self.rows: deque[Row] = deque()
        self.number, self.base = 0, 0
        self.first: int | None = None  # where the first row begins
        self.behind: int | None = None  # where the rows end
        self.markup = Markup(self)
        self._indexes: dict[str, int] = {}
        self._text, self._listens, self._is_phonetic, self._has_formula = "", False, False, False
        self._index, self._offset, self._characters = -1, 0, 0
        self._kind: str | None = None
        self._style: str | None = None
        self._faults: list[tuple[int, str, str, str]] = []
        self._cells = [""] * width

    def begin(self, prefix: str) -> None:
        self._cell, self._value, self._run = f"{prefix}c", f"{prefix}v", f"{prefix}t"
        self._line, self._formula = f"{prefix}row", f"{prefix}f"
        self._ends = (self._value, self._run)
        self._phonetic, self._all = f"{prefix}rPh", f"{prefix}sheetData"

    def start(self, name: str, attributes: Attributes) -> None:
        if name == self._value:
            self._listens, self._text = True, ""
        elif name == self._cell:
            self._begin_cell(attributes)
        elif name == self._run:
            self._listens = not self._is_phonetic
        elif name == self._line:
            self._begin_row(attributes)
        elif name == self._formula:
            self._has_formula = True
        elif name == self._phonetic:
            self._is_phonetic = True

    def data(self, text: str) -> None:
        if self._listens:
            self._text += text
            if len(self._text) > CELL_LIMIT:
                raise JobError(f"The cell {self._here()} has more than a million characters.")

    def end(self, name: str) -> None:
        if name in self._ends:
            self._listens = False
        elif name == self._cell:
            if self._text or self._has_formula:
                self._end_cell()
        elif name == self._line:
            self._end_row()
        elif name == self._phonetic:
            self._is_phonetic = False
        elif name == self._all:
            self.behind = self.base + self.markup.offset

    def _begin_row(self, attributes: Attributes) -> None:
        offset = self.base + self.markup.offset
        if self.first is None:
            self.first = offset
        number = attributes.get("r", "")
        self.number = int(number) if number.isdecimal() else self.number + 1
        self._offset, self._index, self._characters = offset, -1, 0
        self._cells, self._faults = [""] * self.width, []

    def _end_row(self) -> None:
        if self._faults or any(self._cells):
            self.rows.append(
                Row(self._offset, self.number, self._cells, self._faults, self._characters)
            )

    def _begin_cell(self, attributes: Attributes) -> None:
        place = attributes.get("r")
        if place is None:
            self._index += 1
        else:
            name = place.rstrip(DIGITS)
            index = self._indexes.get(name)
            self._index = self._index_of(name) if index is None else index
        self._kind, self._style = attributes.get("t"), attributes.get("s")
        self._text, self._has_formula = "", False

    def _end_cell(self) -> None:
        try:
            value = self._read()
            if self._index < self.width:
                self._cells[self._index] = value
            elif value:
                self._refuse("extra_cell", "has a value, but its column has no name.")
        except Refused as refused:
            if len(self._faults) < FAULTS_LIMIT:
                self._faults.append((self._index, *refused.args))

    def _read(self) -> str:
        text, kind = self._text, self._kind
        if kind is None or kind == "n":
            if self._style in self.formats:
                return self._date()
            return text if text.isdecimal() and len(text) < DIGITS_KEPT else self._number()
        if kind == "s":
            value = self._shared()
            self._count(len(value))
            return value
        if kind in ("str", "inlineStr"):
            return unescaped(text)
        if kind == "e":
            self._refuse("cell_error", f"shows the error {text}.")
        return text.removesuffix("Z").removesuffix("T00:00:00") if kind == "d" else text

    def _shared(self) -> str:
        try:
            number = int(self._text)
            few = self.few
            return few[number] if 0 <= number < len(few) else self.texts[number]
        except (ValueError, IndexError):
            self._refuse("broken_cell", "refers to a text that the workbook does not have.")

    def _number(self) -> str:
        if not self._text:
            self._refuse(
                "no_value",
                "has a formula without a result. Open the file in a spreadsheet program and "
                "save it.",
            )
        try:
            return number_text(self._text)
        except NotExact:
            self._refuse(
                "rounded_number",
                f"has the number {self._text}, of which a spreadsheet keeps only 15 digits. "
                "Format the column as text and enter it anew.",
            )
        except ValueError:
            self._refuse("invalid_number", f"has {self._text[:40]!r} for a number.")

    def _date(self) -> str:
        try:
            return date_text(self._text, self.formats[self._style or ""], self.from_1904)
        except (ValueError, OverflowError):
            self._refuse(
                "invalid_date", f"is formatted as a date, but {self._text} stands for none."
            )

    def _count(self, characters: int) -> None:
        """Shared texts are longer than the numbers by which a sheet names them."""
        self._characters += characters
        if self._characters > ROW_CHARACTERS_LIMIT:
            raise JobError(f"Row {self.number} has more than {ROW_CHARACTERS_LIMIT:,} characters.")

    def _refuse(self, code: str, said: str) -> NoReturn:
        raise Refused(code, f"The cell {self._here()} {said}", self._text)

    def _here(self) -> str:
        return f"{letters(self._index)}{self.number}"

    def _index_of(self, name: str) -> int:
        """The index of the column `AB`; a cell may name none."""
        index = 0
        for letter in name.upper()[:4]:
            index = index * 26 + ord(letter) - 64
        self._indexes[name] = min(max(index, 1), PLACES_LIMIT) - 1
        return self._indexes[name]
