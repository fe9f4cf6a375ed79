"""What makes rows of a model unique, read from its constraints."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import models
from django.db.models.functions import Lower


def folded_fields(model: type[models.Model]) -> set[str]:
    """The fields that a unique constraint compares by Lower(field): their case does not matter."""
    return {
        name for folded in _constraint_fields(model) for name, is_folded in folded.items() if is_folded
    }


def is_unique(model: type[models.Model], names: set[str]) -> bool:
    """Whether the database keeps rows apart by exactly these fields, as ON CONFLICT needs it."""
    if names & folded_fields(model):
        return names in [set(fields) for fields in _constraint_fields(model)]
    together = [set(each) for each in model._meta.unique_together]
    single = [{field.name} for field in model._meta.concrete_fields if field.unique]
    return names in [*together, *single, *(set(fields) for fields in _constraint_fields(model))]


def _constraint_fields(model: type[models.Model]) -> Iterator[dict[str, bool]]:
    """The fields of each unconditional unique constraint, and whether each is compared folded."""
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and not constraint.condition:
            fields = dict.fromkeys(constraint.fields, False)
            for expression in constraint.expressions:
                inner = expression.source_expressions[0] if isinstance(expression, Lower) else expression
                fields[getattr(inner, "name", "")] = isinstance(expression, Lower)
            yield fields
