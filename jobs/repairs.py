"""Put right what a violated invariant has found, where a machine may.

Statuses move by the table of moves, as they always do; every repair leaves a line in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F

from jobs import control
from jobs.definition import COUNTERS
from jobs.dispatch import dispatch
from jobs.engine import children
from jobs.engine.recover import close_console, take_back, take_back_expired
from jobs.invariants import Invariant, Violation, look_at
from jobs.models import JobExecution, NotAllowed, Slot, StepExecution, Worker
from jobs.models.base import ClockNow, seconds
from jobs.permissions import require
from jobs.schedules import fire_due
from jobs.states import FINISHED, HELD, Event, Status

log = logging.getLogger(__name__)

FORGET_AFTER = seconds(3600)


def repair(invariant: Invariant, *, by: User | None = None) -> int:
    """Look again and put right what violates the invariant now; returns how many were tried.

    Raises Denied unless `by` may operate queues.
    """
    require(by, "operate_queues")
    if not invariant.repair:
        return 0
    found = look_at(invariant, everything=True).violations
    for violation in found:
        with suppress(NotAllowed, JobExecution.DoesNotExist):  # it has moved on by itself
            REPAIRS[invariant.code](violation, by)
        who = by.get_username() if by else "the platform"
        log.warning("Repaired %s for %s: %s", invariant.code, who, violation)
    return len(found)


def _why(invariant: str) -> str:
    return f"Repaired ({invariant})."


def _row(violation: Violation) -> JobExecution:
    return JobExecution.objects.get(pk=str(violation.execution))


def _locked(violation: Violation) -> JobExecution:
    return JobExecution.objects.select_for_update(no_key=True).get(pk=str(violation.execution))


def _take_back(violation: Violation, by: User | None) -> None:
    take_back_expired()
    row = _row(violation)
    if row.status == Status.QUEUED:
        dispatch(row.queue)


def _abort(violation: Violation, by: User | None) -> None:
    why = _why("stop_overdue")
    take_back(_row(violation), int(violation.subject), why=why, event=Event.ABORT)


def _time_out(violation: Violation, by: User | None) -> None:
    why, attempt = _why("time_overdue"), int(violation.subject)
    _row(violation).transition(Event.TIME_OUT, by=by, why=why, holder=attempt)


def _close_attempt(violation: Violation, by: User | None) -> None:
    """At the moment when the next began or the execution ended; now, if neither has happened."""
    with transaction.atomic(), connection.cursor() as cursor:
        row = _locked(violation)
        number = int(violation.subject)
        if row.status in HELD and row.attempt == number:
            return
        cursor.execute(
            "UPDATE jobs_attempt a SET reason = %s, ended_at = coalesce("
            " (SELECT min(n.started_at) FROM jobs_attempt n"
            "  WHERE n.execution_id = a.execution_id AND n.number > a.number),"
            " %s, clock_timestamp())"
            " WHERE execution_id = %s AND number = %s AND ended_at IS NULL",
            [_why("attempt_open"), row.finished_at, row.pk, number],
        )


def _close_console(violation: Violation, by: User | None) -> None:
    close_console(_row(violation), int(violation.subject))


def _end_session(violation: Violation, by: User | None) -> None:
    """Only a session that still has the name of this execution: its number may be another's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid = %s AND application_name LIKE %s",
            [int(violation.subject), f"millrace {violation.execution}.%"],
        )


def _close_steps(violation: Violation, by: User | None) -> None:
    with transaction.atomic():
        row = _locked(violation)
        row.close_steps(Status(row.status))


def _raise_total(violation: Violation, by: User | None) -> None:
    processed = sum((F(name) for name in COUNTERS), start=F("carried"))
    StepExecution.objects.filter(pk=violation.subject, total__lt=processed).update(total=processed)


def _add_up(violation: Violation, by: User | None) -> None:
    children.roll_up([_row(violation).pk])


def _send_again(violation: Violation, by: User | None) -> None:
    queued = JobExecution.objects.filter(pk=str(violation.execution), status=Status.QUEUED)
    queued.update(dispatched_at=None)
    dispatch(violation.subject)


def _move(event: Event, invariant: str) -> Callable[[Violation, User | None], None]:
    def moved(violation: Violation, by: User | None) -> None:
        row = _row(violation)
        with transaction.atomic():
            if row.transition(event, by=by, why=_why(invariant)) == Status.QUEUED:
                transaction.on_commit(partial(dispatch, row.queue), robust=True)

    return moved


def _abort_child(violation: Violation, by: User | None) -> None:
    control.abort(_row(violation), reason=_why("child_left_open"))


def _give_back_slot(violation: Violation, by: User | None) -> None:
    with transaction.atomic():
        row = _locked(violation)
        unbegun = row.status == Status.QUEUED and row.attempt == 0
        if unbegun or row.status in FINISHED | {Status.PAUSED, Status.DEFERRED}:
            Slot.objects.filter(execution=row, key=violation.subject).delete()
            transaction.on_commit(partial(dispatch, row.queue), robust=True)


def _fire(violation: Violation, by: User | None) -> None:
    fire_due()


def _forget_worker(violation: Violation, by: User | None) -> None:
    stale = ClockNow() - FORGET_AFTER
    Worker.objects.filter(name=violation.subject, seen_at__lt=stale).delete()


REPAIRS: dict[str, Callable[[Violation, User | None], None]] = {
    "lease_expired": _take_back,
    "stop_overdue": _abort,
    "time_overdue": _time_out,
    "attempt_open": _close_attempt,
    "console_open": _close_console,
    "session_left": _end_session,
    "step_left_running": _close_steps,
    "step_over_total": _raise_total,
    "part_miscounted": _add_up,
    "not_started": _send_again,
    "deferred_past_time": _move(Event.ACTIVATE, "deferred_past_time"),
    "not_expired": _move(Event.EXPIRE, "not_expired"),
    "joining_alone": _move(Event.REJOIN, "joining_alone"),
    "child_left_open": _abort_child,
    "slot_kept": _give_back_slot,
    "schedule_late": _fire,
    "worker_forgotten": _forget_worker,
}
