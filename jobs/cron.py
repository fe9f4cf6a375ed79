"""Cron expressions: when they fire in a time zone, and how they read in words.

A schedule whose minute or hour begins with `*` goes by the clock on the wall as it moves: what the
clock skips is left out, what it shows twice fires twice, so "every 15 minutes" stays that. Any
other names its times: one that the clock skips fires at the first moment after the gap, one that
comes twice fires the first time only. So do Debian's cron and `cronsim`, which reads the fields.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

SECOND, DAY = dt.timedelta(seconds=1), dt.timedelta(days=1)
# How far back to look for the last time of an expression, the frequent ones first.
SPANS = (*(dt.timedelta(hours=hours) for hours in (1, 24)), *(DAY * days for days in (32, 366)))
FORMAT = "It has five fields: minute, hour, day of the month, month, day of the week."


class BadCron(ValueError):
    """The expression or the time zone cannot be used; `field` is cron or time_zone."""

    def __init__(self, field: str, said: str):
        self.field = field
        super().__init__(said)


@dataclass(frozen=True, slots=True)
class Time:
    """A moment at which an expression fires; `note` says what daylight saving did to it."""

    at: dt.datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cron:
    """A checked expression in a time zone. Raises BadCron."""

    expression: str
    zone_name: str = "UTC"

    def __post_init__(self) -> None:
        if len(self.expression.split()) != 5:
            raise BadCron("cron", f"{self.expression!r} is no cron expression. {FORMAT}")
        try:
            CronSim(self.expression, dt.datetime(2020, 1, 1))  # noqa: DTZ001 - a wall clock's
        except CronSimError as error:
            said = f"{self.expression!r} is no cron expression: {error}. {FORMAT}"
            raise BadCron("cron", said) from None
        if self.zone_name not in available_timezones():
            said = f"There is no time zone {self.zone_name!r}; they are named like 'Europe/Berlin'."
            raise BadCron("time_zone", said)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone_name)

    @property
    def follows_the_wall(self) -> bool:
        minute, hour, *_ = self.expression.split()
        return minute.startswith("*") or hour.startswith("*")

    def after(self, moment: dt.datetime) -> Iterator[Time]:
        """The times later than `moment`, in order and each once; in UTC."""
        return self._on_the_wall(moment) if self.follows_the_wall else self._named(moment)

    def next(self, moment: dt.datetime) -> dt.datetime | None:
        """The first time later than `moment`; None when there is none in fifty years."""
        found = next(self.after(moment), None)
        return found.at if found else None

    def last(self, after: dt.datetime, until: dt.datetime) -> dt.datetime | None:
        """The last time behind `after` and not behind `until`; quick, however many there are."""
        spans = [span for span in SPANS if span < until - after]
        for begin in (*(until - span for span in spans), after):
            times = takewhile(lambda time: time.at <= until, self.after(begin))
            if newest := deque(times, maxlen=1):
                return newest[0].at
        return None

    def _named(self, moment: dt.datetime) -> Iterator[Time]:
        last = moment
        for wall in self._walls(self._wall(moment)):
            at, exists = self._first(wall)
            if at > last:
                last = at
                yield Time(at, self._note(wall, at) if exists else _skipped(wall))

    def _on_the_wall(self, moment: dt.datetime) -> Iterator[Time]:
        """Between two changes of the clock, wall and real time run alike."""
        last = moment.astimezone(dt.UTC)
        offset, wall = self._offset(last), self._wall(last)
        while found := next(self._walls(wall), None):
            wall = found
            at = (wall - offset).replace(tzinfo=dt.UTC)
            change = self._change(last, min(at, last + DAY)) or self._change(last, at)
            if change is None:
                yield Time(at, self._note(wall, at))
                last = at
            else:
                last, offset = change, self._offset(change)
                wall = self._wall(change) - SECOND

    def _walls(self, wall: dt.datetime) -> Iterator[dt.datetime]:
        return CronSim(self.expression, wall)

    def _wall(self, moment: dt.datetime) -> dt.datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None, fold=0)

    def _offset(self, moment: dt.datetime) -> dt.timedelta:
        return moment.astimezone(self.zone).utcoffset() or dt.timedelta()

    def _change(self, low: dt.datetime, high: dt.datetime) -> dt.datetime | None:
        """The second in (low, high] at which the clock is changed, if it differs at their ends."""
        before = self._offset(low)
        if self._offset(high) == before:
            return None
        low, high = low.replace(microsecond=0), high.replace(microsecond=0)
        while high - low > SECOND:
            middle = low + dt.timedelta(seconds=(high - low) // SECOND // 2)
            low, high = (middle, high) if self._offset(middle) == before else (low, middle)
        return high

    def _first(self, wall: dt.datetime) -> tuple[dt.datetime, bool]:
        """The first moment at which the clock shows `wall`; where it never does, the next one."""
        at = wall.replace(tzinfo=self.zone).astimezone(dt.UTC)
        if self._wall(at) == wall:
            return at, True
        before = wall.replace(tzinfo=self.zone, fold=1).astimezone(dt.UTC)
        return self._change(before - SECOND, at) or at, False

    def _note(self, wall: dt.datetime, at: dt.datetime) -> str:
        first, second = (
            wall.replace(tzinfo=self.zone, fold=fold).astimezone(dt.UTC) for fold in (0, 1)
        )
        if first >= second:
            return ""
        which = "first" if at == first else "second"
        return f"{wall:%H:%M} comes twice that day, as the clocks go back: this is the {which}."


def _skipped(wall: dt.datetime) -> str:
    return f"{wall:%H:%M} does not exist that day, as the clocks go forward: it runs right after."


# --- In words -------------------------------------------------------------------------------

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SHORT_DAYS = {name[:3].upper(): str(number) for number, name in enumerate(DAYS[:7])}
MONTHS = (
    "", "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def in_words(expression: str) -> str:
    """`every day at 02:00`, `Mondays at 08:30`; the expression itself when it is none of these."""
    fields = expression.upper().split()
    if len(fields) != 5:
        return expression
    minute, hour, day, month, weekday = fields
    days, often = _days(day, month, weekday), _often(minute, hour)
    if days is None:
        return expression
    if often:
        return often if days == "every day" else f"{often}, {days}"
    times = _times(minute, hour)
    return f"{days} at {times}" if times else expression


def _often(minute: str, hour: str) -> str:
    """What comes all day long."""
    step = re.fullmatch(r"\*/(\d+)", hour if minute.isdigit() else minute)
    if hour == "*" and minute in {"*", "*/1"}:
        return "every minute"
    if hour == "*" and minute.isdigit():
        return f"every hour at {int(minute)} minutes past" if int(minute) else "every hour"
    if hour == "*" and step and 60 % int(step[1]) == 0:
        return f"every {int(step[1])} minutes"
    if minute == "0" and step and int(step[1]) > 1 and 24 % int(step[1]) == 0:
        return f"every {int(step[1])} hours"
    return ""


def _times(minute: str, hour: str) -> str:
    hours = hour.split(",")
    if not (minute.isdigit() and all(part.isdigit() for part in hours) and len(hours) <= 4):
        return ""
    return _and([f"{number:02}:{int(minute):02}" for number in sorted({int(h) for h in hours})])


def _days(day: str, month: str, weekday: str) -> str | None:
    if month != "*" and not (month.isdigit() and day.isdigit()):
        return None
    match (day, weekday):
        case ("*", "*"):
            return "every day"
        case ("*", _):
            return _weekdays(weekday)
        case ("L", "*"):
            return "on the last day of every month"
        case (_, "*") if day.isdigit():
            every = MONTHS[int(month)] if month != "*" else "every month"
            return f"on the {_ordinal(int(day))} of {every}"
    return None


def _weekdays(text: str) -> str | None:
    for name, number in SHORT_DAYS.items():
        text = text.replace(name, number)
    if span := re.fullmatch(r"([0-7])-([0-7])", text):
        return f"{DAYS[int(span[1])]} to {DAYS[int(span[2])]}"
    if re.fullmatch(r"[0-7](,[0-7])*", text):
        return _and([f"{DAYS[int(number)]}s" for number in text.split(",")])
    return None


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number not in {11, 12, 13} else 0, "th")
    return f"{number}{ending}"
