"""Columns of the table that a file does not have: what SQL writes there."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import connection, models
from psycopg.sql import Literal

from jobs.recipes.keys import now_of, quote
from jobs.recipes.staging import differs_by_row


def touched(model: type[models.Model], present: Collection[Any]) -> dict[str, str]:
    """Columns that hold the time of the last change, and that time."""
    return {
        quote(field.column): now_of(field)
        for field in model._meta.concrete_fields
        if getattr(field, "auto_now", False) and field not in present
    }


def defaults(model: type[models.Model], present: Collection[Any]) -> dict[str, str]:
    """What new rows get; some of it as parameters, which `constants` has."""
    found: dict[str, str] = {}
    for field in model._meta.concrete_fields:
        if field in present or field.generated or field.has_db_default():
            continue
        if _is_timed(field):
            found[quote(field.column)] = now_of(field)
        elif not differs_by_row(field) and field.get_default() is not None:
            found[quote(field.column)] = f"%({field.column})s::{field.rel_db_type(connection)}"
    return found


def constants(model: type[models.Model], defaults: dict[str, str]) -> dict[str, Any]:
    """The parameters that `defaults` name."""
    return {
        str(field.column): field.get_db_prep_save(field.get_default(), connection)
        for field in model._meta.concrete_fields
        if defaults.get(quote(field.column), "").startswith("%(")
    }


def missing(model: type[models.Model], present: Collection[Any]) -> bool:
    """Whether there are others that a new row cannot do without, and has no default for."""
    given = defaults(model, present)
    return any(
        not (field.null or field.generated or field.has_db_default() or field in present)
        and not (field.primary_key or quote(field.column) in given)
        for field in model._meta.concrete_fields
    )


def made_by_database(field: Any) -> str:
    """What a new row gets in a field that the database fills, as SQL; empty for all others."""
    if _is_timed(field):
        return now_of(field)
    if field.has_default() or not field.has_db_default():
        return ""
    sql, values = connection.schema_editor().db_default_sql(field)
    return str(sql % tuple(Literal(value).as_string(None) for value in values)).replace("%", "%%")


def _is_timed(field: Any) -> bool:
    return bool(getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False))
