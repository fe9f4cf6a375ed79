"""What the job process does: one attempt, from its first step to the event that ends it."""

from __future__ import annotations

import logging
import random
import traceback
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from psycopg import errors

from jobs import parameters
from jobs.definition import InvalidParameters, Job, JobError, Partition, find
from jobs.engine.children import Join
from jobs.engine.conflicts import is_conflict
from jobs.engine.database import raw_cursor
from jobs.engine.lease import Halt, Lease, Lost
from jobs.engine.steps import go_through
from jobs.engine.workspace import Workspace
from jobs.models import ExecutionFile, JobExecution, NotAllowed
from jobs.models.base import ClockNow, seconds
from jobs.states import FINISHED, Event, Status, move

log = logging.getLogger(__name__)

DATABASE_GONE = (
    OperationalError,
    InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
)
# After a deadlock or a serialization failure that its chunk could not get over by itself.
CONFLICT_RETRIES, CONFLICT_PAUSE_SECONDS = 5, 1.0
LONGEST_PAUSE_SECONDS = 3600


class DatabaseLost(BaseException):
    """The database went away, not the job: this attempt ends, and the next goes on."""


@dataclass
class End:
    """The event that ends an attempt, why, and what is saved with it."""

    event: Event
    why: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


def run(execution: JobExecution, *, forked: bool = True) -> Status | None:
    """Run the attempt that `execution` has just begun; returns its new status.

    Not `forked`, it works on Django's connection alone, inside the caller's transaction. None
    means that the attempt was not ours any more. Raises DatabaseLost when nothing could be
    written; whoever watches this process then takes the execution back.
    """
    lease = Lease(execution, execution.attempt, forked=forked)
    try:
        end = _attempt(lease)
    except Lost:
        log.warning("Another attempt has taken over; nothing more is written.")
        return None
    except DATABASE_GONE as error:
        raise DatabaseLost(str(error)) from error
    return _write(lease, end)


def _attempt(lease: Lease) -> End:
    """Go through the steps, say what that leads to, and let the job clean up."""
    job = None
    try:
        job = prepare(lease.execution)
        end = End(Event.COMPLETE, fields={"result": go_through(job, lease)})
    except Halt as halt:
        end = End(halt.event, halt.why, halt.fields)
    except Join:
        # Asked to pause or to stop meanwhile, it lets go; its children are found again later.
        joins = move(Event.JOIN, lease.status) is not None
        end = End(Event.JOIN if joins else Event.RELEASE, "it waits for its children")
    except Exception as error:  # noqa: BLE001 (a job may raise what it likes)
        end = _error(job, lease, error)
    if job:
        _close(job, lease, end)
    return end


def prepare(execution: JobExecution) -> Job:
    """The job of an execution, with its cleaned parameters and its files."""
    definition = find(execution.job)
    given = {}
    if parameters.file_fields(definition):
        given = {
            file.field: parameters.NamedFile(file.name, file.size)
            for file in execution.files.filter(role=ExecutionFile.Role.INPUT)
        }
    cleaned = parameters.clean(definition, execution.parameters, given)
    job = definition(cleaned, Workspace(execution))
    if execution.partition is not None and execution.partitions:
        job.partition = Partition(execution.partition, execution.partitions)
    return job


def _error(job: Job | None, lease: Lease, error: Exception) -> End:
    again = None
    if job and isinstance(error, job.retry_on):
        again = _again(lease.execution, job.max_retries, job.retry_backoff_seconds, error)
    elif is_conflict(error):
        again = _again(lease.execution, CONFLICT_RETRIES, CONFLICT_PAUSE_SECONDS, error)
    elif isinstance(error, DATABASE_GONE) or _was_frozen(error):
        raise DatabaseLost(str(error)) from error
    if again:
        log.warning("It is tried again.", exc_info=error)
        return again
    if isinstance(error, (JobError, InvalidParameters)):
        return End(Event.FAIL, fields={"error": str(error)})
    log.error("The job's code raised an error.", exc_info=error)
    return End(Event.FAIL, fields=_bug(error))


def _was_frozen(error: Exception) -> bool:
    """PostgreSQL ended a chunk's idle transaction: its process, or the machine, stood still."""
    return any(
        isinstance(each, errors.IdleInTransactionSessionTimeout)
        for each in (error, error.__cause__)
    )


def _again(execution: JobExecution, limit: int, pause: float, error: Exception) -> End | None:
    """Let go and go on from the checkpoint later, unless that has been tried often enough."""
    execution.refresh_from_db(fields=["retries", "retried_at", "checkpoints"])
    same_place = execution.retried_at == execution.checkpoints
    retries = execution.retries + 1 if same_place else 1
    if retries > limit:
        return None
    wait = min(LONGEST_PAUSE_SECONDS, pause * 2 ** (retries - 1)) * random.uniform(1, 1.25)
    why = f"Try {retries} of {limit} after {_said(error)}"
    return End(
        Event.RELEASE,
        why,
        {
            "retries": retries,
            "retried_at": F("checkpoints"),
            "retry_at": ClockNow() + seconds(wait),
            "reason": why,
        },
    )


def _bug(error: Exception) -> dict[str, str]:
    return {
        "error": f"An error in the job's code ended it: {_said(error)}",
        "error_detail": "".join(traceback.format_exception(error)),
    }


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().rstrip(":")[:1000]


def _close(job: Job, lease: Lease, end: End) -> None:
    """Let the job clean up, if this attempt is its last. A failure of that changes nothing."""
    after = move(end.event, lease.status)
    if after not in FINISHED or type(job).close is Job.close:
        return
    try:
        with transaction.atomic(), raw_cursor() as cursor:
            job.close(str(after))
            lease.fence(cursor, progress=False)
    except DATABASE_GONE:
        raise
    except Exception:
        log.exception("The job's clean-up raised an error.")


def _write(lease: Lease, end: End) -> Status | None:
    try:
        return lease.execution.transition(
            end.event, holder=lease.attempt, why=end.why, **end.fields
        )
    except NotAllowed:
        return None  # taken over between the last checkpoint and here
    except DATABASE_GONE as error:
        raise DatabaseLost(str(error)) from error
