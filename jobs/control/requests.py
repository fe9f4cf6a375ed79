"""What people ask of an execution: activate, pause, resume, stop, abort, delete."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest

from jobs.control.refusals import AlreadyFinished, Refused
from jobs.dispatch import dispatch, revoke, task_id_of
from jobs.models import ExecutionFile, JobExecution, StatusChange, discard_files
from jobs.models.base import ClockNow, seconds
from jobs.permissions import require
from jobs.states import FINISHED, HELD, OPEN, Event, Status, StopLevel, what_it_did

LEVELS = list(StopLevel)


def activate(execution: JobExecution, *, by: User | None = None) -> JobExecution:
    """Queue what is deferred."""
    return _ask(execution, Event.ACTIVATE, by)


def pause(execution: JobExecution, *, by: User | None = None, reason: str = "") -> JobExecution:
    """Let it rest at its next checkpoint."""
    return _ask(execution, Event.PAUSE, by, reason)


def resume(execution: JobExecution, *, by: User | None = None) -> JobExecution:
    """Let it go on from its last checkpoint."""
    return _ask(execution, Event.RESUME, by)


def _ask(execution: JobExecution, event: Event, by: User | None, reason: str = "") -> JobExecution:
    require(by, str(event), execution)
    with transaction.atomic():
        after = execution.transition(event, by=by, why=reason)
        if after == Status.QUEUED:
            transaction.on_commit(partial(dispatch, execution.queue), robust=True)
    return execution


def stop(
    execution: JobExecution,
    *,
    by: User | None = None,
    level: StopLevel | str = StopLevel.GRACEFUL,
    grace_seconds: float | None = None,
    reason: str = "",
) -> JobExecution:
    """Stop it: what waits at once, what runs at its next checkpoint, by force after the grace.

    Asked again, the level only rises and the deadline only comes nearer. Whoever asks for more
    than a graceful stop, or for a shorter grace than the profile's, needs the right to abort.
    Raises AlreadyFinished when it ended otherwise than by a stop.
    """
    level = StopLevel(level)
    usual = usual_grace(execution)
    grace = usual if grace_seconds is None else max(0.0, float(grace_seconds))
    require(by, "stop", execution)
    if level != StopLevel.GRACEFUL or grace < usual:
        require(by, "abort", execution)
    with transaction.atomic():
        row = JobExecution.objects.select_for_update(no_key=True).get(pk=execution.pk)
        transaction.on_commit(partial(revoke, _task_ids(row)), robust=True)
        if row.status in FINISHED:
            _refuse_unless_stopped(row)
        elif row.status in {Status.RUNNING, Status.PAUSING, Status.JOINING, Status.STOPPING}:
            _request_stop(row, level, 0 if level != StopLevel.GRACEFUL else grace, by, reason)
        else:
            event = Event.ABORT if level == StopLevel.KILL else Event.STOP
            row.transition(
                event, by=by, why=reason, stop_requested_at=ClockNow(), stop_requested_by=by
            )
        for child in row.children.filter(status__in=OPEN).order_by("pk"):
            with suppress(AlreadyFinished):  # it ended a moment ago: its parent stops all the same
                stop(child, level=level, grace_seconds=grace, reason=reason or "With its parent.")
    execution.refresh_from_db()
    return execution


def _task_ids(row: JobExecution) -> list[str]:
    """The message that may be under way for it, or that its worker has."""
    if row.status in HELD and row.task_id:
        return [row.task_id]
    if row.status == Status.QUEUED and row.dispatched_at:
        return [task_id_of(row.pk, row.attempt, row.dispatch_count)]
    return []


def abort(execution: JobExecution, *, by: User | None = None, reason: str = "") -> JobExecution:
    """Stop by force, at once."""
    return stop(execution, by=by, level=StopLevel.KILL, reason=reason)


def usual_grace(execution: JobExecution) -> float:
    """How many seconds a graceful stop may take before force is used."""
    profile = execution.profile
    if profile and profile.stop_grace_seconds is not None:
        return profile.stop_grace_seconds
    return settings.JOBS_STOP_GRACE_SECONDS


def _refuse_unless_stopped(row: JobExecution) -> None:
    if row.status not in {Status.STOPPED, Status.ABORTED}:
        raise AlreadyFinished(
            f"“{row.name}” {what_it_did(row.status)} before the stop took effect."
        )


def _request_stop(
    row: JobExecution,
    level: StopLevel,
    grace: float,
    by: User | None,
    reason: str,
) -> None:
    """Write the wish and its deadline; the worker hears of it with its next renewal.

    A section that cannot be stopped moves the deadline; a stop by force does not wait for it. An
    execution that waits for its children has no worker: the controller ends it after them.
    """
    deadline: Any = ClockNow() + seconds(grace)
    if level != StopLevel.KILL:
        deadline = Greatest(deadline, Coalesce("section_until", deadline))
    if row.status != Status.STOPPING:
        fields: dict[str, Any] = {}
        if row.status == Status.JOINING:
            left = grace + settings.JOBS_KILL_AFTER_SECONDS + settings.JOBS_LEASE_SECONDS
            fields["lease_expires_at"] = ClockNow() + seconds(left)
        row.transition(
            Event.STOP,
            by=by,
            why=reason,
            stop_level=level,
            stop_requested_at=ClockNow(),
            stop_deadline_at=deadline,
            stop_requested_by=by,
            **fields,
        )
        return
    higher = LEVELS.index(level) > LEVELS.index(StopLevel(row.stop_level or StopLevel.GRACEFUL))
    rows = JobExecution.objects.filter(pk=row.pk)
    if higher:
        rows.update(stop_level=level, version=F("version") + 1)
        StatusChange.objects.create(
            execution=row, event=Event.STOP, before=row.status, after=row.status, by=by,
            reason=reason or level.label,
        )  # fmt: skip
    rows.filter(stop_deadline_at__gt=deadline).update(
        stop_deadline_at=deadline, version=F("version") + 1
    )


def delete(execution: JobExecution, *, by: User | None = None) -> None:
    """Delete what is finished or has not begun; the latter is stopped in the same transaction.

    Its files go after the commit, unless an upload or another execution has them too.
    """
    require(by, "delete", execution)
    with transaction.atomic():
        row = JobExecution.objects.select_for_update(no_key=True).get(pk=execution.pk)
        if row.status in {Status.DEFERRED, Status.QUEUED}:
            row.transition(Event.STOP, by=by, why="Deleted.")
        elif row.status not in FINISHED:
            raise Refused(f"“{row.name}” is {row.get_status_display().lower()}: stop it first.")
        if row.children.filter(status__in=OPEN).exists():
            raise Refused(f"Children of “{row.name}” are still open: wait for them, or stop them.")
        theirs = ExecutionFile.objects.filter(Q(execution=row) | Q(execution__parent=row))
        names = list(theirs.values_list("file", flat=True))
        row.delete()
        transaction.on_commit(partial(discard_files, names), robust=True)
