"""COPY to a staging table, and one statement that merges it into the target.

The statement joins the target first, so that rows that are the same already are not written at all:
no new row version, no WAL, no sequence value. Keys are compared by the target's own unique index.
"""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

from functools import cached_property
from typing import Any

import psycopg
from django.db import connection, models

from jobs.definition import Counters, ItemWarning, StagedChunk
from jobs.recipes.converters import json_text
from jobs.recipes.copying import copy_rows
from jobs.recipes.faults import shown
from jobs.recipes.headers import Header
from jobs.recipes.keys import folded_fields, literal, now_of, quote
from jobs.recipes.ledger import Ledger, images
from jobs.recipes.staging import Kind, StagedField, differs_by_row
from jobs.resources import Resource


class Mode(models.TextChoices):
    """Which rows of a file are written; the others are skipped with a warning."""

    UPSERT = "upsert", "Create new rows and update existing ones"
    CREATE = "create", "Create new rows only"
    UPDATE = "update", "Update existing rows only"


LEFT_OUT = {
    Mode.CREATE: ("exists", "A row with this key exists already, and only new rows are created."),
    Mode.UPDATE: ("absent", "There is no row with this key, and only existing ones are updated."),
}

IN_RANGE = "s.n >= %(low)s AND s.n < %(high)s AND s.n <> ALL(%(superseded)s::int[])"


class UnresolvedParent(psycopg.errors.IntegrityError):
    """A row names a parent that was refused, or that would make it its own ancestor."""

    def __init__(self, code: str, message: str, column: str):
        self.code, self.column = code, column
        super().__init__(message)


class MergeStager:
    """The Stager of imports: stages rows of these fields and merges them by the resource's key.

    Of rows that name the same key within a chunk only the last is written; `merge` adds the
    warnings of the others to the chunk. With a `ledger`, the same statement writes its lines.
    """

    def __init__(
        self,
        resource: Resource,
        staged: list[StagedField],
        *,
        mode: str = Mode.UPSERT,
        ledger: Ledger | None = None,
        header: Header | None = None,
    ):
        self.resource = resource
        self.mode = Mode(mode)
        self.ledger = ledger
        self.header = header
        self.model = resource.model
        self.staged = staged
        self.folded = folded_fields(self.model)
        self.table = quote(self.model._meta.db_table)
        self.staging = quote(f"staging_{self.model._meta.db_table}"[:63])
        self.pk = quote(self.model._meta.pk.column)
        self.doubles: list[list[int]] = []
        self.left_out: list[int] = []  # rows of the chunk that the mode has not written
        self.keys = [of for of in staged if of.field.name in resource.key_fields()]
        self.parent = next((of for of in staged if of.kind is Kind.PARENT), None)
        self.many = [of for of in staged if of.kind is Kind.MANY]
        self.changing = [
            of for of in staged if of.kind in (Kind.PLAIN, Kind.MERGED) and of not in self.keys
        ]

    def prepare(self, cursor: psycopg.Cursor) -> None:
        if self.ledger:
            self.ledger.prepare(cursor)
        columns = "".join(f", {column_of(of)} {of.type}" for of in self.staged)
        cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{self.staging}")
        cursor.execute(f"CREATE TEMP TABLE {self.staging} (n integer{columns})")

    def stage(self, cursor: psycopg.Cursor, chunk: StagedChunk) -> None:
        cursor.execute(f"TRUNCATE pg_temp.{self.staging}")
        names = "".join(f", {column_of(of)}" for of in self.staged)
        copy_rows(cursor, f"COPY pg_temp.{self.staging} (n{names}) FROM STDIN", chunk.rows)
        self.doubles = self._find_doubles(cursor)
        self.left_out = []
        self.chunk = chunk

    def _find_doubles(self, cursor: psycopg.Cursor) -> list[list[int]]:
        """The numbers of staged rows that have the same key, as PostgreSQL compares keys."""
        key = ", ".join(self._fold("s", of) for of in self.keys)
        cursor.execute(
            f"SELECT array_agg(n) FROM pg_temp.{self.staging} s GROUP BY {key} HAVING count(*) > 1"
        )
        return [sorted(numbers) for (numbers,) in cursor.fetchall()]

    def merge(self, cursor: psycopg.Cursor, low: int, high: int) -> Counters:
        superseded = self._superseded(low, high)
        bounds: dict[str, Any] = {"low": low, "high": high, "superseded": [*superseded]}
        if self.ledger:
            bounds |= self.ledger.parameters(self.chunk, low, high)
        cursor.execute(self._statement, self._constants | bounds)
        created, updated, given, written, left_out, line = _only_row(cursor)
        if self.parent:
            bounds["superseded"] += left_out or []
            linked = self._link_parents(cursor, self.parent, bounds, line)
            updated += len(linked - set(written))
        # What is checked only at commit is checked here, where one row can still be told apart.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        self.chunk.warnings += self._warnings(superseded, left_out or [])
        self.left_out += left_out or []
        skipped = len(left_out or [])
        return Counters(
            created=created,
            updated=updated,
            unchanged=given - created - updated - skipped,
            skipped=len(superseded) + skipped,
        )

    def _superseded(self, low: int, high: int) -> dict[int, int]:
        """Of the rows of this range with the same key, all but the last: number to the last's."""
        found = {}
        for double in self.doubles:
            numbers = [n for n in double if low <= n < high]
            found.update(dict.fromkeys(numbers[:-1], max(numbers, default=0)))
        return found

    def _warnings(self, superseded: dict[int, int], left_out: list[int]) -> list[ItemWarning]:
        rows = self.chunk.row_numbers
        said = [
            (n, "superseded", f"Row {rows[last]} has the same key and came later.")
            for n, last in superseded.items()
        ]
        said += [(n, *LEFT_OUT[self.mode]) for n in left_out if n >= 0]
        return [
            ItemWarning(
                code=code,
                message=message,
                row=rows[n],
                key=self.chunk.keys[n],
                outcome="skipped",
            )
            for n, code, message in sorted(said)
        ]

    def explain(self, error: psycopg.Error, number: int) -> tuple[str, str, str, str]:
        """What a refusal of a row means: code, sentence, column and value of a warning."""
        if isinstance(error, UnresolvedParent):
            return error.code, str(error), *self._cell(error.column, number)
        code, message, field = explain(error, self.model)
        return code, message, *self._cell(field, number)

    def _cell(self, field: str, number: int) -> tuple[str, str]:
        """What the source calls a field, and what it says there of a row; often it is known."""
        if self.header is None or field not in self.header.fields or number < 0:
            return field, ""
        at = self.header.fields[field]
        records = self.chunk.records
        return self.header.names[at], shown(records[number][at]) if records else ""

    # --- The statement ----------------------------------------------------------------------------

    @cached_property
    def _statement(self) -> str:
        """Answers how many rows were created, updated and given, which were written, which were
        left out because of the mode, and the number of the ledger's first line."""
        lines = f", lines AS ({self._lines})" if self.ledger else ""
        return f"""
            WITH source AS ({self._source}),
            written AS ({self._update if self.mode == Mode.UPDATE else self._insert}){self._links}
            {lines}
            SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created),
                (SELECT count(*) FROM pg_temp.{self.staging} s WHERE {IN_RANGE}),
                {"coalesce(array_agg(pk), '{}')" if self.parent else "NULL"},
                {self._left_out},
                {"(SELECT min(id) FROM lines)" if self.ledger else "NULL"}
            FROM written"""

    @cached_property
    def _source(self) -> str:
        """The staged rows that the target does not have, or has with other values.

        With a ledger, the others too: `differs` tells them apart.
        """
        further = f", t.{self.pk} AS target"
        further += "".join(f", {self._fold('s', of)} AS k{i}" for i, of in enumerate(self.keys))
        joins = ""
        conditions = []
        if self.changing:
            old = ", ".join(f"t.{column_of(of)}" for of in self.changing)
            new = ", ".join(self._merged("t", "s", of) for of in self.changing)
            conditions.append(f"ROW({old}) IS DISTINCT FROM ROW({new})")
        for number, of in enumerate(self.many):
            joins += f" LEFT JOIN LATERAL ({self._current_links(of)}) AS m{number} ON TRUE"
            further += f", m{number}.keys AS old{number}"
            conditions.append(f"m{number}.keys IS DISTINCT FROM s.{column_of(of)}")
        differs = self._wanted(" OR ".join(conditions) or "FALSE")
        if self.ledger:
            further, differs = f"{further}, ({differs}) AS differs", "TRUE"
        return f"""SELECT s.*{further} FROM pg_temp.{self.staging} s
            LEFT JOIN {self.table} t ON {self._same_key("t", "s")}{joins}
            WHERE {IN_RANGE} AND ({differs})"""

    def _wanted(self, differs: str) -> str:
        """The condition under which the mode writes a row."""
        absent = f"t.{self.pk} IS NULL"
        match self.mode:
            case Mode.CREATE:
                return absent
            case Mode.UPDATE:
                return f"t.{self.pk} IS NOT NULL AND ({differs})"
        return f"{absent} OR {differs}"

    @property
    def _insert(self) -> str:
        own = [of for of in self.staged if of.kind not in (Kind.MANY, Kind.PARENT)]
        staged, given = [column_of(of) for of in own], [_inserted(of) for of in own]
        names = [*staged, *self._defaults]
        values = [*given, *self._defaults.values()]
        order = ", ".join(f"k{i}" for i in range(len(self.keys)))
        conflict = ", ".join(self._fold("", of) for of in self.keys)
        update = f"UPDATE SET {', '.join(self._changes('EXCLUDED'))}"
        rows = "source WHERE differs" if self.ledger else "source"
        return f"""INSERT INTO {self.table} AS t ({", ".join(names)})
            SELECT {", ".join(values)} FROM {rows} ORDER BY {order}
            ON CONFLICT ({conflict}) DO {"NOTHING" if self.mode == Mode.CREATE else update}
            RETURNING t.{self.pk} AS pk, old.{self.pk} IS NULL AS created{self._returned}"""

    @property
    def _update(self) -> str:
        return f"""UPDATE {self.table} AS t SET {", ".join(self._changes("source"))}
            FROM source WHERE t.{self.pk} = source.target{" AND differs" * bool(self.ledger)}
            RETURNING t.{self.pk} AS pk, FALSE AS created{self._returned}"""

    @property
    def _returned(self) -> str:
        """What is needed further of the written rows: their keys, their images."""
        returned = ""
        if self.many or self.ledger or self.mode == Mode.CREATE:
            returned = "".join(f", {self._fold('t', of)} AS k{i}" for i, of in enumerate(self.keys))
        if self.ledger:
            created = f"old.{self.pk} IS NULL"
            returned += f", {images([str(of.field.column) for of in self.changing], created)}"
        return returned

    @property
    def _left_out(self) -> str:
        """The numbers of the rows that the mode does not write, as a subselect."""
        match self.mode:
            case Mode.CREATE:
                same = " AND ".join(
                    f"w.k{i} = {self._fold('s', of)}" for i, of in enumerate(self.keys)
                )
                missing = f"NOT EXISTS (SELECT FROM written w WHERE {same})"
            case Mode.UPDATE:
                there = self._same_key("t", "s")
                missing = f"NOT EXISTS (SELECT FROM {self.table} t WHERE {there})"
            case _:
                return "NULL"
        return f"""(SELECT coalesce(array_agg(s.n), '{{}}') FROM pg_temp.{self.staging} s
            WHERE {IN_RANGE} AND {missing})"""

    @property
    def _lines(self) -> str:
        """The ledger's lines: one for every row that was written or is the same."""
        assert self.ledger
        many = [
            (str(of.field.name), f"source.old{number}", f"source.{column_of(of)}")
            for number, of in enumerate(self.many)
        ]
        same = " AND ".join(f"w.k{i} = source.k{i}" for i in range(len(self.keys)))
        known = "w.pk IS NOT NULL"
        if self.mode != Mode.CREATE:
            known += " OR source.target IS NOT NULL"
        return f"""{self.ledger.insert(many)}
            LEFT JOIN written w ON {same} WHERE {known} ORDER BY source.n RETURNING id"""

    def _changes(self, new: str) -> list[str]:
        changes = [f"{column_of(of)} = {self._merged('t', new, of)}" for of in self.changing]
        changes += [f"{name} = {value}" for name, value in self._touched.items()]
        return changes or [f"{column_of(of)} = t.{column_of(of)}" for of in self.keys]

    @property
    def _touched(self) -> dict[str, str]:
        """Columns that hold the time of the last change."""
        present = {of.field for of in self.staged}
        return {
            quote(field.column): now_of(field)
            for field in self.model._meta.concrete_fields
            if getattr(field, "auto_now", False) and field not in present
        }

    @cached_property
    def _defaults(self) -> dict[str, str]:
        """The columns that the file does not have: what new rows get there, as SQL."""
        present = {of.field for of in self.staged}
        defaults: dict[str, str] = {}
        for field in self.model._meta.concrete_fields:
            if field in present or field.generated or field.has_db_default():
                continue
            if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
                defaults[quote(field.column)] = now_of(field)
            elif not differs_by_row(field) and field.get_default() is not None:
                kind = field.rel_db_type(connection)
                defaults[quote(field.column)] = f"%({field.column})s::{kind}"
        return defaults

    @cached_property
    def _constants(self) -> dict[str, Any]:
        """The parameters that `_defaults` names."""
        return {
            str(field.column): field.get_db_prep_save(field.get_default(), connection)
            for field in self.model._meta.concrete_fields
            if self._defaults.get(quote(field.column), "").startswith("%(")
        }

    # --- Many-to-many relations -------------------------------------------------------------------

    def _current_links(self, of: StagedField) -> str:
        table, own, other = _through(of)
        return (
            f"SELECT coalesce(array_agg(x.{other} ORDER BY x.{other}), '{{}}') AS keys "
            f"FROM {table} x WHERE x.{own} = t.{self.pk}"
        )

    @cached_property
    def _links(self) -> str:
        """Statements that make the links of written rows those of the file."""
        same = " AND ".join(f"source.k{i} = written.k{i}" for i in range(len(self.keys)))
        parts = ""
        for number, of in enumerate(self.many):
            table, own, other = _through(of)
            parts += f"""
            , links{number} AS (
                SELECT written.pk, source.{column_of(of)} AS keys, source.old{number} AS old
                FROM written JOIN source ON {same}),
            removed{number} AS (DELETE FROM {table} x USING links{number} link
                WHERE NOT link.old <@ link.keys
                    AND x.{own} = link.pk AND x.{other} <> ALL(link.keys)),
            added{number} AS (INSERT INTO {table} ({own}, {other})
                SELECT link.pk, wish.key
                FROM links{number} link CROSS JOIN unnest(link.keys) AS wish(key)
                WHERE wish.key <> ALL(link.old)
                ORDER BY 1, 2 ON CONFLICT DO NOTHING)"""
        return parts

    # --- A relation to rows of the same model -----------------------------------------------------

    def _link_parents(
        self, cursor: psycopg.Cursor, of: StagedField, bounds: dict[str, Any], line: int | None
    ) -> set[Any]:
        """Give the staged rows their parents; returns the primary keys that had another one.

        `line` is the first of this merge in the ledger.
        """
        column, key = column_of(of), self.keys[0]
        parent = f"{self._fold('p', key)} = {self._fold('s', key, column)}"
        cursor.execute(
            f"""SELECT s.{column} FROM pg_temp.{self.staging} s
            LEFT JOIN {self.table} p ON {parent}
            WHERE {IN_RANGE}
                AND s.{column} IS NOT NULL AND p.{self.pk} IS NULL
            ORDER BY s.n LIMIT 1""",
            bounds,
        )
        if missing := cursor.fetchone():
            raise _unresolved(of, "unknown_reference", f"{missing[0]!r} was itself left out.")
        touched = "".join(f", {name} = {value}" for name, value in self._touched.items())
        noted = self.ledger.note(str(of.field.column)) if self.ledger else ""
        cursor.execute(
            f"""WITH linked AS (UPDATE {self.table} t SET {column} = link.parent{touched}
            FROM (SELECT c.{self.pk} AS pk, p.{self.pk} AS parent FROM pg_temp.{self.staging} s
                JOIN {self.table} c ON {self._same_key("c", "s")}
                LEFT JOIN {self.table} p ON {parent}
                WHERE {IN_RANGE}) AS link
            WHERE t.{self.pk} = link.pk AND t.{column} IS DISTINCT FROM link.parent
            RETURNING t.{self.pk} AS pk, old.{column} AS before, new.{column} AS after){noted}
            SELECT pk FROM linked""",
            bounds | {"line": line},
        )
        linked = {pk for (pk,) in cursor.fetchall()}
        if linked:
            self._refuse_cycles(cursor, of, linked)
        return linked

    def _refuse_cycles(self, cursor: psycopg.Cursor, of: StagedField, linked: set[Any]) -> None:
        column = column_of(of)
        cursor.execute(
            f"""WITH RECURSIVE up(start, node) AS (
                SELECT {self.pk}, {column} FROM {self.table} WHERE {self.pk} = ANY(%s)
                UNION SELECT up.start, t.{column} FROM up
                    JOIN {self.table} t ON t.{self.pk} = up.node
            ) SELECT EXISTS (SELECT FROM up WHERE start = node)""",
            [list(linked)],
        )
        if _only_row(cursor)[0]:
            raise _unresolved(of, "cycle", "this would make the row its own ancestor.")

    # --- Pieces of SQL ----------------------------------------------------------------------------

    def _fold(self, alias: str, of: StagedField, column: str = "") -> str:
        """The key as the target's unique index compares it."""
        name = f"{alias}." * bool(alias) + (column or column_of(of))
        return f"lower({name})" if of.field.name in self.folded else name

    def _same_key(self, left: str, right: str) -> str:
        return " AND ".join(f"{self._fold(left, of)} = {self._fold(right, of)}" for of in self.keys)

    def _merged(self, old: str, new: str, of: StagedField) -> str:
        """The value a row gets: a JSON object loses the keys of the file and gets the row's."""
        column = column_of(of)
        if of.kind is not Kind.MERGED:
            return f"{new}.{column}"
        keys = ", ".join(literal(key) for key in of.keys)
        return f"(coalesce({old}.{column}, '{{}}') - ARRAY[{keys}]) || {new}.{column}"


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


def _unresolved(of: StagedField, code: str, reason: str) -> UnresolvedParent:
    name = of.field.name
    return UnresolvedParent(code, f"The {name} cannot be set: {reason}", name)


def _only_row(cursor: psycopg.Cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None
    return row


def column_of(of: StagedField) -> str:
    """The quoted name of the field's column, or of the relation where it has none."""
    return quote(of.field.column or of.field.name)


def _inserted(of: StagedField) -> str:
    """What a row is written with: a new one gets the further keys of its JSON object."""
    column = column_of(of)
    if of.kind is not Kind.MERGED or of.given is None:
        return column
    further = literal(json_text(of.given))
    return f"CASE WHEN target IS NULL THEN {further}::jsonb || {column} ELSE {column} END"


def _through(of: StagedField) -> tuple[str, str, str]:
    """The table of a many-to-many relation, its column for the row and that for the other one."""
    field = of.field
    return (
        quote(field.m2m_db_table()),
        quote(field.m2m_column_name()),
        quote(field.m2m_reverse_name()),
    )
