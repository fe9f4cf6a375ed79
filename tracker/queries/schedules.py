"""Schedules: the list with what came of them last, and one schedule with its times and firings."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from django.contrib.auth.models import User
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone
from django.utils.formats import date_format

from jobs.cron import Cron, in_words
from jobs.models import Firing, Schedule
from jobs.permissions import Decision, may, visible_schedules, visible_to
from tracker.queries.rows import Badge

NEXT = 10
FIRINGS = 50

BADGES = {
    Firing.Outcome.LAUNCHED: Badge("Launched", "check-circle", "ok"),
    Firing.Outcome.SKIPPED: Badge("Skipped", "forward", "idle"),
    Firing.Outcome.MISSED: Badge("Missed", "clock", "warn"),
    Firing.Outcome.REFUSED: Badge("Not launched", "x-circle", "bad"),
}


@dataclass(frozen=True, slots=True)
class ShownFiring:
    """A time of a schedule and what came of it; `execution` only if the reader may see it."""

    firing: Firing
    badge: Badge
    execution: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class ScheduleLine:
    """A schedule on the list."""

    schedule: Schedule
    when: str
    last: ShownFiring | None
    switch: Decision


@dataclass(frozen=True, slots=True)
class NextTime:
    """One of the next times, on the clock of the schedule's zone."""

    at: dt.datetime
    local: str
    note: str


def when(schedule: Schedule) -> str:
    """`every day at 02:00`, with the expression itself where words would be wrong."""
    return in_words(schedule.cron)


def next_times(cron: Cron) -> list[NextTime]:
    """The next ten times from now on."""
    return [
        NextTime(time.at, _local(time.at, cron), time.note)
        for time in islice(cron.after(timezone.now()), NEXT)
    ]


def _local(at: dt.datetime, cron: Cron) -> str:
    local = at.astimezone(cron.zone)
    return f"{date_format(local, 'D j M Y, H:i')} {local.tzname()}"


def listed(user: User) -> QuerySet[Schedule, Any]:
    """The schedules that `user` may see, each with its newest firing."""
    newest = Firing.objects.filter(schedule=OuterRef("pk")).order_by("-scheduled_for")
    found = visible_schedules(user).annotate(newest=Subquery(newest.values("pk")[:1]))
    return found.select_related("profile", "run_as")


def lines(user: User, schedules: Iterable[Any]) -> list[ScheduleLine]:
    """The lines of schedules that come from `listed`; few queries, however many they are."""
    schedules = list(schedules)
    firings = Firing.objects.filter(pk__in=[one.newest for one in schedules if one.newest])
    shown = {one.firing.pk: one for one in _shown(user, firings)}
    switch = may(user, "manage_schedules")
    return [ScheduleLine(one, when(one), shown.get(one.newest), switch) for one in schedules]


def _shown(user: User, firings: Iterable[Firing]) -> list[ShownFiring]:
    firings = list(firings)
    ids = {firing.execution_id for firing in firings if firing.execution_id}
    visible = set(visible_to(user).filter(pk__in=ids).values_list("pk", flat=True)) if ids else ()
    return [
        ShownFiring(
            firing,
            BADGES[Firing.Outcome(firing.outcome)],
            firing.execution_id if firing.execution_id in visible else None,
        )
        for firing in firings
    ]


class SchedulePage:
    """One schedule as `user` may see and change it."""

    def __init__(self, user: User, schedule: Schedule):
        self.user, self.schedule = user, schedule
        self.when = when(schedule)

    @cached_property
    def change(self) -> Decision:
        return may(self.user, "change", self.schedule)

    @cached_property
    def switch(self) -> Decision:
        return may(self.user, "switch", self.schedule)

    @property
    def next_times(self) -> list[NextTime]:
        if not self.schedule.enabled:
            return []
        return next_times(Cron(self.schedule.cron, self.schedule.time_zone))

    @cached_property
    def firings(self) -> list[ShownFiring]:
        return _shown(self.user, self.schedule.firings.order_by("-scheduled_for")[:FIRINGS])

    @property
    def facts(self) -> list[tuple[str, str]]:
        schedule = self.schedule
        return [
            ("Time zone", schedule.time_zone),
            ("Cron expression", schedule.cron),
            ("Runs as", schedule.run_as.get_username() if schedule.run_as else "the platform"),
            ("If its last execution is open", schedule.get_overlap_display()),
            ("Missed times", schedule.get_missed_display()),
        ]
