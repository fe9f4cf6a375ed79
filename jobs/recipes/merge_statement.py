"""The statement that merges staged rows into the target.

It looks at the target first, so that rows that are the same already are not written at all: no new
row version, no WAL, no sequence value. Keys are compared by the target's own unique index.

Its plan is the same whatever statistics say. A table is looked at by index, for one row of the
chunk after the other: OFFSET 0 keeps such a subselect from becoming a join, which could be one of
all with all. Only rows of the chunk are joined, with each other; a CASE, of which the planner takes
half, keeps it from taking them for few.
"""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

from functools import cached_property

from jobs.recipes.absent_columns import constants, defaults, missing, touched
from jobs.recipes.converters import json_text
from jobs.recipes.keys import folded_fields, literal, quote
from jobs.recipes.ledger import Ledger, images
from jobs.recipes.modes import Mode
from jobs.recipes.staging import Kind, StagedField
from jobs.resources import Resource

IN_RANGE = """CASE WHEN s.n >= %(low)s AND s.n < %(high)s AND s.n <> ALL(%(superseded)s::int[])
                THEN TRUE END"""


class MergeStatement:
    """The SQL of one import: `text` merges the rows of a range, with the parameters `constants`.

    Its row says how many were created, updated and given, which were written, which were left out
    because of the mode, and the number of the ledger's first line.
    """

    def __init__(
        self, resource: Resource, staged: list[StagedField], mode: Mode, ledger: Ledger | None
    ):
        self.staged, self.mode, self.ledger = staged, mode, ledger
        self.model = resource.model
        self.folded = folded_fields(self.model)
        self.table = quote(self.model._meta.db_table)
        self.staging = quote(f"staging_{self.model._meta.db_table}"[:63])
        self.pk = quote(self.model._meta.pk.column)
        self.keys = [of for of in staged if of.field.name in resource.key_fields()]
        self.parent = next((of for of in staged if of.kind is Kind.PARENT), None)
        self.many = [of for of in staged if of.kind is Kind.MANY]
        self.changing = [
            of for of in staged if of.kind in (Kind.PLAIN, Kind.MERGED) and of not in self.keys
        ]
        present = {of.field for of in staged}
        self.touched = touched(self.model, present)
        self.defaults = defaults(self.model, present)
        self.constants = constants(self.model, self.defaults)
        # An INSERT needs values for all columns even where nothing comes of it, so that rows which
        # cannot have them are updated if they exist, and only the others inserted.
        self.divides = self.mode == Mode.UPSERT and missing(self.model, present)

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the staging table behind the row's number, and their types."""
        return {column_of(of): of.type for of in self.staged}

    @property
    def index(self) -> str:
        """Makes the index by which a row of the target finds its staged one, where it must."""
        if self.parent is None and not self.updates:
            return ""
        return (
            f"CREATE INDEX ON {self.staging} ({', '.join(self.fold('', of) for of in self.keys)})"
        )

    @property
    def updates(self) -> bool:
        """Whether rows are updated, where an INSERT with ON CONFLICT could not be one."""
        return self.mode == Mode.UPDATE or bool(self.divides)

    @cached_property
    def doubles(self) -> str:
        """Finds staged rows of the same key, as PostgreSQL compares keys: their numbers, and those
        of them that lack something."""
        key = ", ".join(self.fold("s", of) for of in self.keys)
        return f"""SELECT array_agg(n), {self._lacking}
            FROM pg_temp.{self.staging} s GROUP BY {key} HAVING count(*) > 1"""

    _lacking = "NULL"

    @cached_property
    def text(self) -> str:
        lines = f", lines AS ({self._lines})" if self.ledger else ""
        return f"""
            WITH source AS ({self._source}),
            {self._written}{self._links}
            {lines}
            SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created),
                (SELECT count(*) FROM pg_temp.{self.staging} s WHERE {IN_RANGE}),
                {"coalesce(array_agg(pk), '{}')" if self.parent else "NULL"},
                {self._left_out},
                {"(SELECT min(id) FROM lines)" if self.ledger else "NULL"}
            FROM written"""

    @property
    def _written(self) -> str:
        if not self.divides:
            return f"written AS ({self._update if self.mode == Mode.UPDATE else self._insert})"
        return f"""created AS ({self._insert}), changed AS ({self._update}),
            written AS (SELECT * FROM created UNION ALL SELECT * FROM changed)"""

    @cached_property
    def _source(self) -> str:
        """The staged rows that the target does not have, or has with other values.

        With a ledger, the others too: `differs` tells them apart.
        """
        further = f", t.{self.pk} AS target"
        further += "".join(f", {self.fold('s', of)} AS k{i}" for i, of in enumerate(self.keys))
        joins = ""
        conditions = []
        if self.changing:
            old = ", ".join(f"t.{column_of(of)}" for of in self.changing)
            new = ", ".join(self.merged("t", "s", of) for of in self.changing)
            conditions.append(f"ROW({old}) IS DISTINCT FROM ROW({new})")
        for number, of in enumerate(self.many):
            joins += f" LEFT JOIN LATERAL ({self._current_links(of)}) AS m{number} ON TRUE"
            further += f", m{number}.keys AS old{number}"
            wish = self._wish(of, f"m{number}.keys")
            conditions.append(f"m{number}.keys IS DISTINCT FROM {wish}")
        differs = self._wanted(" OR ".join(conditions) or "FALSE")
        if self.ledger:
            further, differs = f"{further}, ({differs}) AS differs", "TRUE"
        return f"""SELECT s.*{further} FROM pg_temp.{self.staging} s
            LEFT JOIN LATERAL (SELECT * FROM {self.table} t
                WHERE {self.same_key("t", "s")} OFFSET 0) t ON TRUE{joins}
            WHERE {IN_RANGE} AND CASE WHEN {differs} THEN TRUE END"""

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
        staged, given = [column_of(of) for of in own], [self._inserted(of) for of in own]
        names = [*staged, *self.defaults]
        values = [*given, *self.defaults.values()]
        order = ", ".join(f"k{i}" for i in range(len(self.keys)))
        conflict = ", ".join(self.fold("", of) for of in self.keys)
        update = f"UPDATE SET {self._changes_on_conflict}"
        return f"""INSERT INTO {self.table} AS t ({", ".join(names)})
            SELECT {", ".join(values)} FROM {self._proposed} ORDER BY {order}
            ON CONFLICT ({conflict}) DO {"NOTHING" if self.mode == Mode.CREATE else update}
            RETURNING t.{self.pk} AS pk, old.{self.pk} IS NULL AS created{self._returned}"""

    @property
    def _proposed(self) -> str:
        conditions = ["differs"] * bool(self.ledger) + ["target IS NULL"] * self.divides
        return f"source WHERE {' AND '.join(conditions)}" if conditions else "source"

    @property
    def _changes_on_conflict(self) -> str:
        return ", ".join(f"{name} = {new}" for name, new in self._changes("EXCLUDED").items())

    def _inserted(self, of: StagedField) -> str:
        """What a row is written with: a new one gets the further keys of its JSON object."""
        column = column_of(of)
        if of.kind is not Kind.MERGED or of.given is None:
            return column
        return f"CASE WHEN target IS NULL THEN {further(of)} || {column} ELSE {column} END"

    @property
    def _update(self) -> str:
        names, values = zip(*self._changes("s").items(), strict=True)
        found = f"SELECT target FROM source{' WHERE differs' * bool(self.ledger)}"
        return f"""UPDATE {self.table} AS t
            SET ({", ".join(names)}) = (SELECT {", ".join(values)} {self.staged_of_target})
            WHERE {self.chosen(found)}
            RETURNING t.{self.pk} AS pk, FALSE AS created{self._returned}"""

    @property
    def _returned(self) -> str:
        """What is needed further of the written rows: their keys, their images."""
        returned = ""
        if self.many or self.ledger or self.mode == Mode.CREATE:
            returned = "".join(f", {self.fold('t', of)} AS k{i}" for i, of in enumerate(self.keys))
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
                    f"w.k{i} = {self.fold('s', of)}" for i, of in enumerate(self.keys)
                )
                missing = f"NOT EXISTS (SELECT FROM written w WHERE {same})"
            case Mode.UPDATE:
                there = self.same_key("t", "s")
                missing = f"NOT EXISTS (SELECT FROM {self.table} t WHERE {there} OFFSET 0)"
            case _:
                return "NULL"
        return f"""(SELECT coalesce(array_agg(s.n), '{{}}') FROM pg_temp.{self.staging} s
            WHERE {IN_RANGE} AND {missing})"""

    @property
    def _lines(self) -> str:
        """The ledger's lines: one for every row that was written or is the same."""
        assert self.ledger
        many = [
            (str(of.field.name), old, self._wish(of, old, "source"))
            for of, old in ((of, f"source.old{i}") for i, of in enumerate(self.many))
        ]
        same = " AND ".join(f"w.k{i} = source.k{i}" for i in range(len(self.keys)))
        known = "w.pk IS NOT NULL"
        if self.mode != Mode.CREATE:
            known += " OR source.target IS NOT NULL"
        return f"""{self.ledger.insert(many)}
            LEFT JOIN written w ON {same} WHERE {known} ORDER BY source.n RETURNING id"""

    def _changes(self, new: str) -> dict[str, str]:
        """What the columns of a written row become."""
        changes = {column_of(of): self.merged("t", new, of) for of in self.changing}
        return changes | self.touched or {column_of(of): f"t.{column_of(of)}" for of in self.keys}

    # --- Many-to-many relations -------------------------------------------------------------------

    def _current_links(self, of: StagedField) -> str:
        table, own, other = _through(of)
        return (
            f"SELECT coalesce(array_agg({other} ORDER BY {other}), '{{}}') AS keys "
            f"FROM (SELECT {other} FROM {table} x WHERE x.{own} = t.{self.pk} OFFSET 0) x"
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
                SELECT written.pk, {self._wish(of, f"source.old{number}", "source")} AS keys,
                    source.old{number} AS old
                FROM written JOIN source ON {same}),
            removed{number} AS (DELETE FROM {table} WHERE ctid = ANY(ARRAY(
                SELECT x.ctid FROM links{number} link CROSS JOIN LATERAL (SELECT ctid FROM {table} x
                    WHERE x.{own} = link.pk AND x.{other} <> ALL(link.keys) OFFSET 0) x
                WHERE NOT link.old <@ link.keys))),
            added{number} AS (INSERT INTO {table} ({own}, {other})
                SELECT link.pk, wish.key
                FROM links{number} link CROSS JOIN unnest(link.keys) AS wish(key)
                WHERE wish.key <> ALL(link.old)
                ORDER BY 1, 2 ON CONFLICT DO NOTHING)"""
        return parts

    def _wish(self, of: StagedField, old: str, new: str = "s") -> str:  # noqa: ARG002
        """The keys of the related rows that a row is to have."""
        return f"{new}.{column_of(of)}"

    # --- Pieces of SQL ----------------------------------------------------------------------------

    def fold(self, alias: str, of: StagedField, column: str = "") -> str:
        """The key as the target's unique index compares it."""
        name = f"{alias}." * bool(alias) + (column or column_of(of))
        return f"lower({name})" if of.field.name in self.folded else name

    @property
    def staged_of_target(self) -> str:
        """The end of a SELECT of the staged row that has the key of the target's row `t`."""
        return f"FROM pg_temp.{self.staging} s WHERE {self.same_key('t', 's')} AND {IN_RANGE}"

    def chosen(self, found: str) -> str:
        """The condition of an UPDATE of the rows with these primary keys, if they still have the
        keys of staged rows: somebody may just have changed one."""
        return f"""t.{self.pk} = ANY(ARRAY({found}))
                AND EXISTS (SELECT {self.staged_of_target} OFFSET 0)"""

    def same_key(self, left: str, right: str) -> str:
        return " AND ".join(f"{self.fold(left, of)} = {self.fold(right, of)}" for of in self.keys)

    def is_given(self, row: str, of: StagedField) -> str:  # noqa: ARG002
        """A further condition: that the row has a value, or nothing, in this field."""
        return ""

    def merged(self, old: str, new: str, of: StagedField) -> str:
        """The value a row gets: a JSON object loses the keys of the file and gets the row's."""
        column = column_of(of)
        if of.kind is not Kind.MERGED:
            return f"{new}.{column}"
        keys = ", ".join(literal(key) for key in of.keys)
        return f"(coalesce({old}.{column}, '{{}}') - ARRAY[{keys}]) || {new}.{column}"


def column_of(of: StagedField) -> str:
    """The quoted name of the field's column, or of the relation where it has none."""
    return quote(of.field.column or of.field.name)


def further(of: StagedField) -> str:
    """The keys and values that the launch gives to new rows in a JSON object, as SQL."""
    return f"{literal(json_text(of.given or {}))}::jsonb"


def _through(of: StagedField) -> tuple[str, str, str]:
    """The table of a many-to-many relation, its column for the row and that for the other one."""
    field = of.field
    return (
        quote(field.m2m_db_table()),
        quote(field.m2m_column_name()),
        quote(field.m2m_reverse_name()),
    )
