"""From the cells of a sheet to rows of texts, with what is wrong with a cell said of its row."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, NoReturn

from jobs.definition import JobError
from jobs.formats.numbers import NotExact, date_text, number_text
from jobs.formats.texts import SharedTexts, unescaped

CHARACTERS_LIMIT = 1 << 26
PLACES_LIMIT = 16_384
FAULTS_LIMIT = 20  # of one row
DIGITS_KEPT = 15


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


class Rows:
    """Collects in `ready` the rows that have values, each of `width` cells.

    `number` is that of the last row, `first` where the first one begins, `behind` where they end.
    `characters` are those of shared texts since somebody has set it to zero: they are longer than
    the numbers that stand for them in the sheet.
    """

    def __init__(
        self, width: int, texts: SharedTexts, formats: dict[str, str], from_1904: bool
    ) -> None:
        self.width, self.texts, self.few = width, texts, texts.few
        self.formats, self.from_1904 = formats, from_1904
        self.ready: deque[Row] = deque()
        self.number, self.characters = 0, 0
        self.first: int | None = None
        self.behind: int | None = None
        self._indexes = _Indexes()
        self._index, self._offset, self._before = -1, 0, 0
        self._faults: list[tuple[int, str, str, str]] = []
        self._cells = [""] * width

    def begin(self, offset: int, number: str) -> None:
        """Begin a row at this offset; `number` may be empty, and is the next then."""
        if self.first is None:
            self.first = offset
        self.number = int(number) if number.isdecimal() else self.number + 1
        self._offset, self._index, self._before = offset, -1, self.characters
        self._cells, self._faults = [""] * self.width, []

    def put(self, place: str, kind: str, style: str, text: str, has_formula: bool) -> None:
        """Add a cell: the letters of its place, or none for the next one, its type and style."""
        self._index = self._indexes[place] if place else self._index + 1
        if not text and not has_formula:
            return
        try:
            if kind == "s":
                value = self._shared(text)
            elif kind in ("", "n") and style not in self.formats:
                is_whole = text.isdecimal() and len(text) <= DIGITS_KEPT
                value = text if is_whole else self._number(text)
            else:
                value = self._other(kind, style, text)
            if self._index < self.width:
                self._cells[self._index] = value
            elif value:
                self._refuse(text, "extra_cell", "has a value, but its column has no name.")
        except Refused as refused:
            if len(self._faults) < FAULTS_LIMIT:
                self._faults.append((self._index, *refused.args))

    def end(self) -> None:
        if self._faults or any(self._cells):
            characters = self.characters - self._before
            self.ready.append(Row(self._offset, self.number, self._cells, self._faults, characters))

    def _shared(self, text: str) -> str:
        number = int(text) if text.isdecimal() else -1
        try:
            value = self.few[number] if 0 <= number < len(self.few) else self.texts[number]
        except IndexError:
            self._refuse(text, "broken_cell", "refers to a text that the workbook does not have.")
        self.characters += len(value)
        if self.characters > CHARACTERS_LIMIT:
            raise JobError(
                f"Row {self.number} and those right before it have more than "
                f"{CHARACTERS_LIMIT:,} characters; such workbooks are refused."
            )
        return value

    def _other(self, kind: str, style: str, text: str) -> str:
        if kind in ("", "n"):
            return self._date(text, self.formats[style])
        if kind in ("str", "inlineStr"):
            return unescaped(text)
        if kind == "e":
            self._refuse(text, "cell_error", f"shows the error {text}.")
        return text.removesuffix("Z").removesuffix("T00:00:00") if kind == "d" else text

    def _number(self, text: str) -> str:
        if not text:
            self._refuse(
                text,
                "no_value",
                "has a formula without a result. Open the file in a spreadsheet program and "
                "save it.",
            )
        try:
            return number_text(text)
        except NotExact:
            self._refuse(
                text,
                "rounded_number",
                f"has a number of which a spreadsheet keeps only {DIGITS_KEPT} digits. Format the "
                "column as text and enter it anew.",
            )
        except ValueError:
            self._refuse(text, "invalid_number", "has a number that is none.")

    def _date(self, text: str, kind: str) -> str:
        try:
            return date_text(text, kind, self.from_1904)
        except (ValueError, OverflowError):
            self._refuse(text, "invalid_date", "is formatted as a date, but holds none.")

    def _refuse(self, text: str, code: str, said: str) -> NoReturn:
        raise Refused(code, f"The cell {said}", text)


class _Indexes(dict[str, int]):
    """The index of each column by its letters, like AB."""

    def __missing__(self, place: str) -> int:
        index = 0
        for letter in place.upper()[:4]:
            index = index * 26 + ord(letter) - 64
        self[place] = min(max(index, 1), PLACES_LIMIT) - 1
        return self[place]
