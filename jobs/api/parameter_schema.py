"""The parameters of a job as JSON Schema 2020-12, read from its Django form."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core import validators

from jobs.definition import Job

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# The first kind that fits names the type, so the special come before the general.
TYPES: tuple[tuple[type[forms.Field], dict[str, Any]], ...] = (
    (forms.FileField, {"type": "string", "format": "uuid"}),
    (forms.BooleanField, {"type": "boolean"}),
    (forms.DecimalField, {"type": ["number", "string"]}),
    (forms.FloatField, {"type": "number"}),
    (forms.IntegerField, {"type": "integer"}),
    (forms.DateTimeField, {"type": "string", "format": "date-time"}),
    (forms.DateField, {"type": "string", "format": "date"}),
    (forms.TimeField, {"type": "string", "format": "time"}),
    (forms.DurationField, {"type": "string"}),
    (forms.EmailField, {"type": "string", "format": "email"}),
    (forms.URLField, {"type": "string", "format": "uri"}),
    (forms.UUIDField, {"type": "string", "format": "uuid"}),
    (forms.JSONField, {}),
    (forms.ModelMultipleChoiceField, {"type": "array", "items": {"type": ["string", "integer"]}}),
    (forms.ModelChoiceField, {"type": ["string", "integer"]}),
    (forms.MultipleChoiceField, {"type": "array", "items": {}, "uniqueItems": True}),
    (forms.Field, {"type": "string"}),
)
LIMITS = (
    (validators.MinValueValidator, "minimum"),
    (validators.MaxValueValidator, "maximum"),
    (validators.MinLengthValidator, "minLength"),
    (validators.MaxLengthValidator, "maxLength"),
)


def schema_of(job: type[Job], *, saved: dict[str, Any] | None = None) -> dict[str, Any]:
    """The schema of what a launch takes as `parameters`; `saved` are a profile's defaults."""
    fields, saved = job.Parameters.base_fields, saved or {}
    given = {name for name, of in fields.items() if of.initial is not None} | set(saved)
    return {
        "$schema": DIALECT,
        "title": job.label,
        "description": job.describe(),
        "type": "object",
        "properties": {name: _property(name, of, saved) for name, of in fields.items()},
        "required": [name for name, of in fields.items() if of.required and name not in given],
        "additionalProperties": False,
    }


def _property(name: str, field: forms.Field, saved: dict[str, Any]) -> dict[str, Any]:
    found = dict(next(of for kind, of in TYPES if isinstance(field, kind)))
    found["title"] = str(field.label or name.replace("_", " ").capitalize())
    if isinstance(field, forms.FileField):
        found["description"] = str(field.help_text or "A file: the id of an upload.")
        return found
    if field.help_text:
        found["description"] = str(field.help_text)
    default = saved.get(name, field.initial)
    if default is not None and not callable(default):
        found["default"] = default
    return found | _choices(field) | _limits(field)


def _choices(field: forms.Field) -> dict[str, Any]:
    if isinstance(field, forms.ModelChoiceField) or not isinstance(field, forms.ChoiceField):
        return {}  # the choices of a model may be a million rows
    words = [value for value, label in _flat(field.choices) if value != "" or not field.required]
    if isinstance(field, forms.MultipleChoiceField):
        return {"items": {"enum": words}}
    return {"enum": words}


def _flat(choices: Any) -> list[tuple[Any, Any]]:
    """Choices without their groups."""
    flat = []
    for value, label in choices:
        flat += list(label) if isinstance(label, (list, tuple)) else [(value, label)]
    return flat


def _limits(field: forms.Field) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for validator in field.validators:
        for kind, word in LIMITS:
            if isinstance(validator, kind):
                limit = validator.limit_value
                found[word] = limit() if callable(limit) else limit
    if isinstance(field, forms.RegexField):
        found["pattern"] = field.regex.pattern
    return found
