"""The life of an execution: its statuses, the events that move it, and one table of moves.

Only `JobExecution.transition()` writes `status`, and it asks `move()`. Buttons, API answers and
bulk pre-checks come from the same table, through `allowed()`.
"""

from __future__ import annotations

from django.db import models


class Status(models.TextChoices):
    DEFERRED = "deferred", "Deferred"  # held until somebody activates it, or until its time
    QUEUED = "queued", "Queued"  # waiting for a worker
    RUNNING = "running", "Running"  # a worker holds the lease
    JOINING = "joining", "Waiting for children"  # holds no worker while its children work
    PAUSING = "pausing", "Pausing"  # asked to pause; the worker finishes its chunk
    PAUSED = "paused", "Paused"  # kept at its checkpoint until somebody resumes it
    STOPPING = "stopping", "Stopping"  # asked to stop; the stop ladder is being climbed
    COMPLETED = "completed", "Completed"  # every step ran to its end
    FAILED = "failed", "Failed"  # a step could not go on
    LOST = "lost", "Lost"  # its worker vanished more often than allowed
    TIMED_OUT = "timed_out", "Timed out"  # ran past its limit
    EXPIRED = "expired", "Expired"  # was not started before its deadline
    STOPPED = "stopped", "Stopped"  # left at a checkpoint because somebody asked
    ABORTED = "aborted", "Aborted"  # ended by force


class Event(models.TextChoices):
    ACTIVATE = "activate"  # a person, or the clock
    START = "start"  # a worker claims it
    PAUSE = "pause"  # a person
    RESUME = "resume"  # a person
    STOP = "stop"  # a person
    ABORT = "abort"  # a person, the stop ladder, or a revoke from Celery
    RELEASE = "release"  # the worker lets go at a checkpoint, or is found dead
    JOIN = "join"  # the worker lets go until the children have ended
    REJOIN = "rejoin"  # the last child has ended
    COMPLETE = "complete"  # the worker
    FAIL = "fail"  # the worker
    TIME_OUT = "time_out"  # the worker, or the controller
    EXPIRE = "expire"  # the clock
    LOSE = "lose"  # the crash budget is used up


class Group(models.TextChoices):
    """Run-state groups: the tabs of the Process Tracker."""

    READY = "ready", "Ready"
    ACTIVE = "active", "Active"
    PAUSED = "paused", "Paused"
    STOPPING = "stopping", "Stopping"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    TIMED_OUT = "timed_out", "Timed out"
    HALTED = "halted", "Halted"


_S = Status

MOVES: dict[Event, dict[Status, Status]] = {
    Event.ACTIVATE: {_S.DEFERRED: _S.QUEUED},
    Event.START: {_S.QUEUED: _S.RUNNING},
    Event.PAUSE: {_S.QUEUED: _S.PAUSED, _S.RUNNING: _S.PAUSING},
    Event.RESUME: {_S.PAUSED: _S.QUEUED, _S.PAUSING: _S.RUNNING},
    Event.STOP: {
        **dict.fromkeys((_S.DEFERRED, _S.QUEUED, _S.PAUSED), _S.STOPPED),
        **dict.fromkeys((_S.RUNNING, _S.PAUSING, _S.JOINING), _S.STOPPING),
    },
    Event.ABORT: dict.fromkeys(
        (_S.DEFERRED, _S.QUEUED, _S.PAUSED, _S.RUNNING, _S.JOINING, _S.PAUSING, _S.STOPPING),
        _S.ABORTED,
    ),
    Event.RELEASE: {_S.RUNNING: _S.QUEUED, _S.PAUSING: _S.PAUSED, _S.STOPPING: _S.STOPPED},
    Event.JOIN: {_S.RUNNING: _S.JOINING},
    Event.REJOIN: {_S.JOINING: _S.QUEUED},
    Event.COMPLETE: dict.fromkeys((_S.RUNNING, _S.PAUSING, _S.STOPPING), _S.COMPLETED),
    Event.FAIL: dict.fromkeys((_S.QUEUED, _S.RUNNING, _S.PAUSING, _S.STOPPING), _S.FAILED),
    Event.TIME_OUT: dict.fromkeys((_S.RUNNING, _S.JOINING, _S.PAUSING, _S.STOPPING), _S.TIMED_OUT),
    Event.EXPIRE: dict.fromkeys((_S.DEFERRED, _S.QUEUED), _S.EXPIRED),
    Event.LOSE: dict.fromkeys((_S.RUNNING, _S.PAUSING, _S.STOPPING), _S.LOST),
}

GROUPS: dict[Group, frozenset[Status]] = {
    Group.READY: frozenset({_S.DEFERRED, _S.QUEUED}),
    Group.ACTIVE: frozenset({_S.RUNNING, _S.JOINING, _S.PAUSING}),
    Group.PAUSED: frozenset({_S.PAUSED}),
    Group.STOPPING: frozenset({_S.STOPPING}),
    Group.SUCCEEDED: frozenset({_S.COMPLETED}),
    Group.FAILED: frozenset({_S.FAILED, _S.LOST}),
    Group.TIMED_OUT: frozenset({_S.TIMED_OUT, _S.EXPIRED}),
    Group.HALTED: frozenset({_S.STOPPED, _S.ABORTED}),
}

HELD = frozenset({_S.RUNNING, _S.PAUSING, _S.STOPPING})  # a worker holds the lease
FINISHED = frozenset(
    {_S.COMPLETED, _S.FAILED, _S.LOST, _S.TIMED_OUT, _S.EXPIRED, _S.STOPPED, _S.ABORTED}
)
OPEN = frozenset(_S) - FINISHED
REQUESTS = frozenset({Event.ACTIVATE, Event.PAUSE, Event.RESUME, Event.STOP, Event.ABORT})

# Words of other systems, accepted by the `status` filter.
PEER_WORDS: dict[str, frozenset[Status]] = {
    "ok": frozenset({_S.COMPLETED}),
    "error": frozenset({_S.FAILED, _S.LOST}),
    "timeout": frozenset({_S.TIMED_OUT}),
    "scheduled": GROUPS[Group.READY],
    "awol": frozenset({_S.LOST}),
    "waiting": frozenset({_S.QUEUED}),
    "canceling": frozenset({_S.STOPPING}),
    "canceled": frozenset({_S.STOPPED}),
}


class StepStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    RUNNING = "running", "Running"
    COMPLETED = "completed", "Completed"
    SKIPPED = "skipped", "Skipped"
    FAILED = "failed", "Failed"
    STOPPED = "stopped", "Stopped"


class StopLevel(models.TextChoices):
    """How hard a stop is; a level only ever rises."""

    GRACEFUL = "graceful", "At the next checkpoint"
    INTERRUPT = "interrupt", "Cancel its SQL and ask the process to end"
    KILL = "kill", "End the process at once"


class Overlap(models.TextChoices):
    """What a launch does when as many executions are open as may run at once."""

    QUEUE = "queue", "Wait for its turn"
    SKIP = "skip", "Launch nothing, show the open one"
    REJECT = "reject", "Refuse the launch"
    REPLACE = "replace", "Stop the open ones and start after them"


def move(event: Event, status: str) -> Status | None:
    """The status that `event` leads to from `status`, or None when the table has no such move."""
    return MOVES[event].get(Status(status))


def allowed(status: str) -> frozenset[Event]:
    """The events that may happen to an execution in this status."""
    return frozenset(event for event, moves in MOVES.items() if Status(status) in moves)


def group_of(status: str) -> Group:
    """The run-state group under which people find this status."""
    return next(group for group, members in GROUPS.items() if status in members)


def what_it_did(status: str) -> str:
    """How a sentence tells the end: `failed`, `timed out`, `was stopped`."""
    word = Status(status).label.lower()
    by_itself = {Status.FAILED, Status.TIMED_OUT, Status.EXPIRED}
    return word if status in by_itself else f"was {word}"


def outcome_of(status: str, warnings: int) -> str | None:
    """How a finished execution ended: None while open, `warned` for completed with warnings."""
    if status not in FINISHED:
        return None
    if status == Status.COMPLETED:
        return "warned" if warnings else "succeeded"
    return str(Status(status))
