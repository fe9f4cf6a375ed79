"""Profiles: checked before they are saved, and deleted by those who may."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from jobs import parameters as form_parameters
from jobs.control.refusals import Refused
from jobs.definition import InvalidParameters, find
from jobs.models import JobProfile
from jobs.permissions import require
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
