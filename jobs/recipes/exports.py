"""Exports: the rows of a resource as a CSV file that an import of the same resource reads back."""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import psycopg
from django import forms
from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import OuterRef

from jobs.definition import FunctionStep, Job
from jobs.formats.reading import DELIMITER_CHOICES
from jobs.places import Unavailable
from jobs.recipes.placed import send_steps, target_fields
from jobs.resources import Column, Resource, ResourceClass

CHECKPOINT_SECONDS = 1.0
# Spreadsheets take these texts for formulas; an apostrophe before them says that they are none.
FORMULA = r"^''*[=+\-@\t\r]"
FIRST_CODES = ", ".join(str(ord(letter)) for letter in "'=+-@\t\r")  # quicker than the pattern
KEY_PAGE = 1000
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
    retry_on = (Unavailable,)

    class Parameters(forms.Form):
        delimiter = forms.ChoiceField(choices=DELIMITER_CHOICES[1:], required=False, initial=";")
        place, path = target_fields()

    def steps(self) -> list[FunctionStep]:
        return [
            FunctionStep(name="export", label="Write rows", function=self.write_file, atomic=False),
            *send_steps(self),
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
        chosen = self.parameters.get("delimiter") or ";"
        delimiter = "\t" if chosen == "tab" else chosen
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
        cells = [cell for column in self.columns for cell in self._cells(column)]
        texts = ", ".join(f"{cell.text} AS t{number}" for number, cell in enumerate(cells))
        # OFFSET 0 keeps PostgreSQL from working each text out again wherever it is named.
        source = f"(SELECT {texts} FROM {self.inner} OFFSET 0) AS texts"
        guarded = ", ".join(
            _guarded(f"t{number}") if cell.is_free else f"t{number}"
            for number, cell in enumerate(cells)
        )
        options = f"FORMAT csv, DELIMITER {_quoted(delimiter)}"
        statement = f"COPY (SELECT {guarded} FROM {source}) TO STDOUT ({options})"
        with self.cursor.copy(statement, self.params) as copy:
            yield from copy

    def count(self) -> int:
        self.cursor.execute(f"SELECT count(*) FROM {self.inner}", self.params)
        (found,) = self.cursor.fetchall()
        return found[0]

    def _inner(self) -> tuple[str, tuple[Any, ...]]:
        selected = [self._selected(name) for name in self.fields]
        queryset = self.resource.queryset().order_by("pk").values_list("pk", *selected)
        sql, params = queryset.query.sql_with_params()
        names = ", ".join(f"c{number}" for number in range(len(selected)))
        return f"({sql}) AS q(pk, {names})", params

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
        return [
            prefix + key
            for field, prefix in self.resource.extra_fields().items()
            for key in self._keys(self._source(field))
        ]

    def _keys(self, column: str) -> list[str]:
        """The keys of the objects in a column; rows without an unknown one are passed quickly."""
        known: list[str] = []
        behind, last = "", list[Any]()
        rest = f"CASE jsonb_typeof({column}) WHEN 'object' THEN {column} - %s::text[] END"
        while True:
            self.cursor.execute(
                f"SELECT pk, ARRAY(SELECT jsonb_object_keys({rest})) FROM {self.inner} "
                f"WHERE {rest} <> '{{}}' {behind} ORDER BY pk LIMIT {KEY_PAGE}",
                [known, *self.params, known, *last],
            )
            rows = self.cursor.fetchall()
            known += sorted({key for _, keys in rows for key in keys})
            if len(rows) < KEY_PAGE:
                return sorted(known)
            behind, last = "AND pk > %s", [rows[-1][0]]

    def _cells(self, column: Column) -> list[Cell]:
        source = self._source(column.field)
        if column.key is None:
            return [_field_cell(source, self.resource.model._meta.get_field(column.field))]
        key = _quoted(column.key)
        if column.parts:
            value = f"({source} -> {key})"
            return [Cell(f"({value} ->> {_quoted(part)})") for part in column.parts]
        return [_json_cell(source, key)]

    def _source(self, field: str) -> str:
        return f"q.c{self.fields.index(field)}"


class Cell(NamedTuple):
    """SQL for the text of a cell, and whether it is free text, which might look like a formula."""

    text: str
    is_free: bool = True


def _field_cell(source: str, field: Any) -> Cell:
    match field:
        case models.ManyToManyField():
            return Cell(f"nullif(array_to_string({source}, ','), '')")
        case models.BooleanField():
            return Cell(f"CASE {source} WHEN TRUE THEN '1' WHEN FALSE THEN '0' END", is_free=False)
        case models.DateTimeField():
            return Cell(f"to_char({source} AT TIME ZONE 'UTC', '{MOMENT}')", is_free=False)
        case models.DateField():
            return Cell(f"to_char({source}, '{DATE}')", is_free=False)
        case models.DecimalField() | models.IntegerField() | models.FloatField():
            return Cell(source, is_free=False)
    return Cell(f"{source}::text")


def _json_cell(source: str, key: str) -> Cell:
    """A list with commas, a truth value as 1 or 0, anything else as its text."""
    value = f"({source} -> {key})"
    return Cell(
        f"CASE jsonb_typeof({value}) WHEN 'array' THEN "
        "(SELECT string_agg(part, ',' ORDER BY place) "
        f"FROM jsonb_array_elements_text({value}) WITH ORDINALITY AS parts(part, place)) "
        f"WHEN 'boolean' THEN CASE WHEN {value}::boolean THEN '1' ELSE '0' END "
        f"ELSE {source} ->> {key} END"
    )


def _guarded(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula."""
    is_formula = f"ascii({text}) IN ({FIRST_CODES}) AND {text} ~ '{FORMULA}'"
    return f"CASE WHEN {is_formula} THEN '''' || {text} ELSE {text} END"


def _quoted(text: str) -> str:
    """A text as an SQL literal within a statement that has parameters."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"


def _once(columns: Any) -> list[Column]:
    return list({(column.field, column.key): column for column in columns}.values())
