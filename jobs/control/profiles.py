"""Profiles: checked before they are saved, and deleted by those who may."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from jobs import parameters as form_parameters
from jobs.control.credentials import check_places
from jobs.control.refusals import Refused
from jobs.definition import InvalidParameters, JobClass, find
from jobs.models import JobProfile
from jobs.models.limits import Rate
from jobs.permissions import Denied, may_launch_with, require
from jobs.states import OPEN


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


def check_profile(profile: JobProfile, *, by: User | None) -> None:
    """Raise ValidationError unless its job exists, its parameters pass and its locks are theirs.

    Raises Denied where `by` changes the place of its files and may not, or may not launch with
    its parameters.
    """
    try:
        job = find(profile.job)
        errors = form_parameters.check_saved(job, profile.parameters)
    except InvalidParameters as error:
        errors = error.errors
    except LookupError as error:
        raise ValidationError({"job": str(error)}) from error
    if errors:
        said = [f"{name}: {' '.join(messages)}" for name, messages in errors.items()]
        raise ValidationError({"parameters": said})
    # A schedule of the platform launches it as it stands.
    if not (decision := may_launch_with(by, job, profile.parameters)):
        raise Denied(decision)
    _check_locks(job, profile.locked)
    _check_limits(profile)
    _check_places(job, profile, by)


def _check_places(job: JobClass, profile: JobProfile, by: User | None) -> None:
    before = JobProfile.objects.filter(pk=profile.pk).first() if profile.pk else None
    try:
        check_places(job, form_parameters.Given(profile.parameters), by=by, profile=before)
    except InvalidParameters as error:
        said = [f"{name}: {' '.join(messages)}" for name, messages in error.errors.items()]
        raise ValidationError({"parameters": said}) from error


def _check_limits(profile: JobProfile) -> None:
    if profile.concurrency is not None and profile.concurrency < 1:
        said = "At least one must be able to run; leave it empty for no limit."
        raise ValidationError({"concurrency": said})
    try:
        if profile.start_rate:
            Rate.parse(profile.start_rate)
    except ValueError as error:
        raise ValidationError({"start_rate": str(error)}) from error


def _check_locks(job: JobClass, locked: list[str]) -> None:
    names = list(job.Parameters.base_fields)
    for name in locked:
        if name not in names:
            there = ", ".join(names) or "none"
            said = f"There is no parameter {name!r} to lock; there are: {there}."
            raise ValidationError({"locked": said})
