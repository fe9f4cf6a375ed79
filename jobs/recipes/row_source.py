"""The rows of a selection as COPY statements, so that PostgreSQL writes the lines of a file."""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, cast

import psycopg
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OrderBy, OuterRef

from jobs.definition import JobError
from jobs.fields import Field, Kind, key_fields, own_fields
from jobs.formats.written import AS_CSV, AS_JSON, AS_SHEET, WriteOptions, WrittenColumn, not_in
from jobs.recipes.cells import finished, json_cell, quoted, sheet_cell, text_cell, written
from jobs.selection import Selection

LINES = 512  # of a file that are handed on together at most
KEY_PAGE = 1000
NAME_BYTES = 63  # of a name in PostgreSQL
ENCODINGS = {"utf-8": "UTF8", "utf-8-sig": "UTF8", "cp1252": "WIN1252", "latin-1": "LATIN1"}
# JSON texts never have these characters, so that COPY quotes nothing in them.
PLAIN = r"FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02'"


class RowSource:
    """What an export reads: the columns of a selection, or all with the JSON keys that occur.

    The queryset becomes an inner query of plain columns; the outer one makes cells of them, so
    that PostgreSQL writes whole lines. It also sorts them: the cells are made below the sort then,
    where parallel workers can share them.
    """

    def __init__(self, selection: Selection, cursor: psycopg.Cursor):
        self.selection, self.cursor = selection, cursor
        self.unknown: list[str] = []
        self.total: int | None = None
        self.fields = selection.fields or self._all_fields()
        self.places = {path: n for n, path in enumerate({f.path: None for f in self.fields})}
        self.inner, self.order, self.params = self._inner()

    def columns(self, header: str = "codes") -> list[WrittenColumn]:
        """The columns under their names, or under their labels, none of which stands twice."""
        labels = [field.label for field in self.fields]
        found = []
        for field in self.fields:
            is_one = labels.count(field.label) == 1
            label = field.label if is_one else f"{field.label} ({field.name})"
            found.append(written(field, label if header == "labels" else field.name))
        return found

    def count(self) -> int:
        if self.total is not None:  # counted with a look at the keys
            return self.total
        rows = self.selection.queryset().order_by().values("pk")  # none of the joins of columns
        sql, params = rows.query.sql_with_params()
        self.cursor.execute(f"SELECT count(*) FROM ({sql}) AS q", params)
        (found,) = self.cursor.fetchall()
        return int(found[0])

    def lines(
        self, copies: str, columns: Sequence[WrittenColumn], options: WriteOptions
    ) -> Generator[list[Any], None, None]:
        """The lines of the file, some at a time, in the shape that its writer wants."""
        selected, how = self.select(copies, columns, options)
        encoding = ENCODINGS[options.encoding if copies == AS_CSV else "utf-8"]
        statement = f"COPY ({selected}) TO STDOUT ({how}, ENCODING '{encoding}')"
        try:
            with self.cursor.copy(statement, self.params) as copy:
                yield from _received(copy)
        except psycopg.errors.UntranslatableCharacter:
            raise JobError(not_in(options.encoding)) from None

    def select(
        self, copies: str, columns: Sequence[WrittenColumn], options: WriteOptions
    ) -> tuple[str, str]:
        """The SELECT of these lines, whose parameters are `params`, and the options of COPY."""
        if copies == AS_JSON:
            return self._objects([column.name for column in columns]), PLAIN
        if copies == AS_SHEET:
            return self._cells(sheet_cell), "FORMAT text, NULL ''"
        delimiter = options.delimiter if copies == AS_CSV else ","
        selected = self._cells(text_cell, guard=options.guard and copies == AS_CSV)
        return selected, f"FORMAT csv, DELIMITER {quoted(delimiter)}"

    # --- the outer query ----------------------------------------------------------------------

    def _cells(self, cell: Callable[[str, Field], str], *, guard: bool = False) -> str:
        texts = [
            f"{cell(self._source(field), field)} AS t{number}"
            for number, field in enumerate(self.fields)
        ]
        keyed = {f"c{self.places[field.path]}" for field in self.fields if field.keys}
        done = [
            finished(f"t{number}", f"c{self.places[field.path]}", field, guard=guard)
            for number, field in enumerate(self.fields)
        ]
        # OFFSET 0 keeps PostgreSQL from working each text out again wherever it is named.
        selected = ", ".join([*texts, *sorted(keyed)])
        inner = f"SELECT {selected} FROM {self.inner} ORDER BY {self.order} OFFSET 0"
        return f"SELECT {', '.join(done)} FROM ({inner}) AS texts"

    def _objects(self, names: Sequence[str]) -> str:
        cells = [json_cell(self._source(field), field) for field in self.fields]
        if any(len(name.encode()) > NAME_BYTES for name in names):
            pairs = (f"{quoted(name)}: {cell}" for name, cell in zip(names, cells, strict=True))
            return f"SELECT JSON_OBJECT({', '.join(pairs)}) FROM {self.inner} ORDER BY {self.order}"
        named = ", ".join(
            f"{cell} AS {_name(name)}" for name, cell in zip(names, cells, strict=True)
        )
        row = f"LATERAL (SELECT {named}) AS r"
        return f"SELECT row_to_json(r) FROM {self.inner}, {row} ORDER BY {self.order}"

    def _source(self, field: Field) -> str:
        return f"q.c{self.places[field.path]}"

    # --- the inner query ----------------------------------------------------------------------

    def _inner(self) -> tuple[str, str, tuple[Any, ...]]:
        """The inner query, what the outer one sorts it by, and its parameters."""
        fields = {field.path: field for field in self.fields}
        rows = self.selection.queryset()
        orders = cast("Sequence[OrderBy]", rows.query.order_by)[:-1]  # the last is the primary key
        columns = [*map(self._selected, fields.values()), *(each.expression for each in orders)]
        sql, params = rows.order_by().values_list("pk", *columns).query.sql_with_params()
        cells = [f"c{number}" for number in range(len(fields))]
        keys = [f"o{number}" for number in range(len(orders))]
        order = [f"q.{key}{_direction(each)}" for key, each in zip(keys, orders, strict=True)]
        names = ", ".join(["pk", *cells, *keys])
        return f"({sql}) AS q({names})", ", ".join([*order, "q.pk"]), params

    def _selected(self, field: Field) -> Any:
        if field.kind is not Kind.CODES:
            return field.path
        of = field.model_field
        own, other = of.m2m_field_name(), of.m2m_reverse_field_name()
        path = f"{other}__{self.selection.resource.lookups[of.name]}"
        links = of.remote_field.through._default_manager.filter(**{own: OuterRef("pk")})
        return ArraySubquery(links.order_by(path).values(path))

    # --- columns ------------------------------------------------------------------------------

    def _all_fields(self) -> list[Field]:
        """Every field of the resource, and a column for each key that its JSON fields have."""
        one = self.selection.one
        occurring = self._occurring_names()
        extra = key_fields(one, occurring)
        taken = {field.name for field in extra}
        self.unknown = [name for name in occurring if name not in taken]
        return own_fields(self.selection.resource, one) + extra

    def _occurring_names(self) -> list[str]:
        """The columns of the keys that occur in the JSON fields of these rows.

        Most tables have all their keys in their first rows, which one look at all rows confirms.
        """
        prefixes = self.selection.one.extra_fields()
        known = {path: self._first_keys(path) for path in prefixes}
        for path in self._with_further_keys(known):
            known[path] = self._all_keys(path, known[path])
        return [prefix + key for path, prefix in prefixes.items() for key in sorted(known[path])]

    def _first_keys(self, path: str) -> list[str]:
        rows, params = self._keyed(path)
        is_object = "jsonb_typeof(keyed) = 'object'"
        self.cursor.execute(
            f"SELECT DISTINCT jsonb_object_keys(keyed) FROM (SELECT keyed FROM {rows} "
            f"WHERE {is_object} ORDER BY pk LIMIT {KEY_PAGE}) AS first",
            params,
        )
        return [key for (key,) in self.cursor.fetchall()]

    def _with_further_keys(self, known: dict[str, list[str]]) -> list[str]:
        """The JSON fields that have other keys too; counts the rows by the way."""
        rows = self.selection.queryset().order_by().values_list("pk", *known)
        sql, params = rows.query.sql_with_params()
        names = [f"keyed{number}" for number in range(len(known))]
        further = "".join(f", bool_or({_rest(name)} <> '{{}}')" for name in names)
        self.cursor.execute(
            f"SELECT count(*){further} FROM ({sql}) AS q({', '.join(['pk', *names])})",
            [*known.values(), *params],
        )
        ((self.total, *found),) = self.cursor.fetchall()
        return [path for path, has in zip(known, found, strict=True) if has]

    def _all_keys(self, path: str, known: list[str]) -> list[str]:
        """The keys of a JSON field, a page of rows with an unknown one after the other."""
        rows, params = self._keyed(path)
        rest = _rest("keyed")
        behind, last = "", list[Any]()
        while True:
            self.cursor.execute(
                f"SELECT pk, ARRAY(SELECT jsonb_object_keys({rest})) FROM {rows} "
                f"WHERE {rest} <> '{{}}' {behind} ORDER BY pk LIMIT {KEY_PAGE}",
                [known, *params, known, *last],
            )
            found = self.cursor.fetchall()
            known = [*known, *sorted({key for _, keys in found for key in keys})]
            if len(found) < KEY_PAGE:
                return known
            behind, last = "AND pk > %s", [found[-1][0]]

    def _keyed(self, path: str) -> tuple[str, tuple[Any, ...]]:
        """The rows with a JSON field, as an inner query."""
        rows = self.selection.queryset().order_by("pk").values_list("pk", path)
        sql, params = rows.query.sql_with_params()
        return f"({sql}) AS q(pk, keyed)", params


def _received(copy: psycopg.Copy) -> Iterator[list[Any]]:
    """The lines of a COPY, as they come.

    psycopg waits for one. What has come with it is taken from libpq at once: to go through psycopg
    costs more for a line than all else that is done with it here.
    """
    libpq = copy.connection.pgconn
    size = 1
    while size >= 0 and (first := copy.read()):
        lines, size = [first], 1
        while size > 0 and len(lines) < LINES:
            size, line = libpq.get_copy_data(1)
            if size > 0:
                lines.append(line)
        if size < 0:
            _end(libpq)
        yield lines


def _end(libpq: Any) -> None:
    """Take what stands behind the last line, which has come too; raises its error."""
    results = list(iter(libpq.get_result, None))
    for result in results:
        if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result)


def _rest(name: str) -> str:
    """The JSON object without the known keys, a parameter; null where there is no object."""
    return f"CASE jsonb_typeof({name}) WHEN 'object' THEN {name} - %s::text[] END"


def _direction(order: OrderBy) -> str:
    return f"{' DESC' if order.descending else ''}{' NULLS LAST' if order.nulls_last else ''}"


def _name(text: str) -> str:
    """A text as a name in SQL, within a statement that has parameters."""
    return '"' + text.replace('"', '""').replace("%", "%%") + '"'
