"""What people may set for an export. Profiles keep it, and pages, API and schema follow it."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from jobs.formats.reading import DELIMITER_CHOICES, FORMAT_WORDS
from jobs.recipes.placed import target_fields
from jobs.resources import ResourceClass
from jobs.selection import PARTS, Selection

ENCODING_CHOICES = [
    ("utf-8", "UTF-8"),
    ("utf-8-sig", "UTF-8 with a mark, for Excel"),
    ("cp1252", "Windows-1252"),
    ("latin-1", "ISO 8859-1"),
]
HEADER_CHOICES = [
    ("codes", "Codes, as imports take them"),
    ("labels", "Labels, for people"),
    ("none", "No header"),
]
PACK_CHOICES = [("none", "Not packed"), ("gzip", "gzip"), ("zip", "zip, all files in one")]


class NamesField(forms.JSONField):
    """A list of names, or a text with commas between them."""

    widget = forms.TextInput

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and not value.lstrip().startswith("["):
            return [name.strip() for name in value.split(",") if name.strip()]
        return super().to_python(value) or []

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list) and not any("," in str(name) for name in value):
            return ", ".join(str(name) for name in value)
        return super().prepare_value(value)


class ExportForm(forms.Form):
    """Which rows are written, which of their columns, and what the file is like."""

    resource: ClassVar[ResourceClass]

    format = forms.ChoiceField(choices=list(FORMAT_WORDS.items()), required=False, initial="csv")
    columns = NamesField(
        required=False,
        help_text="Names with commas between them, such as sku, name, family.code; empty: all that "
        "an import takes.",
    )
    filters = forms.JSONField(
        required=False,
        help_text='Which rows: [{"field": "family", "operator": "in", "value": ["shoes"]}]. Empty: '
        "all of them.",
    )
    search = forms.CharField(required=False, help_text="Words that a row must have.")
    order = NamesField(
        required=False, help_text="Names with commas between them; -name for descending."
    )
    header = forms.ChoiceField(choices=HEADER_CHOICES, required=False, initial="codes")
    delimiter = forms.ChoiceField(
        choices=DELIMITER_CHOICES[1:], required=False, initial=";", help_text="Of CSV."
    )
    encoding = forms.ChoiceField(
        choices=ENCODING_CHOICES, required=False, initial="utf-8", help_text="Of CSV."
    )
    rows_per_file = forms.IntegerField(
        required=False, min_value=1, help_text="More rows make several files. Empty: one file."
    )
    pack = forms.ChoiceField(choices=PACK_CHOICES, required=False, initial="none")
    file_name = forms.CharField(
        required=False,
        max_length=200,
        help_text="Without an ending. %job_label%, %datetime% and %execution% are filled in.",
    )
    raw = forms.BooleanField(
        required=False,
        label="Without a guard against formulas",
        help_text="Texts of a CSV file that begin with = + - @ stay as they are, and a spreadsheet "
        "runs them as formulas. Needs a permission.",
    )
    place, path = target_fields()

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        try:
            selection_of(self.resource, given).check()
        except ValidationError as error:
            self.add_error(None, error)
        return given


def selection_of(resource: ResourceClass, parameters: dict[str, Any]) -> Selection:
    """The selection in parameters of an export; raises ValidationError where there is none."""
    parts = {part: parameters[part] for part in PARTS if parameters.get(part)}
    return Selection.from_json(resource, parts)
