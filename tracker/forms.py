"""The Run form of a profile: the job's own parameter form, as the profile presents it."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest

from jobs import control
from jobs.definition import InvalidParameters, Job
from jobs.models import JobExecution, JobProfile

ONCE = "_once"  # no parameter can have this name: a form's field begins with a letter


def run_form(profile: JobProfile, job: type[Job], request: HttpRequest) -> forms.Form:
    """The form with the profile's values; its locked fields are shown, but cannot be changed."""
    form = job.Parameters(
        data=request.POST if request.method == "POST" else None,
        files=request.FILES if request.method == "POST" else None,
        initial=profile.parameters,
    )
    for name in profile.locked:
        if name in form.fields:
            form.fields[name].disabled = True
    return form


def once(request: HttpRequest) -> str:
    """The key by which a form that is sent twice launches once."""
    return request.POST.get(ONCE, "")[:100] or uuid.uuid4().hex


def launch(profile: JobProfile, form: forms.Form, user: User, key: str) -> JobExecution | None:
    """Launch what the form says; None with errors in the form when it does not pass.

    Raises Denied, ProfileDisabled and IdempotencyMismatch, as `control.launch` does.
    """
    if not form.is_valid():
        return None
    try:
        return control.launch(
            profile=profile,
            parameters=_given(form, user),
            user=user,
            trigger="web",
            idempotency_key=f"web-{key}",
        )
    except InvalidParameters as invalid:
        for name, errors in invalid.errors.items():
            form.add_error(name if name in form.fields else None, errors)
    return None


def _given(form: forms.Form, user: User) -> dict[str, Any]:
    """The parameters as values of JSON; a file becomes an upload, whose id is the value."""
    given = {}
    for name, field in form.fields.items():
        value: Any = form.cleaned_data.get(name)
        if field.disabled or (isinstance(field, forms.FileField) and not value):
            continue
        if isinstance(field, forms.FileField):
            given[name] = str(control.upload(value, user=user).pk)
        else:
            given[name] = field.prepare_value(value)
    return given
