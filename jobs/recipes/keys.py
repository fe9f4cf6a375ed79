"""Names of a model in SQL, and what makes its rows unique, read from its constraints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection, models
from django.db.models.functions import Lower


def quote(name: str | None) -> str:
    """The name of a table or a column as it stands in SQL."""
    return connection.ops.quote_name(name or "")


def literal(text: str) -> str:
    """A text as an SQL literal within a statement that has parameters."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"


def now_of(field: models.Field) -> str:
    """The moment, as SQL, in the type of a field that notes the last change."""
    if isinstance(field, models.DateTimeField):
        return "CURRENT_TIMESTAMP"
    return "CURRENT_DATE" if isinstance(field, models.DateField) else "LOCALTIME"


def folded_fields(model: type[models.Model]) -> set[str]:
    """The fields that a unique constraint compares by Lower(field): their case does not matter."""
    return {
        name
        for fields in _constraint_fields(model)
        for name, is_folded in fields.items()
        if is_folded
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
            expressions: Any = constraint.expressions
            for expression in expressions:
                is_folded = isinstance(expression, Lower)
                inner = expression.source_expressions[0] if is_folded else expression
                fields[getattr(inner, "name", "")] = is_folded
            yield fields
