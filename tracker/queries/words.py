"""Numbers and times as people read them."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone


def duration(span: dt.timedelta | float | None, *, is_over: bool = False) -> str:
    """`8 s`, `2 min 05 s`, `1 h 12 min`, `3 d 4 h`; nothing for None.

    What is over and was short is told to the tenth: `0.4 s`.
    """
    if span is None:
        return ""
    exact = span.total_seconds() if isinstance(span, dt.timedelta) else span
    if is_over and 0 <= exact < 9.95:
        return f"{exact:.1f} s"
    seconds = int(exact)
    if seconds < 60:
        return f"{max(seconds, 0)} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    if seconds < 86_400:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600} h"


def limit(seconds: float) -> str:
    """A limit that somebody has set: `60 s`, `15 min`, `2 h`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds > length and seconds % length == 0:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:g} s"


def about(seconds: float) -> str:
    """A time that is only guessed, coarsely: `less than a minute`, `about 5 min`."""
    if seconds < 50:
        return "less than a minute"
    if seconds < 5400:
        return f"about {round(seconds / 60) or 1} min"
    return f"about {round(seconds / 3600)} h"


def items(count: int) -> str:
    return f"{count:,} item" if count == 1 else f"{count:,} items"


def speed(count: int, seconds: float | None) -> str:
    if not count or not seconds or seconds < 0.1:
        return ""
    return f"{count / seconds:,.0f}/s" if count > seconds else f"{count / seconds:.1g}/s"


def start_of_today() -> dt.datetime:
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
