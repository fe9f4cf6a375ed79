"""How a file spells numbers and dates, where that is not our own way: rewritten before converting.

A converter that reads a number or a date says so with `reads`; others get their cells as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.exceptions import ValidationError

A_NUMBER, A_DATE, A_MOMENT, A_TEXT = "number", "date", "moment", "text"
EXAMPLE = {"yyyy": "2026", "MM": "03", "M": "3", "dd": "31", "d": "31"}
GROUPS = {
    "yyyy": r"(?P<y>\d{4})",
    "MM": r"(?P<m>\d\d)",
    "M": r"(?P<m>\d\d?)",
    "dd": r"(?P<d>\d\d)",
    "d": r"(?P<d>\d\d?)",
}
PART = re.compile(r"yyyy|MM?|dd?")
TIME = r"(?:[ T](?P<time>\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?))?"
ISO = re.compile(r"\d{4}-\d\d-\d\d.*", re.ASCII)
WITH_COMMA = re.compile(r"[+-]?(\d{1,500}(,\d{0,500})?|,\d{1,500})", re.ASCII)
WITH_POINT = re.compile(r"[+-]?(\d{1,500}(\.\d{0,500})?|\.\d{1,500})", re.ASCII)

Respell = Callable[[str], str]
Converter = TypeVar("Converter", bound=Callable[..., Any])


def reads(*kinds: str) -> Callable[[Converter], Converter]:
    """Say what the cells that a converter takes are: A_NUMBER, A_DATE, A_MOMENT or A_TEXT."""

    def mark(convert: Converter) -> Converter:
        marked: Any = convert
        marked.reads = kinds
        return convert

    return mark


class DatePattern:
    """A pattern such as `dd.MM.yyyy`; raises ValueError with a sentence for any other text."""

    def __init__(self, pattern: str):
        parts = PART.findall(pattern)
        if sorted(part[0] for part in parts) != ["M", "d", "y"]:
            raise ValueError(
                f"{pattern!r} is not a date format: it needs yyyy, MM and dd once each, such as "
                "dd.MM.yyyy."
            )
        between = [re.escape(text) for text in PART.split(pattern)]
        groups = [GROUPS[part] for part in parts] + [""]
        expression = "".join(a + b for a, b in zip(between, groups, strict=True))
        self.example = PART.sub(lambda part: EXAMPLE[part[0]], pattern)
        self._date = re.compile(expression, re.ASCII).fullmatch
        self._moment = re.compile(expression + TIME, re.ASCII).fullmatch

    def date(self, cell: str) -> str | None:
        """The date as 2026-03-31, or None for a text that has another form."""
        found = self._date(cell.strip())
        return None if found is None else _iso(found)

    def moment(self, cell: str) -> str | None:
        """The same with the time behind it, by default midnight."""
        found = self._moment(cell.strip())
        return None if found is None else f"{_iso(found)}T{found['time'] or '00:00'}"


@dataclass(frozen=True)
class Spelling:
    """What stands before decimals, and how dates look; empty is our own way.

    Files with types of their own (`is_typed`) may have numbers and dates as values and as texts.
    """

    decimal: str = "."  # or a comma
    dates: str = ""
    is_typed: bool = False

    def applied(self, convert: Callable[..., Any]) -> Callable[..., Any]:
        """A converter that takes cells as they are spelled here; the same one for our own way."""
        respells = [self._respell(kind) for kind in getattr(convert, "reads", ())]
        if not any(respells):
            return convert
        if len(respells) == 1 and (respell := respells[0]):
            return lambda cell: convert(respell(cell))

        def respelled(*cells: str) -> Any:
            pairs = zip(cells, respells, strict=True)
            return convert(*(to(cell) if cell and to else cell for cell, to in pairs))

        return respelled

    def _respell(self, kind: str) -> Respell | None:
        if kind == A_NUMBER and self.decimal == ",":
            return self._number
        if kind in (A_DATE, A_MOMENT) and self.dates:
            pattern = DatePattern(self.dates)
            read = pattern.date if kind == A_DATE else pattern.moment
            return lambda cell: self._date(cell, read, pattern.example)
        return None

    def _number(self, cell: str) -> str:
        text = cell.strip()
        if WITH_COMMA.fullmatch(text):
            return text.replace(",", ".")
        if self.is_typed and WITH_POINT.fullmatch(text):
            return text
        raise ValidationError(
            f"{_shown(cell)} is not a number; write it with a comma and without separators of "
            "thousands, like 1234,5.",
            "invalid_number",
        )

    def _date(self, cell: str, read: Callable[[str], str | None], example: str) -> str:
        found = read(cell)
        if found is not None:
            return found
        if self.is_typed and ISO.fullmatch(cell.strip()):
            return cell
        raise ValidationError(
            f"{_shown(cell)} is not a date; write it like {example}.", "invalid_date"
        )


OUR_WAY = Spelling()


def _iso(found: re.Match[str]) -> str:
    return f"{found['y']}-{found['m']:0>2}-{found['d']:0>2}"


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= 60 else cell[:60] + "…")
