"""What people ask for: upload, launch, activate, pause, resume, stop, abort, delete.

Every function checks the right of `by` (None is the platform itself), asks the table of moves and
tells the workers after the commit. They join the caller's transaction: rolled back, nothing
happened.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import PurePath
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from jobs import parameters as form_parameters
from jobs.definition import InvalidParameters, Job, find
from jobs.dispatch import dispatch
from jobs.models import (
    ExecutionFile,
    JobExecution,
    JobProfile,
    NotAllowed,
    StatusChange,
    Upload,
)
from jobs.models.base import ClockNow, seconds
from jobs.permissions import Denied, may, require
from jobs.states import FINISHED, OPEN, REQUESTS, Event, Status, StopLevel, allowed

LEVELS = list(StopLevel)


class Refused(Exception):
    """What was asked for cannot be done now; the message says why."""


class ProfileDisabled(Refused):
    """Launches of this profile are switched off."""


class IdempotencyMismatch(Refused):
    """The idempotency key has been used for another request."""


class AlreadyFinished(Refused):
    """It ended before the stop took effect."""


def upload(file: File, *, user: User | None, name: str | None = None) -> Upload:
    """Keep a file for a launch. Two files of one name never meet: each has a key of its own."""
    digest, size = hashlib.sha256(), 0
    for block in file.chunks():
        digest.update(block)
        size += len(block)
    file.seek(0)
    shown = PurePath(name or file.name or "file").name[-255:]
    found = Upload(name=shown, size=size, sha256=digest.hexdigest(), user=user)
    found.file.save(shown, file, save=False)
    found.save()
    return found


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
) -> JobExecution:
    """Launch a profile, or a job by its name, with parameters laid over the profile's.

    The value of a file parameter is the id of an Upload. With `deferred` it is held until somebody
    activates it, with `not_before` until that moment. With an `idempotency_key` of this user that
    was used for the same request, the earlier execution is returned, its `replayed` true.

    Raises Denied, ProfileDisabled, InvalidParameters, UnknownJob, IdempotencyMismatch.
    """
    definition = find(profile.job if profile else job or "")
    require(user, "launch", profile or definition)
    if profile and not profile.enabled:
        raise ProfileDisabled(f"The profile “{profile.label}” is disabled.")
    given = form_parameters.collect(
        definition,
        parameters or {},
        saved=profile.parameters if profile else None,
        locked=profile.locked if profile else None,
    )
    uploads = {name: _find_upload(name, pk, user) for name, pk in given.uploads.items()}
    files = {name: form_parameters.NamedFile(up.name, up.size) for name, up in uploads.items()}
    form_parameters.clean(definition, given.values, files)
    execution = JobExecution(
        name=(name or (profile.label if profile else definition.label))[:200],
        job=definition.name,
        job_version=definition.version(),
        type=definition.type,
        profile=profile,
        profile_version=profile.version if profile else None,
        parameters=given.values,
        user=user,
        trigger=trigger,
        note=note,
        status=Status.DEFERRED if deferred or not_before else Status.QUEUED,
        queue=profile.effective_queue() if profile else definition.queue,
        priority=priority if priority is not None else (profile.priority if profile else 0),
        not_before=not_before,
        expires_at=expires_at,
        timeout_seconds=(profile and profile.timeout_seconds) or definition.timeout_seconds,
        idempotency_key=idempotency_key,
        fingerprint=form_parameters.fingerprint(
            profile.code if profile else definition.name,
            given,
            {name: up.sha256 for name, up in uploads.items()},
        ),
    )
    return _store(execution, uploads)


def _store(execution: JobExecution, uploads: dict[str, Upload]) -> JobExecution:
    """Write the execution with its files and first line of history, or find its earlier twin."""
    try:
        with transaction.atomic():
            if execution.status == Status.QUEUED:
                execution.queued_at = timezone.now()
            execution.save(force_insert=True)
            for field, up in uploads.items():
                ExecutionFile.objects.create(
                    execution=execution,
                    role=ExecutionFile.Role.INPUT,
                    field=field,
                    name=up.name,
                    file=up.file.name,
                    size=up.size,
                    sha256=up.sha256,
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
    usual = _usual_grace(execution)
    grace = usual if grace_seconds is None else max(0.0, float(grace_seconds))
    require(by, "stop", execution)
    if level != StopLevel.GRACEFUL or grace < usual:
        require(by, "abort", execution)
    with transaction.atomic():
        row = JobExecution.objects.select_for_update(no_key=True).get(pk=execution.pk)
        if row.status in FINISHED:
            _refuse_unless_stopped(row)
        elif row.status in {Status.RUNNING, Status.PAUSING, Status.JOINING, Status.STOPPING}:
            _request_stop(row, level, 0 if level != StopLevel.GRACEFUL else grace, by, reason)
        else:
            event = Event.ABORT if level == StopLevel.KILL else Event.STOP
            row.transition(
                event, by=by, why=reason, stop_requested_at=ClockNow(), stop_requested_by=by
            )
    execution.refresh_from_db()
    return execution


def abort(execution: JobExecution, *, by: User | None = None, reason: str = "") -> JobExecution:
    """Stop by force, at once."""
    return stop(execution, by=by, level=StopLevel.KILL, reason=reason)


def _usual_grace(execution: JobExecution) -> float:
    profile = execution.profile
    if profile and profile.stop_grace_seconds is not None:
        return profile.stop_grace_seconds
    return settings.JOBS_STOP_GRACE_SECONDS


def _refuse_unless_stopped(row: JobExecution) -> None:
    if row.status not in {Status.STOPPED, Status.ABORTED}:
        raise AlreadyFinished(
            f"“{row.name}” was {row.get_status_display().lower()} before the stop took effect."
        )


def _request_stop(
    row: JobExecution,
    level: StopLevel,
    grace: float,
    by: User | None,
    reason: str,
) -> None:
    """Write the wish and its deadline; the worker hears of it with its next renewal."""
    deadline = ClockNow() + seconds(grace)
    if row.status != Status.STOPPING:
        row.transition(
            Event.STOP,
            by=by,
            why=reason,
            stop_level=level,
            stop_requested_at=ClockNow(),
            stop_deadline_at=deadline,
            stop_requested_by=by,
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
    """Delete what is finished or has not begun; the latter is stopped in the same transaction."""
    require(by, "delete", execution)
    with transaction.atomic():
        row = JobExecution.objects.select_for_update(no_key=True).get(pk=execution.pk)
        if row.status in {Status.DEFERRED, Status.QUEUED}:
            row.transition(Event.STOP, by=by, why="Deleted.")
        elif row.status not in FINISHED:
            raise Refused(f"“{row.name}” is {row.get_status_display().lower()}: stop it first.")
        row.delete()


def actions(user: User | None, execution: JobExecution) -> dict[str, dict[str, Any]]:
    """For each request: whether `user` may make it now, and if not, why."""
    possible = allowed(execution.status)
    answers = {}
    for event in REQUESTS:
        decision = may(user, str(event), execution)
        reason = decision.reason
        if decision and event not in possible:
            reason = str(NotAllowed(execution, event, execution.status))
        answers[str(event)] = {"allowed": not reason, "reason": reason}
    if execution.status == Status.STOPPING:  # asked again, a stop can only become harder
        harder = may(user, "abort", execution)
        answers["stop"] = {"allowed": False, "reason": "It is stopping already."}
        answers["abort"] = {"allowed": bool(harder), "reason": harder.reason}
    return answers


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a stop did, in words and as data."""

    text: str
    status: str
    seconds: float | None
    processed: int
    total: int | None
    resumable: bool


def receipt(execution: JobExecution) -> dict[str, Any] | None:
    """The receipt of a stop that has been asked for, or None."""
    if execution.stop_requested_at is None:
        return None
    steps = list(execution.steps.all())
    processed = sum(step.processed for step in steps)
    totals = [step.total for step in steps]
    known = [total for total in totals if total is not None]
    total = sum(known) if totals and len(known) == len(totals) else None
    took = None
    if execution.finished_at:
        took = (execution.finished_at - execution.stop_requested_at).total_seconds()
    written = f"{processed:,}{f' of {total:,}' if total else ''} items are done and stay"
    if execution.status in {Status.STOPPED, Status.ABORTED}:
        word = "Stopped" if execution.status == Status.STOPPED else "Aborted"
        began = execution.started_at is not None
        text = f"{word} in {took:.1f} s: {written}." if began else f"{word} before it began."
    elif execution.status == Status.STOPPING:
        text = f"Stopping: {written}."
    else:
        text = f"It was {execution.get_status_display().lower()} before the stop took effect."
    resumable = execution.started_at is not None and any(step.cursor for step in steps)
    return asdict(Receipt(text, execution.status, took, processed, total, resumable))


def definition_of(profile: JobProfile) -> type[Job]:
    """The job that a profile launches; raises UnknownJob."""
    return find(profile.job)


def delete_profile(profile: JobProfile, *, by: User | None = None) -> None:
    """Delete a profile; its executions stay.

    Refused while one of them is open, and when it is sensitive and has been launched: without
    the profile nothing would keep their contents from others.
    """
    require(by, "delete", profile)
    with transaction.atomic():
        row = JobProfile.objects.select_for_update().get(pk=profile.pk)
        if row.executions.filter(status__in=OPEN).exists():
            raise Refused(f"“{row.label}” has executions that have not ended: stop them first.")
        if row.sensitive and row.executions.exists():
            raise Refused(
                f"“{row.label}” is sensitive and keeps the contents of its executions from others:"
                " delete them first, or disable the profile instead."
            )
        row.delete()


def check_profile(profile: JobProfile) -> None:
    """Raise ValidationError unless the profile's job exists and its parameters pass."""
    try:
        errors = form_parameters.check_saved(find(profile.job), profile.parameters)
    except InvalidParameters as error:
        errors = error.errors
    except LookupError as error:
        raise ValidationError({"job": str(error)}) from error
    if errors:
        said = [f"{name}: {' '.join(messages)}" for name, messages in errors.items()]
        raise ValidationError({"parameters": said})


__all__ = [
    "AlreadyFinished",
    "Denied",
    "IdempotencyMismatch",
    "InvalidParameters",
    "NotAllowed",
    "ProfileDisabled",
    "Refused",
    "abort",
    "actions",
    "activate",
    "check_profile",
    "definition_of",
    "delete",
    "delete_profile",
    "launch",
    "pause",
    "receipt",
    "resume",
    "stop",
    "upload",
]
