"""Launches."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from jobs import parameters as form_parameters
from jobs.control import overlap as overlaps
from jobs.control.credentials import check_places
from jobs.control.operations import refuse_in_maintenance
from jobs.control.refusals import IdempotencyMismatch, ProfileDisabled
from jobs.control.uploads import refuse_strangers
from jobs.definition import InvalidParameters, JobClass, find
from jobs.dispatch import dispatch
from jobs.models import ExecutionFile, JobExecution, JobProfile, Schedule, StatusChange, Upload
from jobs.models.base import ClockNow
from jobs.permissions import Denied, may, may_launch_with, require
from jobs.states import Overlap, Status


def launch(
    *,
    profile: JobProfile | None = None,
    job: str | None = None,
    parameters: dict[str, Any] | None = None,
    user: User | None = None,
    trigger: str = "api",
    name: str = "",
    note: str = "",
    deferred: bool = False,
    not_before: Any = None,
    expires_at: Any = None,
    priority: int | None = None,
    idempotency_key: str | None = None,
    parent: JobExecution | None = None,
    schedule: Schedule | None = None,
    scheduled_for: Any = None,
    node: str | None = None,
    node_roles: Sequence[str] | None = None,
    overlap: Overlap | str | None = None,
) -> JobExecution:
    """Launch a profile, or a job by its name, with parameters laid over the profile's.

    The value of a file parameter is the id of an Upload. With `deferred` it is held until somebody
    activates it, with `not_before` until that moment. With an `idempotency_key` of this user that
    was used for the same request, the earlier execution is returned, its `replayed` true.

    `node` and `node_roles` aim it at one node or at nodes with all these roles, instead of where
    the profile does. `overlap` takes the place of the profile's or job's own policy; where that is
    to skip, the open execution is returned, its `skipped` true.

    Raises Denied, ProfileDisabled, UnderMaintenance, InvalidParameters, UnknownJob,
    IdempotencyMismatch, Overlapping.
    """
    definition = find(profile.job if profile else job or "")
    require(user, "launch", profile or definition)
    if parent is None:  # what runs goes on, with what it launches
        refuse_in_maintenance()
    if profile and not profile.enabled:
        raise ProfileDisabled(f"The profile “{profile.label}” is disabled.")
    given = form_parameters.collect(
        definition,
        parameters or {},
        saved=profile.parameters if profile else None,
        locked=profile.locked if profile else None,
    )
    check_places(definition, given, by=user, profile=profile)
    uploads = {field: _find_upload(field, pk, user) for field, pk in given.uploads.items()}
    refuse_strangers(definition, given.values, uploads)
    files = {field: form_parameters.NamedFile(up.name, up.size) for field, up in uploads.items()}
    form_parameters.clean(definition, given.values, files)
    if not (decision := may_launch_with(user, definition, given.values)):
        raise Denied(decision)
    execution = new_execution(definition, profile, given.values)
    execution.name = name[:200] or execution.name
    execution.note, execution.parent = note, parent
    execution.schedule, execution.scheduled_for = schedule, scheduled_for
    execution.user, execution.trigger = user, trigger
    execution.username = user.get_username() if user else ""
    execution.status = Status.DEFERRED if deferred or not_before else Status.QUEUED
    execution.not_before, execution.expires_at = not_before, expires_at
    execution.priority = execution.priority if priority is None else priority
    execution.aimed_node = execution.aimed_node if node is None else node
    execution.aimed_roles = execution.aimed_roles if node_roles is None else [*node_roles]
    execution.idempotency_key = idempotency_key
    execution.fingerprint = form_parameters.fingerprint(
        profile.code if profile else definition.name,
        given,
        {field: up.sha256 for field, up in uploads.items()},
    )
    policy = Overlap(overlap) if overlap else overlaps.policy_of(definition, profile)
    return store_unless_open(execution, policy, uploads)


def new_execution(
    definition: JobClass, profile: JobProfile | None, parameters: dict[str, Any]
) -> JobExecution:
    """An execution that is not stored yet, as its job and profile have it."""
    execution = _of_profile(profile) if profile else _of_job(definition)
    execution.job_version, execution.type = definition.version(), definition.type
    execution.parameters = parameters
    dry = definition.Parameters.base_fields.get("dry_run")  # which reads "false" as its form does
    execution.dry_run = bool(dry and dry.to_python(parameters.get("dry_run")))
    overlaps.limit(execution, definition, profile)
    execution.timeout_seconds = execution.timeout_seconds or definition.timeout_seconds
    return execution


def _of_profile(profile: JobProfile) -> JobExecution:
    return JobExecution(
        name=profile.label,
        job=profile.job,
        profile=profile,
        profile_version=profile.version,
        queue=profile.effective_queue(),
        priority=profile.priority,
        timeout_seconds=profile.timeout_seconds,
        aimed_node=profile.node,
        aimed_roles=profile.node_roles,
    )


def _of_job(job: JobClass) -> JobExecution:
    return JobExecution(name=job.label, job=job.name, queue=job.queue)


def store_unless_open(
    execution: JobExecution, policy: Overlap, files: Mapping[str, Upload | ExecutionFile]
) -> JobExecution:
    """Store it; but first do what the policy says if as many are open as may run at once."""
    if not overlaps.applies(execution, policy):
        return store(execution, files)
    with transaction.atomic():
        overlaps.take_turn(execution)
        there = _earlier(execution) or overlaps.heed(execution, policy)
        return there or store(execution, files)


def store(execution: JobExecution, files: Mapping[str, Upload | ExecutionFile]) -> JobExecution:
    """Write the execution with its files and first line of history, or find its earlier twin."""
    try:
        with transaction.atomic():
            if execution.status == Status.QUEUED:
                execution.queued_at = ClockNow()
            execution.save(force_insert=True)
            _hold(files)
            for field, given in files.items():
                ExecutionFile.objects.create(
                    execution=execution,
                    role=ExecutionFile.Role.INPUT,
                    field=field,
                    name=given.name,
                    file=given.file.name,
                    size=given.size,
                    sha256=given.sha256,
                )
            StatusChange.objects.create(
                execution=execution,
                event=StatusChange.LAUNCH,
                after=execution.status,
                by=execution.user,
                reason=execution.note,
            )
            if execution.status == Status.QUEUED:
                transaction.on_commit(partial(dispatch, execution.queue), robust=True)
    except IntegrityError:
        earlier = _earlier(execution)
        if earlier is None:
            raise
        return earlier
    execution.refresh_from_db()
    return execution


def _hold(files: Mapping[str, Upload | ExecutionFile]) -> None:
    """Lock the rows of files that are given again: who deletes them waits, and sees the new row."""
    for field, given in files.items():
        rows = type(given)._default_manager.select_for_update(no_key=True).filter(pk=str(given.pk))
        if not rows.values_list("pk"):
            raise InvalidParameters({field: [f"The file {given.name!r} has just been deleted."]})


def _earlier(execution: JobExecution) -> JobExecution | None:
    """What the same key of the same person launched before."""
    if execution.idempotency_key is None:
        return None
    earlier = JobExecution.objects.filter(
        user=execution.user, idempotency_key=execution.idempotency_key
    ).first()
    if earlier and earlier.fingerprint != execution.fingerprint:
        raise IdempotencyMismatch(
            f"The idempotency key {execution.idempotency_key!r} was used for another request."
        )
    if earlier:
        earlier.replayed = True
    return earlier


def _find_upload(field: str, pk: str, user: User | None) -> Upload:
    try:
        found = Upload.objects.filter(pk=uuid.UUID(pk)).first()
    except ValueError:
        found = None
    if found is None or not may(user, "view", found):
        raise InvalidParameters({field: [f"There is no upload {pk!r} of yours."]})
    return found
