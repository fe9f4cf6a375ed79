"""New executions in place of ended ones: continue, relaunch, run for real, retry failed.

A finished execution never changes again, so each of these makes another one.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from jobs import parameters as form_parameters
from jobs.control import overlap as overlaps
from jobs.control.credentials import check_places
from jobs.control.launching import new_execution, store_unless_open
from jobs.control.operations import refuse_in_maintenance
from jobs.control.refusals import ProfileDisabled, Refused
from jobs.definition import find
from jobs.models import ExecutionFile, JobExecution, StepExecution, StepWarning, Takes
from jobs.permissions import require
from jobs.states import FINISHED, Status, StepStatus

CONTINUED = FINISHED - {Status.COMPLETED, Status.EXPIRED}


def relaunch(execution: JobExecution, *, by: User | None = None) -> JobExecution:
    """Launch it afresh, with the same parameters and files."""
    require(by, "relaunch", execution)
    if reason := cannot_relaunch(execution):
        raise Refused(reason)
    return _again(execution, by, trigger="relaunch")


def run_for_real(execution: JobExecution, *, by: User | None = None) -> JobExecution:
    """Launch what was a dry run so that it writes, with the same file and parameters."""
    require(by, "for_real", execution)
    if reason := cannot_run_for_real(execution):
        raise Refused(reason)
    return _again(execution, by, trigger="relaunch", parameters={"dry_run": False})


def cannot_run_for_real(execution: JobExecution) -> str:
    """Why it cannot be launched so that it writes, or nothing."""
    if not execution.dry_run:
        return f"“{execution.name}” was no dry run."
    if execution.profile and "dry_run" in execution.profile.locked:
        return f"“{execution.profile.label}” is only ever run dry: its profile says so."
    return cannot_relaunch(execution)


def continue_(execution: JobExecution, *, by: User | None = None) -> JobExecution:
    """Go on behind the last checkpoint of one that failed, was lost, stopped or ran out of time.

    Raises Refused when there is nothing to go on from, or its code has changed since.
    """
    require(by, "continue", execution)
    if reason := cannot_continue(execution):
        raise Refused(reason)
    with transaction.atomic():
        _hold(execution)
        made = _again(execution, by, trigger="continue", continues=execution)
        if not made.skipped:
            take_over_steps(made, execution)
    return made


def retry_failed(execution: JobExecution, *, by: User | None = None) -> JobExecution:
    """Take up the failed rows of a finished execution again, and only these."""
    require(by, "retry_failed", execution)
    if reason := cannot_retry_failed(execution):
        raise Refused(reason)
    with transaction.atomic():
        _hold(execution)
        return _again(
            execution, by, trigger="retry_failed", continues=execution, takes=Takes.FAILED
        )


def _hold(execution: JobExecution) -> None:
    """Whoever prunes it waits, and sees that it is continued."""
    rows = JobExecution.objects.select_for_update(no_key=True).filter(pk=execution.pk)
    if not rows.values_list("pk"):
        raise Refused(f"“{execution.name}” has just been deleted.")


def cannot_relaunch(execution: JobExecution) -> str:
    """Why it cannot be launched again, or nothing."""
    if execution.status not in FINISHED:
        said = execution.get_status_display().lower()
        return f"“{execution.name}” is {said}: it can be launched again when it has ended."
    if execution.partition is not None:
        return "It is a part of another execution: launch that one again."
    return ""


def cannot_continue(execution: JobExecution) -> str:
    """Why it cannot be continued, or nothing."""
    if execution.status not in CONTINUED:
        said = execution.get_status_display().lower()
        return f"“{execution.name}” is {said}: there is nothing to continue."
    if execution.dry_run:
        return "It was a dry run, which always begins anew: launch it again."
    definition = execution.definition
    if definition is None:
        return f"The job {execution.job!r} is no longer installed."
    if definition.version() != execution.job_version and list(execution.steps.all()):
        return f"The code of “{definition.label}” has changed since: relaunch it instead."
    if execution.partition is not None:
        return "It is a part of another execution: continue that one."
    return ""


def cannot_retry_failed(execution: JobExecution) -> str:
    """Why there are no failed rows to take up again, or nothing."""
    if execution.status not in FINISHED:
        said = execution.get_status_display().lower()
        return f"“{execution.name}” is {said}; its failed rows are known when it has ended."
    if execution.partition is not None:
        return "It is a part of another execution: retry that one."
    if not any(step.failed for step in execution.steps.all()):
        return f"“{execution.name}” has no failed rows."
    return ""


def failed_items(execution: JobExecution) -> QuerySet[StepWarning]:
    """The warnings of the items that failed."""
    return execution.warnings.filter(outcome=StepWarning.Outcome.FAILED)


def take_over_steps(execution: JobExecution, before: JobExecution) -> None:
    """Begin where `before` has left off: its cursors, and what it had done counts as carried."""
    kept = {StepStatus.COMPLETED, StepStatus.SKIPPED}
    StepExecution.objects.bulk_create(
        StepExecution(
            execution=execution,
            order=step.order,
            name=step.name,
            label=step.label,
            optional=step.optional,
            status=step.status if step.status in kept else _begun(step),
            reason=step.reason if step.status in kept else "",
            cursor=step.cursor,
            total=step.total,
            position=step.position,
            length=step.length,
            carried=step.carried + step.processed,
        )
        for step in before.steps.all()
    )
    JobExecution.objects.filter(pk=execution.pk).update(result=before.result)


def _begun(step: StepExecution) -> StepStatus:
    """What was begun goes on: its condition and its size are not asked for again."""
    return StepStatus.RUNNING if step.started_at else StepStatus.PENDING


def _again(
    execution: JobExecution,
    by: User | None,
    *,
    trigger: str,
    continues: JobExecution | None = None,
    takes: str = "",
    parameters: dict[str, Any] | None = None,
) -> JobExecution:
    definition, profile = find(execution.job), execution.profile
    values = execution.parameters | (parameters or {})
    if profile and not profile.enabled:
        raise ProfileDisabled(f"The profile “{profile.label}” is disabled.")
    files = {file.field: file for file in execution.files.filter(role=ExecutionFile.Role.INPUT)}
    check_places(definition, form_parameters.Given(values), by=by, profile=profile)
    named = {field: form_parameters.NamedFile(of.name, of.size) for field, of in files.items()}
    form_parameters.clean(definition, values, named)
    refuse_in_maintenance()
    made = new_execution(definition, profile, values)
    made.name, made.queue, made.priority = execution.name, execution.queue, execution.priority
    made.aimed_node, made.aimed_roles = execution.aimed_node, execution.aimed_roles
    made.user, made.username = by, by.get_username() if by else ""
    made.trigger, made.continues, made.takes = trigger, continues, takes
    made.undoes = execution.undoes
    made.fingerprint = execution.fingerprint
    return store_unless_open(made, overlaps.policy_of(definition, profile), files)
