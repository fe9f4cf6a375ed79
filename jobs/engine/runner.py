"""What the job process does: go through the steps of one attempt and say how it ended."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import psycopg
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Coalesce
from psycopg import errors

from jobs import parameters
from jobs.definition import (
    COUNTERS,
    ChunkStep,
    FunctionStep,
    InvalidParameters,
    Job,
    JobError,
    StagedStep,
    Step,
    find,
)
from jobs.engine.context import Context
from jobs.engine.database import raw_cursor
from jobs.engine.lease import Halt, Lease, Lost
from jobs.engine.loop import run_chunks
from jobs.engine.staged import run_staged
from jobs.engine.workspace import Workspace
from jobs.models import ExecutionFile, JobExecution, NotAllowed, StepExecution
from jobs.models.base import ClockNow
from jobs.states import Event, Status, StepStatus

log = logging.getLogger(__name__)

DATABASE_GONE = (
    OperationalError,
    InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
)


class DatabaseLost(BaseException):
    """The database went away, not the job: this attempt ends, and the next goes on."""


def run(execution: JobExecution, *, overlapped: bool = True) -> Status | None:
    """Run the attempt that `execution` has just begun; returns its new status.

    None means that the attempt was not ours any more. Raises DatabaseLost when nothing could be
    written; whoever watches this process then takes the execution back.
    """
    lease = Lease(execution, execution.attempt)
    fields: dict[str, Any] = {}
    try:
        fields["result"] = _run_job(execution, lease, overlapped=overlapped)
        event = Event.COMPLETE
    except Halt:
        event = Event.TIME_OUT if lease.timed_out else Event.RELEASE
    except Lost:
        log.warning("Another attempt has taken over; nothing more is written.")
        return None
    except (JobError, InvalidParameters) as error:
        event, fields = Event.FAIL, {"error": str(error)}
    except DATABASE_GONE as error:
        raise DatabaseLost(str(error)) from error
    except Exception as error:
        log.exception("The job's code raised an error.")
        event, fields = Event.FAIL, _bug(error)
    try:
        return execution.transition(event, holder=lease.attempt, **fields)
    except NotAllowed:
        return None  # taken over between the last checkpoint and here
    except DATABASE_GONE as error:
        raise DatabaseLost(str(error)) from error


def _bug(error: Exception) -> dict[str, str]:
    said = f"{type(error).__name__}: {error}".strip().rstrip(":")[:1000]
    return {
        "error": f"An error in the job's code ended it: {said}",
        "error_detail": "".join(traceback.format_exception(error)),
    }


def _run_job(execution: JobExecution, lease: Lease, *, overlapped: bool) -> Any:
    job = prepare(execution)
    steps = list(job.steps())
    records = _records(execution, steps)
    result = execution.result
    for step, record in zip(steps, records, strict=True):
        if record.status in {StepStatus.COMPLETED, StepStatus.SKIPPED}:
            continue
        _begin(step, record, lease)
        if isinstance(step, FunctionStep):
            result = _run_function(step, record, lease, job.workspace, result)
        else:
            _run_loop(step, record, lease, overlapped=overlapped)
            _end(record, lease)
            job.workspace.log(_summary(record))
    own = job.result()
    return result if own is None else own


def prepare(execution: JobExecution) -> Job:
    """The job of an execution, with its cleaned parameters and its files."""
    definition = find(execution.job)
    given = {
        file.field: parameters.NamedFile(file.name, file.size)
        for file in execution.files.filter(role=ExecutionFile.Role.INPUT)
    }
    cleaned = parameters.clean(definition, execution.parameters, given)
    return definition(cleaned, Workspace(execution))


def _records(execution: JobExecution, steps: list[Step]) -> list[StepExecution]:
    """One row a step, made at the first attempt, so that pages know what is to come."""
    StepExecution.objects.bulk_create(
        [
            StepExecution(
                execution=execution,
                order=order,
                name=step.name,
                label=step.label or step.name.replace("_", " ").capitalize(),
            )
            for order, step in enumerate(steps)
        ],
        ignore_conflicts=True,
    )
    found = {record.name: record for record in execution.steps.all()}
    return [found[step.name] for step in steps]


def _begin(step: Step, record: StepExecution, lease: Lease) -> None:
    """Mark the step as running; its size is asked for once."""
    first = record.status == StepStatus.PENDING
    if first:
        record.total = step.count() if not isinstance(step, FunctionStep) else None
        record.length = step.length() if isinstance(step, StagedStep) else None
    with transaction.atomic(), raw_cursor() as cursor:
        StepExecution.objects.filter(pk=record.pk).update(
            status=StepStatus.RUNNING,
            total=record.total,
            length=record.length,
            started_at=Coalesce("started_at", ClockNow()),
            finished_at=None,
        )
        lease.fence(cursor, progress=False)
    lease.check()


def _run_loop(
    step: ChunkStep | StagedStep, record: StepExecution, lease: Lease, *, overlapped: bool
) -> None:
    if isinstance(step, ChunkStep):
        run_chunks(step, record, lease)
    else:
        run_staged(step, record, lease, overlapped=overlapped)


def _run_function(
    step: FunctionStep, record: StepExecution, lease: Lease, workspace: Workspace, result: Any
) -> Any:
    """Call the function; its last work, its result and the step's end commit together."""
    context = Context(record, lease, workspace, atomic=step.atomic)
    try:
        if step.atomic:
            context.begin()
        returned = step.function(context)
        context.begin()
        workspace.commit_files()
        if returned is not None:
            JobExecution.objects.filter(pk=record.execution_id).update(result=returned)
        _end(record, lease)
        context.commit()
    except BaseException as error:
        context.roll_back(error)
        if isinstance(error.__cause__, errors.IdleInTransactionSessionTimeout):
            limit = settings.JOBS_IDLE_TRANSACTION_SECONDS
            raise JobError(
                f"It held a transaction open for {limit:g} s without working. Call"
                " context.checkpoint() more often, or prepare the data before the first query."
            ) from error
        raise
    return result if returned is None else returned


def _summary(record: StepExecution) -> str:
    """What a step did, for the console: `Import rows: 5 processed: 3 created, 2 failed.`"""
    record.refresh_from_db()
    parts = [f"{getattr(record, name):,} {name}" for name in COUNTERS if getattr(record, name)]
    return f"{record}: {record.processed:,} processed{': ' if parts else ''}{', '.join(parts)}."


def _end(record: StepExecution, lease: Lease) -> None:
    with transaction.atomic(), raw_cursor() as cursor:
        StepExecution.objects.filter(pk=record.pk).update(
            status=StepStatus.COMPLETED, finished_at=ClockNow()
        )
        lease.fence(cursor, progress=True)
