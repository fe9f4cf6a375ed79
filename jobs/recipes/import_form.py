"""What people may set for an import. Profiles keep it, and pages, API and schema follow it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst

from jobs.formats.base import Options
from jobs.formats.reading import (
    DELIMITER_CHOICES,
    ENCODING_CHOICES,
    FORMAT_CHOICES,
    HEADER_CHOICES,
    QUOTE_CHOICES,
)
from jobs.recipes.creating import creatable
from jobs.recipes.modes import Mode
from jobs.recipes.placed import check_source, source_fields
from jobs.recipes.spelling import DatePattern
from jobs.resources import ResourceClass

VALIDATION_CHOICES = [("fields", "By the fields"), ("model", "By the model's own code")]
DECIMAL_CHOICES = [(".", "Point: 1234.5"), (",", "Comma: 1234,5")]


class TextsField(forms.JSONField):
    """A JSON object whose values are texts; nothing is an empty one."""

    def clean(self, value: Any) -> dict[str, str]:
        found = super().clean(value) or {}
        if not isinstance(found, dict):
            raise ValidationError("It must be an object: {name: text}.", "invalid")
        for name, text in found.items():
            if not isinstance(text, str):
                raise ValidationError(f"The value of {name!r} must be a text.", "invalid")
        return found


class DateFormatField(forms.CharField):
    """A pattern such as dd.MM.yyyy; empty is 2026-03-31."""

    def clean(self, value: Any) -> str:
        pattern = super().clean(value)
        if pattern:
            try:
                DatePattern(pattern)
            except ValueError as error:
                raise ValidationError(str(error), "invalid") from None
        return pattern


def read_options(parameters: dict[str, Any]) -> Options:
    """How a file is to be read."""
    return Options(
        format=parameters.get("format") or "",
        delimiter=parameters.get("delimiter") or "",
        quote=parameters.get("quote") or "",
        encoding=parameters.get("encoding") or "",
        header=parameters.get("header") != "none",
        sheet=parameters.get("sheet") or "",
    )


class ImportForm(forms.Form):
    """How a file is read, and what is done with its rows."""

    file = forms.FileField(
        required=False,
        help_text="CSV, XLSX, JSON or Parquet; it may be packed with gzip or zip.",
    )
    place, path = source_fields()
    format = forms.ChoiceField(choices=FORMAT_CHOICES, required=False)
    delimiter = forms.ChoiceField(
        choices=DELIMITER_CHOICES, required=False, help_text="What separates the cells of CSV."
    )
    quote = forms.ChoiceField(
        choices=QUOTE_CHOICES,
        required=False,
        label="Quotation mark",
        help_text="What stands around cells of CSV that have delimiters or line ends.",
    )
    encoding = forms.ChoiceField(
        choices=ENCODING_CHOICES, required=False, help_text="How letters are written in CSV."
    )
    header = forms.ChoiceField(
        choices=HEADER_CHOICES,
        required=False,
        help_text="Of CSV and XLSX. Columns without names need a mapping.",
    )
    sheet = forms.CharField(
        required=False,
        max_length=100,
        help_text="The sheet of a workbook (XLSX). Empty: the first one that is not hidden.",
    )
    decimal = forms.ChoiceField(
        choices=DECIMAL_CHOICES,
        required=False,
        initial=".",
        label="Decimal separator",
        help_text="What stands before the decimals of a number.",
    )
    date_format = DateFormatField(
        required=False,
        max_length=20,
        help_text="How dates look: dd.MM.yyyy for 31.12.2026, MM/dd/yyyy, dd/MM/yyyy, or a pattern "
        "of your own with yyyy, MM and dd. Empty: 2026-12-31.",
    )
    mapping = TextsField(
        required=False,
        label="Columns",
        help_text="Columns of the file that have other names here: {name in the file: name here}. "
        'An empty name leaves the column out: {"Price": "price-EUR", "Remark": ""}.',
    )
    defaults = TextsField(
        required=False,
        help_text="What new rows get in columns that the file does not have: "
        '{"family": "shoes", "enabled": "0"}. Rows that exist keep what they have.',
    )
    validation = forms.ChoiceField(
        choices=VALIDATION_CHOICES,
        required=False,
        initial="fields",
        help_text="By the fields it is fast: their types, choices, validators and the rules of the "
        "database. By the model every row also goes through full_clean(), save() and signals, "
        "which is many times slower.",
    )
    max_failed = forms.IntegerField(
        required=False,
        min_value=0,
        label="Stop after failed rows",
        help_text="When more rows than these have failed, the import ends as failed. What was "
        "imported before stays.",
    )
    max_failed_percent = forms.FloatField(
        required=False,
        min_value=0,
        max_value=100,
        label="Stop after failed rows, in percent",
        help_text="The same as a share of the rows read so far; looked at from 100 rows on.",
    )
    mode = forms.ChoiceField(
        choices=Mode.choices,
        required=False,
        initial=Mode.UPSERT.value,
        help_text="Rows are found by their key. What the mode does not write is skipped.",
    )
    ledger = forms.BooleanField(
        required=False,
        label="Keep a ledger",
        help_text="Note what each row was before, so that the import can be undone.",
    )
    dry_run = forms.BooleanField(
        required=False,
        help_text="Only show what the import would do: count, warn, and write nothing.",
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        check_source(self, given)
        if given.get("validation") == "model":
            for name, what in (("dry_run", "A dry run"), ("ledger", "The ledger")):
                if given.get(name):
                    self.add_error(name, f"{what} goes by the fields: choose that validation.")
        return given


def form_of(resource: ResourceClass, form: type[ImportForm]) -> type[ImportForm]:
    """The form of one resource's import: it offers what the resource can make use of."""
    fields: dict[str, Any] = {}
    if names := creatable(resource):
        related: list[Any] = [resource.model._meta.get_field(name) for name in names]
        labels = [capfirst(str(field.verbose_name)) for field in related]
        fields["create_missing"] = forms.MultipleChoiceField(
            choices=list(zip(names, labels, strict=True)),
            required=False,
            label="Create what is missing",
            help_text="Related rows that the file names and that do not exist are created with "
            "their code alone. Needs the right to add them.",
        )
    return type("Parameters", (form,), fields)
