"""Exports: the rows of a resource as a CSV file that an import of the same resource reads back."""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import psycopg
from django import forms
from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import OuterRef

from jobs.definition import FunctionStep, Job
from jobs.recipes.imports import DELIMITER_CHOICES, delimiter_of
from jobs.resources import Column, Resource, ResourceClass

CHECKPOINT_SECONDS = 1.0
# Spreadsheets take these texts for formulas; an apostrophe before them says that they are none.
FORMULA = r"^''*[=+\-@\t\r]"
ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
DATE = "YYYY-MM-DD"
MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'


class ExportJob(Job):
    """Write the rows of a resource to a CSV file, as they were at one moment.

    The file has the columns that the resource's import takes. After a crash or a pause it starts
    anew, with the rows as they are then.
    """

    type = "export"
    resource: ClassVar[ResourceClass]

    class Parameters(forms.Form):
        delimiter = forms.ChoiceField(choices=DELIMITER_CHOICES[1:], required=False, initial=";")

    def steps(self) -> list[FunctionStep]:
        return [
            FunctionStep(name="export", label="Write rows", function=self.write_file, atomic=False)
        ]

    def write_file(self, context: Any) -> dict[str, int]:
        """Copy the rows to the file; returns {"rows": how many}."""
        meta = self.resource.model._meta
        name = f"{str(meta.verbose_name_plural).replace(' ', '_')}.csv"
        with self.workspace.own_connection() as connection:
            alone = connection.autocommit  # and not within a test's transaction
            with connection.transaction(), connection.cursor() as cursor:
                if alone:
                    cursor.execute(ONE_MOMENT)
                selection = Selection(self.resource(), cursor)
                if selection.unknown:
                    self.workspace.log(f"Keys left out: {', '.join(selection.unknown)}.")
                with self.workspace.create(name) as file:
                    rows = self._copy(selection, file, context)
        return {"rows": rows}

    def _copy(self, selection: Selection, file: Any, context: Any) -> int:
        delimiter = delimiter_of(self.parameters) or ";"
        header = io.StringIO()
        csv.writer(header, delimiter=delimiter, lineterminator="\n").writerow(selection.header)
        file.write(header.getvalue().encode())
        total = selection.count()
        rows = told = 0
        next_at = time.monotonic() + CHECKPOINT_SECONDS
        for line in selection.lines(delimiter):
            file.write(line)
            rows += 1
            if rows % 256 == 0 and time.monotonic() >= next_at:
                context.checkpoint(None, done=rows - told, total=total)
                told = rows
                next_at = time.monotonic() + CHECKPOINT_SECONDS
        context.checkpoint(None, done=rows - told, total=total)
        return rows


class Selection:
    """What an export reads: the resource's columns, including those of JSON keys that occur.

    The queryset becomes an inner query of plain columns; the outer one makes cells of them, so
    that PostgreSQL writes the whole file.
    """

    def __init__(self, resource: Resource, cursor: psycopg.Cursor):
        self.resource = resource
        self.cursor = cursor
        self.fields = list(dict.fromkeys([*resource.fields, *resource.extra_fields()]))
        self.inner, self.params = self._inner()
        own = [name for name in resource.fields if name not in resource.extra_fields()]
        names = self._occurring_names()
        extra = _once(resource.extra_columns(names))
        taken = {name for column in extra for name in column.names}
        self.columns = [resource.field_column(name) for name in own] + extra
        self.header = [name for column in self.columns for name in column.names]
        self.unknown = [name for name in names if name not in taken]

    def lines(self, delimiter: str) -> Iterator[Any]:
        """The lines of the file behind its header."""
        cells = ", ".join(cell for column in self.columns for cell in self._cells(column))
        query = f"SELECT {cells} FROM {self.inner}"
        with self.cursor.copy(
            f"COPY ({query}) TO STDOUT (FORMAT csv, DELIMITER {_quoted(delimiter)})", self.params
        ) as copy:
            yield from copy

    def count(self) -> int:
        self.cursor.execute(f"SELECT count(*) FROM {self.inner}", self.params)
        (found,) = self.cursor.fetchall()
        return found[0]

    def _inner(self) -> tuple[str, tuple[Any, ...]]:
        selected = [self._selected(name) for name in self.fields]
        queryset = self.resource.queryset().order_by("pk").values_list(*selected)
        sql, params = queryset.query.sql_with_params()
        names = ", ".join(f"c{number}" for number in range(len(selected)))
        return f"({sql}) AS q({names})", params

    def _selected(self, name: str) -> Any:
        field: Any = self.resource.model._meta.get_field(name)
        if not field.is_relation:
            return name
        code = self.resource.lookups[name]
        if not field.many_to_many:
            return f"{name}__{code}"
        own, other = field.m2m_field_name(), field.m2m_reverse_field_name()
        path = f"{other}__{code}"
        links = field.remote_field.through._default_manager.filter(**{own: OuterRef("pk")})
        return ArraySubquery(links.order_by(path).values(path))

    def _occurring_names(self) -> list[str]:
        """The names of the columns for the keys that the JSON fields of these rows have."""
        names = []
        for field, prefix in self.resource.extra_fields().items():
            column = self._source(field)
            self.cursor.execute(
                f"SELECT DISTINCT jsonb_object_keys({column}) AS key FROM {self.inner} ORDER BY 1",
                self.params,
            )
            names += [prefix + key for (key,) in self.cursor.fetchall()]
        return names

    def _cells(self, column: Column) -> list[str]:
        """SQL for the text of each cell of a column."""
        source = self._source(column.field)
        field = self.resource.model._meta.get_field(column.field)
        if column.key is None:
            return [_cell(source, field)]
        value = f"({source} -> {_quoted(column.key)})"
        if column.parts:
            return [_guarded(f"({value} ->> {_quoted(part)})") for part in column.parts]
        return [_guarded(_json_cell(value))]

    def _source(self, field: str) -> str:
        return f"q.c{self.fields.index(field)}"


def _cell(source: str, field: Any) -> str:
    match field:
        case models.ManyToManyField():
            return _guarded(f"nullif(array_to_string({source}, ','), '')")
        case models.BooleanField():
            return f"CASE {source} WHEN TRUE THEN '1' WHEN FALSE THEN '0' END"
        case models.DateTimeField():
            return f"to_char({source} AT TIME ZONE 'UTC', '{MOMENT}')"
        case models.DateField():
            return f"to_char({source}, '{DATE}')"
        case models.DecimalField() | models.IntegerField() | models.FloatField():
            return source
    return _guarded(f"{source}::text")


def _json_cell(value: str) -> str:
    """A list with commas, a truth value as 1 or 0, anything else as its text."""
    return (
        f"CASE jsonb_typeof({value}) WHEN 'array' THEN "
        "(SELECT string_agg(part, ',' ORDER BY place) "
        f"FROM jsonb_array_elements_text({value}) WITH ORDINALITY AS parts(part, place)) "
        f"WHEN 'boolean' THEN CASE WHEN {value}::boolean THEN '1' ELSE '0' END "
        f"ELSE {value} #>> '{{}}' END"
    )


def _guarded(text: str) -> str:
    return f"CASE WHEN {text} ~ '{FORMULA}' THEN '''' || {text} ELSE {text} END"


def _quoted(text: str) -> str:
    """A text as an SQL literal within a statement that has parameters."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"


def _once(columns: Any) -> list[Column]:
    return list({(column.field, column.key): column for column in columns}.values())
