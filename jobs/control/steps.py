"""Stopping one step of an execution."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from jobs.control.refusals import Refused
from jobs.control.requests import stop
from jobs.models import JobExecution, StatusChange, StepExecution
from jobs.permissions import require
from jobs.states import Event, Status, StepStatus, StopLevel


def stop_step(
    execution: JobExecution,
    step: str,
    *,
    by: User | None = None,
    level: StopLevel | str = StopLevel.GRACEFUL,
    grace_seconds: float | None = None,
    reason: str = "",
) -> JobExecution:
    """Stop the running step of this name: alone if it is optional, else the whole execution.

    An optional step ends at its next checkpoint and the execution goes on behind it; force would
    end all of it, and is refused. Raises Refused when the step does not run.
    """
    require(by, "stop", execution)
    with transaction.atomic():
        row = JobExecution.objects.select_for_update(no_key=True).get(pk=execution.pk)
        record = _running(row, step)
        if record.optional:
            _stop_alone(row, record, by=by, level=level, reason=reason)
    if not record.optional:
        return stop(execution, by=by, level=level, grace_seconds=grace_seconds, reason=reason)
    execution.refresh_from_db()
    return execution


def _running(row: JobExecution, name: str) -> StepExecution:
    steps = {step.name: step for step in row.steps.all()}
    if name not in steps:
        there = ", ".join(steps) or "none yet"
        raise Refused(f"“{row.name}” has no step {name!r}; there are: {there}.")
    if row.status != Status.RUNNING or steps[name].status != StepStatus.RUNNING:
        said = f"the step is {steps[name].get_status_display().lower()}"
        raise Refused(
            f"“{steps[name]}” of “{row.name}” cannot be stopped: {said}, the execution"
            f" {row.get_status_display().lower()}."
        )
    return steps[name]


def _stop_alone(
    row: JobExecution, step: StepExecution, *, by: User | None, level: str, reason: str
) -> None:
    """Write the wish into the row, where the worker hears of it, and into the history."""
    if level != StopLevel.GRACEFUL:
        raise Refused(
            f"“{step}” alone cannot be stopped by force; that would end all of “{row.name}”."
        )
    if row.stop_step == step.order:
        return
    JobExecution.objects.filter(pk=row.pk).update(stop_step=step.order, version=F("version") + 1)
    said = f"Only the step “{step}”. {reason}".strip()
    StatusChange.objects.create(
        execution=row, event=Event.STOP, before=row.status, after=row.status, by=by, reason=said
    )
