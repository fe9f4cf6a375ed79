"""One execution as the lists show it: words, icons and numbers, worked out once."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import User

from jobs import control
from jobs.models import JobExecution, StepExecution
from jobs.states import FINISHED, HELD, Status, StepStatus
from jobs.waiting import waiting_for
from tracker.queries import words

SEGMENTS = 12  # with more steps than this a list shows one bar


@dataclass(frozen=True, slots=True)
class Badge:
    """A status as people read it: never by its tone alone."""

    word: str
    icon: str
    tone: str


BADGES = {
    Status.DEFERRED: Badge("Deferred", "clock", "idle"),
    Status.QUEUED: Badge("Queued", "queue-list", "idle"),
    Status.RUNNING: Badge("Running", "arrow-path", "run"),
    Status.JOINING: Badge("Waiting for children", "share", "run"),
    Status.PAUSING: Badge("Pausing", "pause", "warn"),
    Status.PAUSED: Badge("Paused", "pause-circle", "warn"),
    Status.STOPPING: Badge("Stopping", "hand-raised", "warn"),
    Status.COMPLETED: Badge("Completed", "check-circle", "ok"),
    Status.FAILED: Badge("Failed", "x-circle", "bad"),
    Status.LOST: Badge("Lost", "signal-slash", "bad"),
    Status.TIMED_OUT: Badge("Timed out", "clock", "bad"),
    Status.EXPIRED: Badge("Expired", "calendar", "bad"),
    Status.STOPPED: Badge("Stopped", "stop-circle", "halt"),
    Status.ABORTED: Badge("Aborted", "no-symbol", "halt"),
}
WARNED = Badge("Completed", "exclamation-triangle", "warn")

STEP_BADGES = {
    StepStatus.PENDING: Badge("Pending", "ellipsis-horizontal-circle", "idle"),
    StepStatus.RUNNING: Badge("Running", "arrow-path", "run"),
    StepStatus.COMPLETED: Badge("Completed", "check-circle", "ok"),
    StepStatus.SKIPPED: Badge("Skipped", "forward", "idle"),
    StepStatus.FAILED: Badge("Failed", "x-circle", "bad"),
    StepStatus.STOPPED: Badge("Stopped", "stop-circle", "halt"),
}

TYPE_ICONS = {
    "import": "arrow-down-tray",
    "export": "arrow-up-tray",
    "mass_edit": "pencil-square",
    "rules": "adjustments-horizontal",
    "project": "clipboard-document-list",
    "approval": "check-badge",
    "command": "command-line",
    "discovery": "magnifying-glass",
    "package": "archive-box",
    "asset_import": "photo",
}


def badge(execution: JobExecution) -> Badge:
    """The status in words: `Starting` and `Running 2/3` are told from the steps."""
    if execution.outcome == "warned":
        return WARNED
    shown = BADGES[Status(execution.status)]
    if execution.status != Status.RUNNING:
        return shown
    return Badge(_running(list(execution.steps.all())), shown.icon, shown.tone)


def _running(steps: list[StepExecution]) -> str:
    begun = [step for step in steps if step.status != StepStatus.PENDING]
    if not begun:
        return "Starting"
    if all(step.status in {StepStatus.COMPLETED, StepStatus.SKIPPED} for step in steps):
        return "Processing output"
    return f"Running {len(begun)}/{len(steps)}" if len(steps) > 1 else "Running"


@dataclass(frozen=True, slots=True)
class Segment:
    """One step's part of a progress bar; `percent` is None while it cannot be measured."""

    label: str
    percent: int | None
    tone: str


def icon(execution: JobExecution) -> str:
    """What it is, as a picture: that of its type, or an undo."""
    if execution.undoes_id is not None:
        return "arrow-uturn-left"
    return TYPE_ICONS.get(execution.type, "cube")


def segments(execution: JobExecution) -> list[Segment]:
    """The parts of its progress bar; none before it has begun."""
    if execution.started_at is None:
        return []
    steps = list(execution.steps.all())
    if not steps or len(steps) > SEGMENTS:
        return [Segment("All steps", execution.percent, badge(execution).tone)]
    return [segment_of(step) for step in steps]


def segment_of(step: StepExecution) -> Segment:
    percent = None if step.share is None else int(100 * step.share)
    return Segment(str(step), percent, STEP_BADGES[StepStatus(step.status)].tone)


def time_left(execution: JobExecution) -> str:
    """`about 2 min left`, from how fast it has been so far; nothing when it does not move."""
    if execution.status != Status.RUNNING or not execution.running_time:
        return ""
    steps = list(execution.steps.all())
    shares = [step.share for step in steps if step.share is not None]
    if len(shares) < len(steps):
        return "not measurable"
    done = sum(shares) / len(shares) if shares else 0
    spent = execution.running_time.total_seconds()
    if done < 0.02 or spent < 2:
        return "estimating"
    return f"{words.about(spent * (1 - done) / done)} left"


def progress(execution: JobExecution) -> str:
    """How far it is, in words: `42 %, about 2 min left`; `1,200 items`; `62 %, 412 items`."""
    if execution.status == Status.COMPLETED:
        return words.items(sum(step.processed for step in execution.steps.all()))
    if execution.started_at is None:
        return ""
    percent = f"{execution.percent} %" if execution.percent else ""
    if execution.is_finished:
        more = words.items(sum(step.processed for step in execution.steps.all()))
    else:
        more = time_left(execution)
    return ", ".join(filter(None, (percent, more)))


@dataclass(frozen=True, slots=True)
class Row:
    """An execution on a list."""

    execution: JobExecution
    badge: Badge
    icon: str
    segments: list[Segment]
    percent: int | None
    progress: str
    note: str
    seconds: float | None
    duration: str
    ticks: bool
    stalled: bool
    can_stop: bool
    why_not: str


def rows(user: User, executions: Iterable[JobExecution]) -> dict[uuid.UUID, Row]:
    """The rows of these executions by id; their steps, user and profile should be loaded."""
    executions = list(executions)
    reasons = waiting_for(executions)
    return {
        execution.pk: _row(user, execution, reasons[execution.pk].text)
        if execution.pk in reasons
        else _row(user, execution, "")
        for execution in executions
    }


def _row(user: User, execution: JobExecution, why_it_waits: str) -> Row:
    stop = control.moves(user, execution)["stop"]
    spent: dt.timedelta | None = execution.running_time
    return Row(
        execution=execution,
        badge=badge(execution),
        icon=icon(execution),
        segments=segments(execution),
        percent=execution.percent,
        progress=progress(execution),
        note=why_it_waits or execution.error or progress(execution),
        seconds=spent.total_seconds() if spent else None,
        duration=words.duration(spent, is_over=execution.is_finished),
        ticks=execution.status in HELD,
        stalled=execution.is_stalled,
        can_stop=stop["allowed"],
        why_not="" if execution.status in FINISHED else stop["reason"],
    )
