"""Go through the steps of a job: which are due, how each is begun, done and ended."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Coalesce
from psycopg import errors

from jobs.definition import (
    COUNTERS,
    ChunkStep,
    FunctionStep,
    ItemWarning,
    Job,
    JobError,
    StagedStep,
    Step,
)
from jobs.engine import checkpoint, children
from jobs.engine.conflicts import is_conflict
from jobs.engine.context import Context
from jobs.engine.database import raw_cursor
from jobs.engine.failed import failed_keys
from jobs.engine.lease import Lease, StepStopped
from jobs.engine.loop import run_chunks
from jobs.engine.staged import run_staged
from jobs.engine.turns import Turns
from jobs.models import JobExecution, StepExecution
from jobs.models.base import ClockNow
from jobs.states import StepStatus

DUE = {StepStatus.PENDING, StepStatus.RUNNING}


def go_through(job: Job, lease: Lease) -> Any:
    """Do the steps that are not done yet, and wait for children. Returns the job's result."""
    execution = lease.execution
    steps = [step for step in job.steps() if execution.parent_step in {"", step.name}]
    records = _records(execution, steps)
    lease.turns = Turns(job, execution)
    lease.check()
    result = execution.result
    for step, record in zip(steps, records, strict=True):
        if record.status in DUE:
            result = _do(step, record, lease, job, result)
    if execution.attempt > 1 or lease.has_launched:
        children.wait(lease)
    own = job.result()
    return result if own is None else own


def _records(execution: JobExecution, steps: list[Step]) -> list[StepExecution]:
    """One row a step, made at the first attempt, so that pages know what is to come."""
    made = [
        StepExecution(
            execution=execution,
            order=order,
            name=step.name,
            label=step.label or step.name.replace("_", " ").capitalize(),
            optional=step.optional,
        )
        for order, step in enumerate(steps)
    ]
    is_new = execution.attempt == 1 and execution.continues_id is None
    records = StepExecution.objects.bulk_create(made, ignore_conflicts=not is_new)
    if not is_new:
        found = {record.name: record for record in execution.steps.all()}
        records = [found[step.name] for step in steps]
    if execution.partition is not None:
        whole = StepExecution.objects.get(execution=execution.parent_id, name=execution.parent_step)
        for record in records:
            record.told_to = (whole.execution_id, whole.pk)
    return records


def _do(step: Step, record: StepExecution, lease: Lease, job: Job, result: Any) -> Any:
    """Do one step, if its condition holds; what ends an optional one ends nothing else."""
    due = record.status != StepStatus.PENDING or step.when()
    if due is not True and (isinstance(due, str) or not due):
        _end(record, lease, StepStatus.SKIPPED, reason=due or "Its condition did not hold.")
        return result
    lease.step = record.order
    try:
        with ExitStack() as stack:
            if step.unstoppable_seconds is not None:
                stack.enter_context(lease.section(str(record), step.unstoppable_seconds))
            _begin(step, record, lease)
            return _work(step, record, lease, job, result)
    except StepStopped:
        _end(record, lease, StepStatus.STOPPED, reason="Stopped; the execution goes on without it.")
    except Exception as error:
        if not step.optional or isinstance(error, job.retry_on) or _is_the_database(error):
            raise
        _fail_optional(record, lease, error)
    finally:
        lease.step = None
    return result


def _work(step: Step, record: StepExecution, lease: Lease, job: Job, result: Any) -> Any:
    if isinstance(step, FunctionStep):
        return _run_function(step, record, lease, job, result)
    if step.partitions > 1 and job.partition is None and lease.forked:
        children.do_in_parts(step, record, lease)
    elif isinstance(step, ChunkStep):
        run_chunks(step, record, lease)
    else:
        run_staged(step, record, lease, overlapped=lease.forked)
    _end(record, lease)
    job.workspace.log(_summary(record))
    return result


def _begin(step: Step, record: StepExecution, lease: Lease) -> None:
    """Mark the step as running; its size is asked for once."""
    if record.status == StepStatus.PENDING and not isinstance(step, FunctionStep):
        taken = failed_keys(lease.execution, step.name)
        record.total = step.count() if taken is None else len(taken)
        record.length = step.length() if isinstance(step, StagedStep) else None
    if record.columns is None and isinstance(step, StagedStep):
        record.columns = step.columns()
    with transaction.atomic(), raw_cursor() as cursor:
        StepExecution.objects.filter(pk=record.pk).update(
            status=StepStatus.RUNNING,
            total=record.total,
            length=record.length,
            columns=record.columns,
            started_at=Coalesce("started_at", ClockNow()),
            finished_at=None,
        )
        lease.fence(cursor, progress=False)
    lease.check()


def _run_function(
    step: FunctionStep, record: StepExecution, lease: Lease, job: Job, result: Any
) -> Any:
    """Call the function; its last work, its result and the step's end commit together."""
    context = Context(record, lease, job.workspace, atomic=step.atomic)
    try:
        if step.atomic:
            context.begin()
        returned = step.function(context)
        context.begin()
        job.workspace.commit_files()
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
    said = f"{record}: {record.processed:,} processed{': ' if parts else ''}{', '.join(parts)}."
    return f"{said} Nothing was written." if record.execution.dry_run else said


def _end(
    record: StepExecution,
    lease: Lease,
    status: StepStatus = StepStatus.COMPLETED,
    warnings: tuple[ItemWarning, ...] = (),
    **fields: Any,
) -> None:
    with transaction.atomic(savepoint=False), raw_cursor() as cursor:
        StepExecution.objects.filter(pk=record.pk).update(
            status=status, finished_at=ClockNow(), **fields
        )
        checkpoint.warn(cursor, record, warnings)
        lease.fence(cursor, progress=True, warnings=len(warnings))


def _fail_optional(record: StepExecution, lease: Lease, error: Exception) -> None:
    """Note why the step failed; the execution is completed with a warning in the end."""
    said = str(error) if isinstance(error, JobError) else f"{type(error).__name__}: {error}"
    warning = ItemWarning(
        code="step_failed", message=f"“{record}” failed: {said}", key=str(record), outcome="kept"
    )
    _end(record, lease, StepStatus.FAILED, (warning,), error=said)


def _is_the_database(error: Exception) -> bool:
    """The database, not the step, is in trouble."""
    gone = (errors.OperationalError, errors.InterfaceError)
    return is_conflict(error) or isinstance(error, gone) or isinstance(error.__cause__, gone)
