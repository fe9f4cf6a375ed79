"""The dashboard: four numbers, what runs now, and the last ten operations."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from jobs.models import JobExecution
from jobs.permissions import may, visible_notifications, visible_to
from jobs.states import GROUPS, Group, Status
from tracker.queries import words
from tracker.queries.look import Count, Look, digest, look, since
from tracker.queries.rows import Row, rows

RUNNING = GROUPS[Group.ACTIVE] | GROUPS[Group.STOPPING]
BAD = GROUPS[Group.FAILED] | GROUPS[Group.TIMED_OUT]
LATEST = 10
ATTENTION_DAYS = 7


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    count: Count
    note: str
    icon: str
    tone: str
    address: str


class Dashboard:
    """What a person sees first; `own` narrows it to what they launched themselves."""

    def __init__(self, user: User, *, own: bool):
        self.user = user
        self.sees_all = bool(may(user, "view_all_executions"))
        self.own = own or not self.sees_all
        self.today = words.start_of_today()
        self.week = timezone.localtime() - dt.timedelta(days=ATTENTION_DAYS)
        self.week = self.week.replace(minute=0, second=0, microsecond=0)

    @property
    def executions(self) -> QuerySet[JobExecution]:
        seen = visible_to(self.user).filter(partition=None)
        return seen.filter(user_id=self.user.pk) if self.own else seen

    @cached_property
    def look(self) -> Look:
        seen = self.executions
        today = since(seen, self.today)
        running = seen.filter(status__in=sorted(RUNNING))
        counts = {
            "running": running,
            "waiting": seen.filter(status__in=sorted(GROUPS[Group.READY])),
            "bad": since(seen, self.week).filter(status__in=sorted(BAD)),
            "done": today.filter(status=Status.COMPLETED),
            "bad_today": today.filter(status__in=sorted(BAD)),
            "unread": visible_notifications(self.user).unread(),
        }
        pages = {
            "running": running.order_by("-pk")[:LATEST],
            "latest": seen.order_by("-pk")[:LATEST],
            "oldest": seen.filter(status=Status.QUEUED).order_by("pk")[:1],
        }
        return look(counts, pages)

    @property
    def token(self) -> str:
        """Changes with what is shown; while something waits every ten seconds, for its wait."""
        waits = self.look.counts["waiting"]
        moment = int(timezone.now().timestamp() / 10) if waits else self.today
        return digest(self.look.token, moment)

    @property
    def is_alive(self) -> bool:
        return bool(self.look.total(("running", "waiting")))

    @property
    def live_address(self) -> str:
        return "?" + urlencode({**({"whose": "own"} if self.own else {}), "since": self.token})

    @cached_property
    def _rows(self) -> dict:
        found = JobExecution.objects.filter(pk__in=self.look.ids)
        return rows(self.user, found.select_related("user").prefetch_related("steps"))

    def _listed(self, page: str) -> list[Row]:
        return [self._rows[pk] for pk in self.look.pages[page] if pk in self._rows]

    @property
    def running(self) -> list[Row]:
        return self._listed("running")

    @property
    def latest(self) -> list[Row]:
        return self._listed("latest")

    @property
    def tiles(self) -> list[Tile]:
        counts = self.look.counts
        return [
            Tile(
                "Running", counts["running"], self._running_note(), "bolt", "run",
                self._tracker(group=[Group.ACTIVE, Group.STOPPING]),
            ),
            Tile(
                "Waiting", counts["waiting"], self._wait(), "clock", "idle",
                self._tracker(group=[Group.READY]),
            ),
            Tile(
                "Needs attention", counts["bad"], f"failed in the last {ATTENTION_DAYS} days",
                "exclamation-triangle", "bad" if counts["bad"] else "idle",
                self._tracker(group=[Group.FAILED, Group.TIMED_OUT], created_after=[self.week]),
            ),
            Tile(
                "Done today", counts["done"], self._success(), "check-circle", "ok",
                self._tracker(status=[Status.COMPLETED], created_after=[self.today]),
            ),
        ]  # fmt: skip

    def _tracker(self, **filters: list) -> str:
        """The tracker with these filters, and with the same choice of own or all."""
        if self.own and self.sees_all:
            filters["user"] = ["me"]
        texts = {
            name: [v.isoformat() if isinstance(v, dt.datetime) else str(v) for v in values]
            for name, values in filters.items()
        }
        return f"{reverse('tracker:executions')}?{urlencode(texts, doseq=True)}"

    def _running_note(self) -> str:
        return "right now" if self.look.counts["running"] else "nothing at the moment"

    def _wait(self) -> str:
        oldest = self._listed("oldest")
        if not oldest:
            return "nobody waits for a worker"
        begun = oldest[0].execution.queued_at or oldest[0].execution.created_at
        return f"the oldest for {words.duration(timezone.now() - begun)}"

    def _success(self) -> str:
        done, bad = self.look.counts["done"].value, self.look.counts["bad_today"].value
        if not done + bad:
            return "nothing has ended yet today"
        return f"{100 * done // (done + bad)} % succeeded"
