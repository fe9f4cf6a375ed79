"""What a refusal of the database means, in the words of a warning."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import models


class UnresolvedParent(psycopg.errors.IntegrityError):
    """A row names a parent that was refused, or that would make it its own ancestor."""

    def __init__(self, code: str, field: str, reason: str):
        self.code, self.column = code, field
        super().__init__(f"The {field} cannot be set: {reason}")


def explain(error: psycopg.Error, model: type[models.Model]) -> tuple[str, str, str]:
    """What a refusal of the database means: code, sentence and column of a warning."""
    diag = error.diag
    constraints = {each.name: each for each in model._meta.constraints}
    columns = {field.column: field.name for field in model._meta.concrete_fields}
    column = columns.get(diag.column_name or "", "")
    declared = constraints.get(diag.constraint_name or "")
    column = column or _only_field(declared)
    if declared and declared.violation_error_message != declared.default_violation_error_message:
        return "refused", str(declared.violation_error_message), column
    match error:
        case psycopg.errors.NotNullViolation():
            return "blank", f"A new row needs a value for {column or diag.column_name}.", column
        case psycopg.errors.UniqueViolation():
            return "not_unique", f"Another row has the same value: {diag.message_detail}", column
        case psycopg.errors.ForeignKeyViolation():
            return "unknown_reference", f"A row it refers to is gone: {diag.message_detail}", column
        case psycopg.errors.CheckViolation():
            return "refused", f"The row breaks the rule {diag.constraint_name!r}.", column
    return "refused", f"The database refused the row: {diag.message_primary or error}.", column


def _only_field(constraint: models.BaseConstraint | None) -> str:
    """The field that a CHECK constraint is about, if it is about one."""
    if not isinstance(constraint, models.CheckConstraint):
        return ""
    names = _fields_in(constraint.condition)
    return names.pop() if len(names) == 1 else ""


def _fields_in(condition: Any) -> set[str]:
    """The fields that a Q names."""
    names: set[str] = set()
    for child in getattr(condition, "children", []):
        names |= {child[0].split("__")[0]} if isinstance(child, tuple) else _fields_in(child)
    return names
