"""What one person has been told, newest first, a page at a time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import groupby

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.formats import date_format

from jobs.models import Notification
from jobs.permissions import visible_notifications, visible_schedules, visible_to
from tracker.queries.look import Count
from tracker.queries.rows import Badge

PAGE_SIZE = 50
COUNTED = 99  # the bell counts up to here

Kind = Notification.Kind
BADGES = {
    Kind.FINISHED: Badge("Completed", "check-circle", "ok"),
    Kind.WARNED: Badge("Warnings", "exclamation-triangle", "warn"),
    Kind.FAILED: Badge("Failed", "x-circle", "bad"),
    Kind.LOST: Badge("Lost", "signal-slash", "bad"),
    Kind.TIMED_OUT: Badge("Timed out", "clock", "bad"),
    Kind.STOPPED: Badge("Stopped", "stop-circle", "halt"),
    Kind.STALLED: Badge("Stalled", "exclamation-triangle", "warn"),
    Kind.NOT_LAUNCHED: Badge("Not launched", "x-circle", "bad"),
}
# What somebody should take care of, and say so.
GRAVE = {Kind.FAILED, Kind.LOST, Kind.TIMED_OUT, Kind.STALLED, Kind.NOT_LAUNCHED}


def unread(user: User) -> Count:
    """How many are unread, as far as the bell counts."""
    return Count(visible_notifications(user).unread()[: COUNTED + 1].count())


def bell(count: Count) -> str:
    """The number as the bell shows it: nothing for none, `99+` for more."""
    return f"{COUNTED}+" if count.value > COUNTED else str(count.value or "")


@dataclass(frozen=True, slots=True)
class Told:
    """One notification, and where it leads as far as the reader may go there."""

    notification: Notification
    badge: Badge
    address: str
    asks: bool


@dataclass(frozen=True, slots=True)
class Day:
    label: str
    told: list[Told]


class NotificationList:
    """A page of them, grouped by day; `older` is the address of the next page."""

    def __init__(self, user: User, before: int | None):
        rows = visible_notifications(user).select_related("execution", "schedule").order_by("-pk")
        if before is not None:
            rows = rows.filter(pk__lt=before)
        found = list(rows[: PAGE_SIZE + 1])
        shown = found[:PAGE_SIZE]
        self.is_first = before is None
        self.older = f"?before={shown[-1].pk}" if len(found) > PAGE_SIZE else ""
        self.any_unread = any(one.read_at is None for one in shown)
        reachable = _reachable(user, shown)
        self.days = _days([_told(one, reachable) for one in shown])


def _reachable(user: User, rows: list[Notification]) -> set[object]:
    """The executions and schedules among them that `user` may see today."""
    executions = {one.execution_id for one in rows if one.execution_id}
    schedules = {one.schedule_id for one in rows if one.schedule_id}
    found: set[object] = set()
    if executions:
        found |= set(visible_to(user).filter(pk__in=executions).values_list("pk", flat=True))
    if schedules:
        found |= set(visible_schedules(user).filter(pk__in=schedules).values_list("pk", flat=True))
    return found


def _told(one: Notification, reachable: set[object]) -> Told:
    about = one.execution or one.schedule
    address = about.get_absolute_url() if about and about.pk in reachable else ""
    asks = one.kind in GRAVE and one.acknowledged_at is None
    return Told(one, BADGES[Kind(one.kind)], address, asks)


def _days(told: list[Told]) -> list[Day]:
    def day(one: Told) -> dt.date:
        return timezone.localdate(one.notification.created_at)

    return [Day(_label(date), list(group)) for date, group in groupby(told, day)]


def _label(date: dt.date) -> str:
    today = timezone.localdate()
    if date == today:
        return "Today"
    if date == today - dt.timedelta(days=1):
        return "Yesterday"
    return date_format(date, "l, j F Y")
