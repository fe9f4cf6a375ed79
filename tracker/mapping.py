"""Between choosing a file and importing it: how it is read, and what becomes of its columns."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from jobs import control
from jobs.definition import InvalidParameters
from jobs.models import JobExecution, JobProfile, Upload
from jobs.permissions import Decision, may
from jobs.preview import Preview, mistake, preview
from tracker.forms import ONCE, say, values_of
from tracker.sections import Section, give_editors, sections

SAMPLES = 3
LONGEST = 40  # characters of a sample
ELSEWHERE = ("file", "place", "path")  # the file is here already
READING = "How it is read"


def is_mapped(profile: JobProfile) -> bool:
    """Whether the profile's job reads a file whose columns can be led to others."""
    fields = profile.definition.Parameters.base_fields if profile.definition else {}
    return "mapping" in fields and "file" in fields


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A column of the file: what its cells seem to be, and the column that it goes to."""

    name: str
    kind: str
    samples: list[str]
    chosen: str
    choices: list[tuple[str, str]]
    is_unknown: bool


class MappingPage:
    """An uploaded file in the light of a profile, with the form to import it."""

    def __init__(self, profile: JobProfile, upload: Upload, request: HttpRequest):
        assert profile.definition is not None
        self.profile, self.job, self.upload = profile, profile.definition, upload
        self.user: User = request.user  # type: ignore[assignment]
        self.data = request.POST if request.method == "POST" else None
        self.given = _read(request.GET.get("with", ""))
        self.once = request.POST.get(ONCE, "")[:100] or uuid.uuid4().hex

    @cached_property
    def form(self) -> forms.Form:
        form = self.job.Parameters(data=self.data, initial=self._initial)
        for name in ELSEWHERE:
            form.fields.pop(name, None)
        for name in self.profile.locked:
            if name in form.fields:
                form.fields[name].disabled = True
        give_editors(form, self.job.resource)  # type: ignore[attr-defined]
        return form

    @cached_property
    def _initial(self) -> dict[str, Any]:
        """The profile's values, those chosen at launch, and what the file itself seems to use."""
        chosen = self.profile.parameters | self.given
        if self.data is not None:
            return chosen
        found = self.preview = preview(self.job, self.upload, chosen)
        return {"decimal": found.decimal, "date_format": found.date_format} | chosen

    @cached_property
    def values(self) -> dict[str, Any]:
        """How the file is to be read now; what does not pass is left to the profile."""
        if self.data is None:
            return dict(self._initial)
        self.form.full_clean()
        return self.profile.parameters | {
            name: value for name, value in values_of(self.form).items() if value is not None
        }

    @cached_property
    def preview(self) -> Preview:
        return preview(self.job, self.upload, self.values)

    @cached_property
    def mapping(self) -> dict[str, str]:
        """Each column of the file and where it goes: as chosen, otherwise as its name suggests."""
        chosen = self.values.get("mapping") or {}
        return {
            name: chosen.get(name, (self.preview.mapping.get(name) or ""))
            if isinstance(chosen, Mapping)
            else ""
            for name in self.preview.header
        }

    @property
    def columns(self) -> list[FileColumn]:
        found = self.preview
        return [
            self._column(name, guess.kind, [row[place] for row in found.rows if place < len(row)])
            for place, (name, guess) in enumerate(zip(found.header, found.guesses, strict=True))
        ]

    @property
    def unknown(self) -> int:
        """How many columns go nowhere, as nothing here has their name."""
        return sum(column.is_unknown for column in self.columns)

    def _column(self, name: str, kind: str, cells: list[str]) -> FileColumn:
        chosen = self.mapping[name]
        known = [("", "Leave out"), *((name, name) for name in self.preview.known)]
        further = chosen and chosen not in self.preview.known
        return FileColumn(
            name=name,
            kind=kind,
            samples=_samples(cells),
            chosen=chosen,
            choices=[*known, (chosen, chosen)] if further else known,
            is_unknown=self.preview.mapping.get(name) is None and not chosen,
        )

    @cached_property
    def mistake(self) -> str:
        """Why the file cannot be imported with these columns, or nothing."""
        found = self.preview
        return found.fault or mistake(self.job, found.header, self.mapping)

    @cached_property
    def sections(self) -> list[Section]:
        form_sections = sections(self.form, self.profile.type)
        return [section.without("mapping") for section in form_sections]

    @property
    def reading(self) -> list[Any]:
        """The fields that say how the file is read."""
        return [
            field
            for section in self.sections
            if section.title == READING
            for field in (*section.fields, *section.rare)
        ]

    @property
    def rest(self) -> list[Section]:
        return [section for section in self.sections if section.title != READING]

    @cached_property
    def edit(self) -> Decision:
        return may(self.user, "edit", self.profile)

    def launch(self) -> JobExecution | None:
        """Import it; None with errors in the form. Raises Denied and Refused."""
        if not self.form.is_valid():
            return None
        given = self._chosen | {"file": str(self.upload.pk)}
        if "place" in self.job.Parameters.base_fields and self.profile.parameters.get("place"):
            given |= {"place": "", "path": ""}
        try:
            return control.launch(
                profile=self.profile,
                parameters=given,
                user=self.user,
                trigger="web",
                idempotency_key=f"web-{self.once}",
            )
        except InvalidParameters as invalid:
            say(self.form, invalid)
        return None

    @property
    def _chosen(self) -> dict[str, Any]:
        """The parameters of the form; of the mapping only what its names do not say already."""
        values = values_of(self.form)
        if "mapping" in values:
            mapping = self.mapping.items()
            values["mapping"] = {name: to for name, to in mapping if name != to}
        return values

    def save(self) -> bool:
        """Keep all of it in the profile but the file; false with errors in the form."""
        if not self.form.is_valid():
            return False
        fields = self.job.Parameters.base_fields
        kept = dict(self.profile.parameters)
        for name, value in self._chosen.items():
            kept.pop(name, None)
            if name != "dry_run" and (value or None) != (fields[name].initial or None):
                kept[name] = value
        self.profile.parameters = kept
        try:
            control.check_profile(self.profile, by=self.user)
        except ValidationError as invalid:
            self.form.add_error(None, invalid.messages)
            return False
        self.profile.save()
        return True


def _read(text: str) -> dict[str, Any]:
    """The parameters that an address brings along."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _samples(cells: list[str]) -> list[str]:
    """The first different values that are not empty."""
    found = dict.fromkeys(cell.strip() for cell in cells if cell.strip())
    return [text if len(text) <= LONGEST else f"{text[:LONGEST]}…" for text in [*found][:SAMPLES]]
