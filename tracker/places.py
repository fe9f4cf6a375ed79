"""The places that a form offers: all to those who may choose one, else the profile's own.

Where there is none to choose, nothing is asked.
"""

from __future__ import annotations

from django import forms
from django.contrib.auth.models import User

from jobs import control
from jobs.definition import Job
from jobs.models import JobProfile
from jobs.permissions import may
from jobs.places import place_fields


def offer_places(form: forms.Form, job: type[Job], profile: JobProfile, user: User) -> None:
    """Make a choice of each place; without the right to choose, it stays as the profile has it."""
    fields = place_fields(job.Parameters)
    chooses = bool(fields and may(user, "choose_place", profile))
    every = control.places() if chooses else []
    for name, path in fields.items():
        saved = profile.parameters.get(name) or ""
        if not every and not saved:
            for hidden in (name, path):
                form.fields.pop(hidden, None)
            continue
        places = every or [(saved, saved)]
        none = "None: the file is sent" if "file" in job.Parameters.base_fields else "None"
        form.fields[name].widget = forms.Select(choices=[("", none), *places])
        if not chooses:
            form.fields[name].disabled = True
            form.fields[path].disabled = bool(profile.parameters.get(path))
