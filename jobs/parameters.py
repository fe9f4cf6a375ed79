"""Parameters of a launch: a profile's, overlaid by those given, checked by the job's form."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder

from jobs.definition import InvalidParameters, Job


@dataclass(frozen=True, slots=True)
class NamedFile:
    """What a form's FileField needs to know of a file that is already stored."""

    name: str
    size: int


@dataclass(slots=True)
class Given:
    """Parameters as they are stored, and the upload ids named by file fields."""

    values: dict[str, Any]
    uploads: dict[str, str] = field(default_factory=dict)


def file_fields(job: type[Job]) -> list[str]:
    """The parameters of a job that are files, in the form's order."""
    fields = job.Parameters.base_fields
    return [name for name, of in fields.items() if isinstance(of, forms.FileField)]


def collect(
    job: type[Job],
    given: dict[str, Any],
    *,
    saved: dict[str, Any] | None = None,
    locked: list[str] | None = None,
) -> Given:
    """Lay `given` over a profile's `saved` parameters and over the form's initial values.

    Raises InvalidParameters for names the job does not have and for locked ones.
    """
    fields = job.Parameters.base_fields
    errors = {
        name: [f"There is no parameter {name!r}; there are: {', '.join(fields) or 'none'}."]
        for name in given
        if name not in fields
    }
    for name in locked or ():
        if name in given and given[name] != (saved or {}).get(name):
            errors[name] = [f"The parameter {name!r} is locked by the profile."]
    if errors:
        raise InvalidParameters(errors)
    values = {name: of.initial for name, of in fields.items() if of.initial is not None}
    values |= {name: value for name, value in (saved or {}).items() if name in fields}
    values |= given
    uploads = {
        name: str(values[name]) for name in file_fields(job) if values.get(name) not in (None, "")
    }
    return Given(json.loads(json.dumps(values, cls=DjangoJSONEncoder)), uploads)


def clean(job: type[Job], values: dict[str, Any], files: dict[str, NamedFile]) -> dict[str, Any]:
    """The cleaned data of the job's form; raises InvalidParameters."""
    names = file_fields(job)
    data = {name: value for name, value in values.items() if name not in names}
    form = job.Parameters(data=data, files=cast("Any", files))  # what fields ask of files
    if not form.is_valid():
        raise InvalidParameters({name: [*errors] for name, errors in form.errors.items()})
    return form.cleaned_data


def check_saved(job: type[Job], values: dict[str, Any]) -> dict[str, list[str]]:
    """What is wrong with a profile's saved parameters; a missing required one is not wrong."""
    errors = {}
    for name, value in collect(job, values).values.items():
        of = job.Parameters.base_fields[name]
        if isinstance(of, forms.FileField):
            errors[name] = ["A profile stores no files; they are given at launch."]
            continue
        try:
            if value not in (None, ""):
                of.clean(value)
        except ValidationError as error:
            errors[name] = list(error.messages)
    return errors


def fingerprint(target: str, given: Given, digests: dict[str, str]) -> str:
    """The identity of a request: what is launched, its parameters, and its files' contents."""
    values = given.values | digests
    text = json.dumps([target, values], sort_keys=True, cls=DjangoJSONEncoder)
    return hashlib.sha256(text.encode()).hexdigest()
