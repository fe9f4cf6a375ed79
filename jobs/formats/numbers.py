"""Numbers as texts: what spreadsheets keep as a number, as a number, date or time."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from functools import lru_cache

EXACT_BELOW = 10**15  # spreadsheets keep 15 digits
LAST_DAY = 2_958_465  # 9999-12-31
DAY = 86_400  # seconds
BUILT_IN = {
    **dict.fromkeys(range(14, 18), "date"),
    **dict.fromkeys(range(18, 22), "time"),
    22: "date",
    **dict.fromkeys(range(27, 37), "date"),
    **dict.fromkeys(range(45, 48), "time"),
    **dict.fromkeys(range(50, 59), "date"),
}
SHORT = re.compile(r"-?(?:0|[1-9]\d{0,8})(?:\.\d{0,4}[1-9])?", re.ASCII).fullmatch
NO_TOKENS = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hmsHMS]+\])[^\]]*\]|AM/PM|A/P', re.IGNORECASE)


class NotExact(ValueError):
    """A number of which a spreadsheet has kept only the first digits."""


def number_text(stored: str) -> str:
    """A number of a spreadsheet, without exponent and needless zeros: `1.0` is `1`.

    Raises NotExact from 16 digits on, and ValueError for what is no number.
    """
    if SHORT(stored):
        return stored
    value = float(stored)
    if not abs(value) < EXACT_BELOW:
        raise NotExact(stored)
    return plain(repr(value)).removesuffix(".0")


def plain(number: str) -> str:
    """The same number without an exponent, where that is not beyond all measure."""
    if "e" not in number and "E" not in number:
        return number
    value = Decimal(number)
    return format(value, "f") if abs(value.adjusted()) < 400 else number


def kind_of_format(number: int, code: str | None) -> str | None:
    """Whether a number format shows a `date` or a `time`, which has no day; None for neither."""
    if code is None:
        return BUILT_IN.get(number)
    shown = NO_TOKENS.sub("", code.split(";")[0]).lower()
    if "y" in shown or "d" in shown:
        return "date"
    if "h" in shown or "s" in shown:
        return "time"
    return "date" if "m" in shown else None


@lru_cache(10_000)
def date_text(stored: str, kind: str, from_1904: bool) -> str:
    """The date or time that a number stands for, in ISO form.

    A time without a day may have more than 24 hours. Raises ValueError for what is none.
    """
    days, milliseconds = divmod(round(float(stored) * DAY * 1000), DAY * 1000)
    if days < 0:
        raise ValueError(stored)
    if kind == "time" and days < (1 if from_1904 else 60):
        return _clock(days * DAY * 1000 + milliseconds)
    day = _day(days, from_1904).isoformat()
    return f"{day}T{_clock(milliseconds)}" if milliseconds else day


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{clock}.{rest:03}" if rest else clock


def _day(days: int, from_1904: bool) -> dt.date:
    """The day of a number: in the 1900 system there is a 29 February 1900, number 60."""
    if from_1904:
        return dt.date(1904, 1, 1) + dt.timedelta(days)
    if days in (0, 60) or days > LAST_DAY:
        raise ValueError(days)
    return dt.date(1899, 12, 31 if days < 60 else 30) + dt.timedelta(days)
