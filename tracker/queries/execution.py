"""One execution's page: its header, its buttons, its tabs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from jobs import control
from jobs.definition import COUNTERS
from jobs.models import ExecutionFile, JobExecution
from jobs.permissions import Decision, may
from jobs.states import FINISHED, HELD, Status
from jobs.waiting import waiting
from tracker.queries import words
from tracker.queries.look import digest
from tracker.queries.rows import Segment, badge, icon, progress, segments


def counted(of: QuerySet[Any], by: str) -> Coalesce:
    """How many of these belong to an execution: a column of the query that reads it."""
    found = of.filter(**{by: OuterRef("pk")}).order_by().values(by)
    return Coalesce(Subquery(found.annotate(count=Count("pk")).values("count")), 0)


COUNTS = {
    "children_count": counted(JobExecution.objects.all(), "parent"),
    "files_count": counted(ExecutionFile.objects.all(), "execution"),
}
TABS = {
    "summary": "Summary",
    "children": "Children",
    "rows": "Rows",
    "warnings": "Warnings",
    "log": "Log",
    "debug": "Debug log",
    "files": "Files",
    "parameters": "Parameters",
    "timeline": "Timeline",
}
LIVE_TABS = {
    "summary",
    "children",
    "files",
    "timeline",
}  # redrawn with the header while the job is alive
CHANGING = {"import", "mass_edit", "rules"}  # types that change rows and may keep a ledger
RESTING = {Status.PAUSED, Status.DEFERRED}

BUTTONS = {
    "activate": ("Activate", "play", ""),
    "pause": ("Pause", "pause", ""),
    "resume": ("Resume", "play", "primary"),
    "stop": ("Stop", "stop", "danger"),
    "abort": ("Abort", "bolt", ""),
    "continue": ("Continue", "forward", "primary"),
    "relaunch": ("Run again", "arrow-path", ""),
    "undo": ("Undo", "arrow-uturn-left", ""),
    "for_real": ("Run it for real", "play", "primary"),
    "retry_failed": ("Retry failed rows", "arrow-path-rounded-square", ""),
}
OFFERED = {
    Status.DEFERRED: ("activate", "stop"),
    Status.QUEUED: ("pause", "stop"),
    Status.RUNNING: ("pause", "stop", "abort"),
    Status.JOINING: ("stop", "abort"),
    Status.PAUSING: ("resume", "stop", "abort"),
    Status.PAUSED: ("resume", "stop"),
    Status.STOPPING: ("abort",),
    Status.COMPLETED: ("retry_failed", "relaunch"),
    Status.EXPIRED: ("relaunch",),
    **dict.fromkeys(
        (Status.FAILED, Status.LOST, Status.TIMED_OUT, Status.STOPPED, Status.ABORTED),
        ("continue", "retry_failed", "relaunch"),
    ),
}
TRIGGERS = {
    "web": "A page",
    "api": "REST",
    "command": "Command line",
    "parent": "Another execution",
}


def token(status: str, version: int) -> str:
    """What a reader of the page has seen; a wait's reason may change without the row."""
    moment = int(timezone.now().timestamp() / 5) if status == Status.QUEUED else 0
    return digest(version, moment)


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    label: str
    count: int | None
    is_current: bool


@dataclass(frozen=True, slots=True)
class Button:
    """Something that can be asked for in this status; with a `reason` it is refused."""

    action: str
    label: str
    icon: str
    tone: str
    address: str
    reason: str

    @property
    def asks_first(self) -> bool:
        return self.action in {"stop", "abort", "undo"}

    @property
    def opens_here(self) -> bool:
        """Whether what it asks fits a dialog, and needs no page."""
        return self.action != "undo"


class ExecutionPage:
    """An execution as `user` may see it."""

    def __init__(self, user: User, execution: JobExecution, tab: str):
        self.user, self.execution, self.tab = user, execution, tab
        self.token = token(execution.status, execution.version)
        self.badge = badge(execution)
        self.icon = icon(execution)

    @property
    def is_alive(self) -> bool:
        return self.execution.is_live and self.execution.status not in RESTING

    @property
    def is_held(self) -> bool:
        return self.execution.status in HELD

    @property
    def parent(self) -> JobExecution | None:
        return self._if_visible(self.execution.parent)

    @property
    def continues(self) -> JobExecution | None:
        return self._if_visible(self.execution.continues)

    def _if_visible(self, other: JobExecution | None) -> JobExecution | None:
        return other if other and may(self.user, "view", other) else None

    @property
    def undoes(self) -> JobExecution | None:
        return self._if_visible(self.execution.undoes)

    @cached_property
    def undone_by(self) -> JobExecution | None:
        """The last execution that undid this one, or is at it."""
        if not self.execution.is_finished or self.execution.ledger_model is None:
            return None
        return self._if_visible(self.execution.undone_by.select_related("profile").last())

    @property
    def has_ledger(self) -> bool:
        """Whether it changes rows, so that there may be a ledger to undo it by."""
        return self.execution.type in CHANGING or self.execution.undoes_id is not None

    @property
    def children(self) -> int:
        """How many executions it has launched, parts of its steps among them."""
        return self.execution.children_count  # type: ignore[attr-defined] # annotated

    @property
    def tab_is_live(self) -> bool:
        return self.tab in LIVE_TABS

    @property
    def tab_template(self) -> str:
        return f"tracker/execution/{'log' if self.tab == 'debug' else self.tab}.html"

    @property
    def live_address(self) -> str:
        return f"?tab={self.tab}&since={self.token}"

    @property
    def tabs(self) -> list[Tab]:
        counts = {
            "warnings": self.execution.warnings_count,
            "files": self.execution.files_count,  # type: ignore[attr-defined] # annotated
            "children": self.children,
        }
        hidden = set() if may(self.user, "view_debug_log", self.execution) else {"debug"}
        if not self.children and self.tab != "children":
            hidden.add("children")
        if not self.has_ledger:
            hidden.add("rows")
        return [
            Tab(name, label, counts.get(name), name == self.tab)
            for name, label in TABS.items()
            if name not in hidden
        ]

    @cached_property
    def files(self) -> list[ExecutionFile]:
        return list(self.execution.files.all())

    @cached_property
    def contents(self) -> Decision:
        """Whether console and warnings may be read."""
        return may(self.user, "view_contents", self.execution)

    @cached_property
    def download(self) -> Decision:
        return may(self.user, "download", self.execution)

    @property
    def segments(self) -> list[Segment]:
        return segments(self.execution)

    @property
    def progress(self) -> str:
        return progress(self.execution)

    @property
    def standing(self) -> str:
        """How far it has come and in what time; `Failed after 0.2 s` if nothing came of it."""
        execution, spent = self.execution, self.duration
        if execution.started_at is None:
            return "Not begun"
        if not execution.is_finished:
            return self.progress or self.badge.word
        if execution.status == Status.COMPLETED or any(s.processed for s in execution.steps.all()):
            return f"{self.progress} in {spent}"
        return f"{self.badge.word} after {spent}"

    @property
    def counts(self) -> str:
        """What has become of the items, when it is over: `61 updated, 9 failed`."""
        if not self.execution.is_finished:
            return ""
        steps = self.execution.steps.all()
        counted = [(name, sum(getattr(step, name) for step in steps)) for name in COUNTERS]
        return ", ".join(
            f"{count:,}\u00a0{name}" for name, count in counted if count and name != "done"
        )

    @cached_property
    def sentence(self) -> str:
        """Why it is as it is: the wait, the error, the stop's receipt, or what came of it."""
        execution = self.execution
        if why := waiting(execution):
            return why.text
        if execution.error:
            return execution.error
        if receipt := control.receipt(execution):
            return receipt["text"]
        return execution.reason or self._so_far()

    def _so_far(self) -> str:
        if self.execution.is_stalled:
            limit = words.limit(settings.JOBS_STALLED_SECONDS)
            return f"It is alive, but has made no progress for more than {limit}."
        if self.execution.outcome == "warned":
            count = self.execution.warnings_count
            return f"Done, with {count:,} {'warning' if count == 1 else 'warnings'}."
        return ""

    @property
    def force_in(self) -> int | None:
        """Seconds until a stopping job is ended by force."""
        deadline = self.execution.stop_deadline_at
        if self.execution.status != Status.STOPPING or deadline is None:
            return None
        return max(0, int((deadline - timezone.now()).total_seconds()))

    @property
    def announcement(self) -> str:
        """Read out by screen readers when it appears: the end of the job."""
        if self.execution.status not in FINISHED:
            return ""
        return f"{self.execution.name}: {self.badge.word}. {self.sentence}"

    @property
    def buttons(self) -> list[Button]:
        """What can be asked for in this status, or why this person may not."""
        answers = control.actions(self.user, self.execution)
        offered = OFFERED.get(Status(self.execution.status), ())
        if not any(step.failed for step in self.execution.steps.all()):
            offered = tuple(action for action in offered if action != "retry_failed")
        if self.execution.dry_run and self.execution.is_finished:
            offered = ("for_real", "relaunch")
        elif self.execution.is_finished and self.has_ledger:
            offered = (*offered, "undo")
        return [self._button(action, answers[action]) for action in offered]

    def _button(self, action: str, answer: dict[str, Any]) -> Button:
        label, icon, tone = BUTTONS[action]
        if action == "abort":
            address = reverse("tracker:stop", args=[self.execution.pk]) + "?level=kill"
            label = "Force now" if self.execution.status == Status.STOPPING else label
        else:
            address = reverse(f"tracker:{action}", args=[self.execution.pk])
        return Button(action, label, icon, tone, address, answer["reason"])

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What is worth knowing at a glance, without what is empty."""
        execution = self.execution
        facts = [
            ("Started by", execution.user.get_username() if execution.user else "the platform"),
            ("Trigger", TRIGGERS.get(execution.trigger, execution.trigger.capitalize())),
            ("Attempt", str(execution.attempt or "")),
            ("Node", f"{execution.node}:{execution.pid}" if execution.pid else execution.node),
            ("Queue", execution.queue),
            ("Job", f"{execution.job} {execution.job_version}"),
            ("Note", execution.note),
        ]
        return [(label, value) for label, value in facts if value]

    @property
    def seconds(self) -> float | None:
        spent = self.execution.running_time
        return spent.total_seconds() if spent else None

    @property
    def duration(self) -> str:
        return words.duration(self.execution.running_time, is_over=self.execution.is_finished)
