"""The Run form of a profile: the job's own parameter form, as the profile presents it."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any, cast

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from jobs import control
from jobs.definition import InvalidParameters, Job
from jobs.models import JobExecution, JobProfile, Upload
from jobs.parameters import file_fields
from tracker.places import offer_places
from tracker.sections import Section, give_editors, sections

ONCE = "_once"  # no parameter can have this name: a form's field begins with a letter


def once(request: HttpRequest) -> str:
    """The key by which a form that is sent twice launches once."""
    return request.POST.get(ONCE, "")[:100] or uuid.uuid4().hex


class RunForm:
    """The parameters of a profile's job, to be launched with; made when it is first shown."""

    def __init__(self, profile: JobProfile, request: HttpRequest):
        self.profile, self.job, self.request = profile, profile.definition, request

    @cached_property
    def form(self) -> forms.Form:
        return run_form(self.profile, self.job, self.request) if self.job else forms.Form()

    @cached_property
    def sections(self) -> list[Section]:
        return sections(self.form, self.profile.type)

    @cached_property
    def once(self) -> str:
        return once(self.request)

    @property
    def can_try(self) -> bool:
        """Whether it can be run so that nothing is written."""
        field = self.form.fields.get("dry_run")
        return field is not None and not field.disabled

    @property
    def only_tries(self) -> bool:
        """Whether the profile says that it is never more than tried."""
        field = self.form.fields.get("dry_run")
        return bool(field and field.disabled and self.profile.parameters.get("dry_run"))

    def take_file(self, user: User) -> Upload | None:
        """Keep the file alone, to be looked at; None with errors in the form."""
        if not self.form.is_valid():
            return None
        file = self.form.cleaned_data.get("file")
        if not file:
            self.form.add_error("file", "Choose the file to look at.")
            return None
        try:
            return control.upload(file, user=user)
        except (control.FileRefused, control.FileTooLarge) as refused:
            self.form.add_error("file", str(refused))
        return None

    @property
    def changed(self) -> dict[str, Any]:
        """The parameters that differ from those of the profile."""
        saved = self.profile.parameters
        return {
            name: value
            for name, value in values_of(self.form).items()
            if (value or None) != (saved.get(name, self.form.fields[name].initial) or None)
        }

    def launch(self, user: User) -> JobExecution | None:
        """Launch what the form says; None with errors in the form when it does not pass.

        Raises Denied, Refused and IdempotencyMismatch, as `control.launch` does.
        """
        return launch(self.profile, self.form, user, self.once)


def run_form(profile: JobProfile, job: type[Job], request: HttpRequest) -> forms.Form:
    """The form with the profile's values; its locked fields are shown, but cannot be changed."""
    form = job.Parameters(
        data=request.POST if request.method == "POST" else None,
        files=request.FILES if request.method == "POST" else None,
        initial=profile.parameters,
    )
    give_editors(form, getattr(job, "resource", None))
    offer_places(form, job, profile, cast("User", request.user))
    for name in profile.locked:
        if name in form.fields:
            form.fields[name].disabled = True
    return form


class SavedForm:
    """The parameters of a profile, to be saved in it; files are given at launch."""

    def __init__(self, profile: JobProfile, request: HttpRequest):
        self.profile, self.job, self.user = profile, profile.definition, cast("User", request.user)
        self.form = self._form(request) if self.job else forms.Form()

    def _form(self, request: HttpRequest) -> forms.Form:
        assert self.job is not None
        data = request.POST if request.method == "POST" else None
        form = self.job.Parameters(data=data, initial=self.profile.parameters)
        for name in file_fields(self.job):
            del form.fields[name]
        for field in form.fields.values():
            field.required = False
        give_editors(form, getattr(self.job, "resource", None))
        offer_places(form, self.job, self.profile, self.user)
        return form

    @cached_property
    def sections(self) -> list[Section]:
        return sections(self.form, self.profile.type)

    def save(self) -> bool:
        """Save what differs from the job's own values; false with errors in the form."""
        if not self.form.is_valid():
            return False
        self.profile.parameters = {
            name: value
            for name, value in values_of(self.form).items()
            if (value or None) != (self.form.fields[name].initial or None)
        }
        try:
            control.check_profile(self.profile, by=self.user)
        except ValidationError as invalid:
            self.form.add_error(None, invalid.messages)
            return False
        self.profile.save()
        return True


def launch(profile: JobProfile, form: forms.Form, user: User, key: str) -> JobExecution | None:
    """Launch what the form says; None with errors in the form when it does not pass.

    A profile that is not stored stands for its job alone. Raises Denied, ProfileDisabled and
    IdempotencyMismatch, as `control.launch` does.
    """
    if not form.is_valid():
        return None
    try:
        return control.launch(
            profile=profile if profile.pk else None,
            job=profile.job,
            parameters=_given(form, user),
            user=user,
            trigger="web",
            idempotency_key=f"web-{key}",
        )
    except (control.FileRefused, control.FileTooLarge) as refused:
        form.add_error(_file_of(form), str(refused))
    except InvalidParameters as invalid:
        say(form, invalid)
    return None


def _file_of(form: forms.Form) -> str | None:
    """The field of the file, if there is only one."""
    files = [name for name, field in form.fields.items() if isinstance(field, forms.FileField)]
    return files[0] if len(files) == 1 else None


def say(form: forms.Form, invalid: InvalidParameters) -> None:
    """Put what a launch has against its parameters beside the fields of the form."""
    for name, errors in invalid.errors.items():
        form.add_error(name if name in form.fields else None, errors)


def _given(form: forms.Form, user: User) -> dict[str, Any]:
    """The parameters as values of JSON; a file becomes an upload, whose id is the value."""
    given = values_of(form)
    for name, field in form.fields.items():
        value = form.cleaned_data.get(name)
        if value and isinstance(field, forms.FileField) and not field.disabled:
            given[name] = str(control.upload(value, user=user).pk)
    return given


def values_of(form: forms.Form) -> dict[str, Any]:
    """The parameters of a valid form but its files and locked fields, as values of JSON."""
    return {
        name: form.cleaned_data.get(name)
        if isinstance(field, forms.JSONField)
        else field.prepare_value(form.cleaned_data.get(name))
        for name, field in form.fields.items()
        if not field.disabled and not isinstance(field, forms.FileField)
    }
