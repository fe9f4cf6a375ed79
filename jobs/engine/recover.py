"""Take executions back from processes that are gone. Used by supervisors and controllers."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from jobs.models import JobExecution
from jobs.models.base import ClockNow, database_now, seconds
from jobs.states import FINISHED, HELD, Event, Status

log = logging.getLogger(__name__)


def take_back(
    execution: JobExecution, attempt: int, *, why: str, event: Event | None = None
) -> Status | None:
    """The process that held `attempt` is gone: write what follows from it.

    `event` is what its watcher knows: ABORT when it was killed on purpose, RELEASE when it was
    let go without fault, TIME_OUT when its time was up. Without one it has crashed: what was
    stopping is stopped and what was pausing is paused; otherwise it goes on from its checkpoint,
    or is lost when it crashed JOBS_MAX_CRASHES times in a row at one checkpoint.
    Returns the new status, or None when the attempt has ended already; after the commit, the
    caller tells the workers of what is queued again.
    """
    with transaction.atomic():
        row = JobExecution.objects.select_for_update(no_key=True).filter(pk=execution.pk).first()
        if row is None or row.attempt != attempt or row.status not in HELD:
            return None
        if row.attempts.filter(number=attempt).exclude(ended_at=None).exists():
            return None  # it joined its children, and is being stopped with them
        if event is None and row.deadline_at and row.deadline_at <= database_now():
            event = Event.TIME_OUT
        crashed = event is None and row.status == Status.RUNNING
        after = _crash(row, why) if crashed else row.transition(event or Event.RELEASE, why=why)
    log.warning("Execution %s, attempt %s: %s; it is now %s.", row.pk, attempt, why, after)
    return after


def close_console(execution: JobExecution, attempt: int) -> None:
    """Nothing more of this attempt's output will come."""
    JobExecution.objects.filter(pk=execution.pk, attempt=attempt, console_open=True).update(
        console_open=False, version=F("version") + 1
    )


def close_lost_consoles() -> int:
    """Nothing more comes from a supervisor that died when its job had just ended: tell the pages.

    Returns how many. A supervisor that lives has closed its console within a lease time.
    """
    lost = JobExecution.objects.filter(
        console_open=True,
        status__in=FINISHED,
        finished_at__lt=ClockNow() - seconds(settings.JOBS_LEASE_SECONDS),
    )
    return lost.update(console_open=False, version=F("version") + 1)


def _crash(row: JobExecution, why: str) -> Status:
    crashes = row.crashes + 1 if row.crashed_at == row.checkpoints else 1
    fields: dict[str, Any] = {"crashes": crashes, "crashed_at": F("checkpoints")}
    if crashes >= settings.JOBS_MAX_CRASHES:
        return row.transition(Event.LOSE, why=why, error=_poisoned(row, crashes, why), **fields)
    wait = 0 if crashes == 1 else 2**crashes  # the first crash may be the machine's; go on at once
    return row.transition(
        Event.RELEASE,
        why=why,
        retry_at=ClockNow() + seconds(wait) if wait else None,
        reason=f"Its worker was lost: {why}." if wait else "",
        **fields,
    )


def _poisoned(row: JobExecution, crashes: int, why: str) -> str:
    step = row.steps.filter(finished_at=None).exclude(started_at=None).first()
    where = f"in “{step}”, behind item {step.processed:,}" if step else "before its first step"
    return (
        f"Its process was lost {crashes} times at the same place: {where}. Last cause: {why}."
        " Everything before that place is saved."
    )


def take_back_expired() -> int:
    """Take back every execution whose lease has run out; returns how many.

    Nothing within one lease time of a restart of the database: live workers renew first.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, attempt FROM jobs_jobexecution"
            " WHERE status = ANY(%s) AND lease_expires_at < clock_timestamp()"
            " AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %s)"
            " ORDER BY id LIMIT 100",
            [[str(status) for status in HELD], settings.JOBS_LEASE_SECONDS],
        )
        expired = cursor.fetchall()
    taken = 0
    for pk, attempt in expired:
        if _take_back_if_expired(pk, attempt):
            taken += 1
    return taken


def _take_back_if_expired(pk: uuid.UUID, attempt: int) -> Status | None:
    """Look again under a lock: a renewal may have been faster."""
    with transaction.atomic():
        row = (
            JobExecution.objects.select_for_update(no_key=True, skip_locked=True)
            .filter(pk=pk, attempt=attempt, lease_expires_at__lt=ClockNow())
            .first()
        )
        if row is None:
            return None
        close_console(row, attempt)
        overdue = row.status == Status.STOPPING and row.stop_level == "kill"
        return take_back(
            row,
            attempt,
            why="its worker has not been heard of",
            event=Event.ABORT if overdue else None,
        )
