"""The parameters by which a job's file comes from a place, or goes to one."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from jobs.places.names import clean_path

FOLDER = "folder:"
NAME = re.compile(r"^(folder:)?[A-Za-z0-9_-]{1,100}$")


class PlaceField(forms.CharField):
    """The name of a credential, or `folder:` and the name of a folder of the server; or nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "max_length": 110, **options})

    def clean(self, value: Any) -> str:
        name = super().clean(value)
        if name and not NAME.match(name):
            raise ValidationError(
                f"{name!r} is no place: write the name of a credential, or folder: and the name of"
                " a folder of the server."
            )
        return name


class PathField(forms.CharField):
    """Where in the place the file lies."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "max_length": 500, **options})

    def clean(self, value: Any) -> str:
        try:
            path = super().clean(value)
            cleaned = clean_path(path)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return f"{cleaned}/" if cleaned and path.endswith("/") else cleaned


def place_fields(form: type[forms.Form]) -> dict[str, str]:
    """The names of the form's places, each with the name of its path or nothing."""
    fields: Any = form.base_fields
    places = [name for name, of in fields.items() if isinstance(of, PlaceField)]
    paths = [name for name, of in fields.items() if isinstance(of, PathField)]
    return dict(zip(places, [*paths, *([""] * len(places))], strict=False))
