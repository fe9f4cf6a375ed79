"""Cron expressions over all time zones, beside a slow reading that looks at every minute."""

from __future__ import annotations

import datetime as dt
import random
from functools import lru_cache
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.cron import BadCron, Cron, in_words

UTC = dt.UTC
MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)
ZONES = sorted(available_timezones() - {"localtime"})
FIRST, LAST = dt.datetime(2020, 1, 1, tzinfo=UTC), dt.datetime(2035, 12, 28, tzinfo=UTC)

minutes = st.sampled_from(["0", "30", "7", "0,30", "*/15", "*", "59", "15-20", "5/20"])
hours = st.sampled_from(["*", "*/2", "0", "1", "2", "3", "2,3", "0-4", "23", "1-23/2", "*/5"])
days = st.sampled_from(["* * *", "* * 0", "* * 1-5", "1 * *", "L * *", "13 * 5", "* 3,10 0"])
expressions = st.builds("{} {} {}".format, minutes, hours, days)


def changes(zone: ZoneInfo, first: dt.datetime, last: dt.datetime) -> list[dt.datetime]:
    """The days, in UTC, on which the clock of a zone is changed."""
    found = []
    while first < last:
        after = first + DAY
        if first.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            found.append(first)
        first = after
    return found


TRANSITIONS = [
    (name, day)
    for name in ZONES
    for year in (2020, 2027)
    for day in changes(
        ZoneInfo(name), dt.datetime(year, 1, 1, tzinfo=UTC), dt.datetime(year + 1, 1, 1, tzinfo=UTC)
    )
]


def matches(cron: Cron, wall: dt.datetime) -> bool:
    """Whether the expression names this minute of a wall clock, read field by field."""
    minute, hour, day, month, weekday = cron.expression.split()
    if not (_named(minute, wall.minute, 0, 59) and _named(hour, wall.hour, 0, 23)):
        return False
    on_day = _named(day, wall.day, 1, 31, (wall + DAY).day == 1)
    on_weekday = _named(weekday, (wall.weekday() + 1) % 7, 0, 6)
    both = day.startswith("*") or weekday.startswith("*")  # as in Debian's cron
    on_date = (on_day and on_weekday) if both else (on_day or on_weekday)
    return on_date and _named(month, wall.month, 1, 12)


@lru_cache(10_000)
def _named(field: str, value: int, low: int, high: int, last: bool = False) -> bool:
    if field == "L":
        return last
    for part in field.split(","):
        span, _, step = part.partition("/")
        begin, _, end = span.partition("-")
        first = low if begin == "*" else int(begin)
        final = int(end) if end else (high if begin == "*" or step else first)
        if value in range(first, final + 1, int(step or 1)):
            return True
    return False


def slowly(cron: Cron, first: dt.datetime, last: dt.datetime) -> list[dt.datetime]:
    """The times in (first, last], by looking at every minute of real time and of the wall."""
    found = set()
    at = first.replace(second=0, microsecond=0) - DAY
    seen: set[dt.datetime] = set()
    expected = at.astimezone(cron.zone).replace(tzinfo=None)
    while at <= last:
        wall = at.astimezone(cron.zone).replace(tzinfo=None, fold=0)
        skipped = [expected + MINUTE * n for n in range(int((wall - expected) / MINUTE))]
        named = matches(cron, wall) and (cron.follows_the_wall or wall not in seen)
        made_up = not cron.follows_the_wall and any(matches(cron, one) for one in skipped)
        if named or made_up:
            found.add(at)
        seen.add(wall)
        expected, at = wall + MINUTE, at + MINUTE
    return sorted(one for one in found if one > first)


def until(cron: Cron, begin: dt.datetime, end: dt.datetime) -> list[dt.datetime]:
    return [time.at for time in takewhile(lambda time: time.at <= end, cron.after(begin))]


@settings(deadline=None, max_examples=100)
@given(expressions, st.sampled_from(TRANSITIONS), st.integers(0, 2 * 24 * 60 * 60))
@example("0 */2 * * *", ("Australia/Lord_Howe", dt.datetime(2027, 4, 3, tzinfo=UTC)), 0)
@example("30 2 * * *", ("Europe/Berlin", dt.datetime(2027, 3, 27, tzinfo=UTC)), 90_000)
@example("30 2 * * *", ("Europe/Berlin", dt.datetime(2027, 10, 31, tzinfo=UTC)), 4_000)
@example("0 0 * * *", ("Africa/Cairo", dt.datetime(2027, 4, 29, tzinfo=UTC)), 0)
@example("* 2 * 3,10 0", ("Europe/Berlin", dt.datetime(2027, 10, 30, tzinfo=UTC)), 89_990)
def test_around_every_change_of_the_clock_none_is_missed_and_none_doubled(
    expression, change, after
):
    name, day = change
    cron, begin = Cron(expression, name), day - DAY + dt.timedelta(seconds=after)
    end = begin + 2 * DAY
    fired = until(cron, begin, end)
    assert fired == slowly(cron, begin, end)


@settings(deadline=None, max_examples=100)
@given(
    expressions,
    st.sampled_from(ZONES),
    st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)),
)
def test_times_strictly_increase_and_asking_anew_gives_the_same(expression, name, begin):
    cron, begin = Cron(expression, name), begin.replace(tzinfo=UTC)
    times = [time.at for time in islice(cron.after(begin), 40)]
    assert all(one < other for one, other in pairwise([begin, *times]))
    one_by_one, at = [], begin
    for _ in times:
        at = cron.next(at)
        one_by_one.append(at)
    assert one_by_one == times


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]
)
def test_a_daily_time_comes_once_a_day_for_sixteen_years(name):
    cron = Cron("30 2 * * *", name)
    days = [at.astimezone(cron.zone).date() for at in until(cron, FIRST, LAST)]
    assert all(other - one == DAY for one, other in pairwise(days))


def test_what_a_change_of_the_clock_does_is_said():
    spring, autumn = dt.datetime(2027, 3, 28, tzinfo=UTC), dt.datetime(2027, 10, 30, 23, tzinfo=UTC)
    first = next(Cron("30 2 * * *", "Europe/Berlin").after(spring))
    assert first.at == dt.datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert first.note.startswith("02:30 does not exist that day")
    notes = [time.note for time in islice(Cron("30 * * * *", "Europe/Berlin").after(autumn), 4)]
    assert [note[-7:] for note in notes] == ["", " first.", "second.", ""]


def test_the_last_time_is_that_of_going_through_all():
    random.seed(7)
    for expression in ("*/5 * * * *", "0 3 * * *", "0 0 1 1 *", "0 0 29 2 *"):
        cron = Cron(expression, "Europe/Berlin")
        for _ in range(5):
            begin = FIRST + dt.timedelta(minutes=random.randrange(10**6))
            end = begin + dt.timedelta(minutes=random.randrange(3000))
            times = until(cron, begin, end)
            assert cron.last(begin, end) == (times[-1] if times else None)


def test_what_never_comes_has_no_next_time():
    assert Cron("0 0 */31 * 1#5").next(FIRST) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "a b c d e",
        "0 0 30 2 *",
        "*/0 * * * *",
        "@daily",
    ],
)
def test_what_is_no_expression_is_said(text):
    with pytest.raises(BadCron, match="is no cron expression"):
        Cron(text)


@given(st.text("0123456789*/,-#LW MONjan", max_size=30))
def test_any_text_is_an_expression_or_said_to_be_none(text):
    try:
        cron = Cron(text)
    except BadCron:
        return
    assert in_words(cron.expression)


def test_a_time_zone_that_is_none_is_said():
    for name in ("Europe/Atlantis", "", "../etc/passwd"):
        with pytest.raises(BadCron, match="There is no time zone"):
            Cron("* * * * *", name)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("*/7 * * * *", "*/7 * * * *"),  # not every 7 minutes: it begins anew every hour
        ("0 * * * *", "every hour"),
        ("5 * * * *", "every hour at 5 minutes past"),
        ("0 */6 * * *", "every 6 hours"),
        ("0 */5 * * *", "0 */5 * * *"),
        ("0 2 * * *", "every day at 02:00"),
        ("0 2,14 * * *", "every day at 02:00 and 14:00"),
        ("30 8 * * 1", "Mondays at 08:30"),
        ("30 8 * * SUN,wed", "Sundays and Wednesdays at 08:30"),
        ("0 9 * * MON-FRI", "Monday to Friday at 09:00"),
        ("*/15 * * * 1-5", "every 15 minutes, Monday to Friday"),
        ("0 3 1 * *", "on the 1st of every month at 03:00"),
        ("0 3 22 * *", "on the 22nd of every month at 03:00"),
        ("0 3 13 * *", "on the 13th of every month at 03:00"),
        ("0 0 L * *", "on the last day of every month at 00:00"),
        ("0 6 24 12 *", "on the 24th of December at 06:00"),
        ("0 6 13 * 5", "0 6 13 * 5"),
        ("1-5 2 * * *", "1-5 2 * * *"),
    ],
)
def test_common_schedules_read_as_words(expression, words):
    assert in_words(expression) == words
