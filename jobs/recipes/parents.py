"""The relation of rows to rows of the same model: set once all rows of a chunk are there."""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

from typing import Any

import psycopg

from jobs.recipes.merge_statement import IN_RANGE, MergeStatement, column_of
from jobs.recipes.refusals import UnresolvedParent
from jobs.recipes.staging import StagedField


class ParentLinks:
    """Gives staged rows their parents, whom they name by the key."""

    def __init__(self, sql: MergeStatement, of: StagedField):
        self.sql, self.field = sql, of.field
        self.column, self.given = column_of(of), sql.is_given("s", of)
        key = sql.keys[0]
        same = f"{sql.fold('p', key)} = {sql.fold('s', key, self.column)}"
        self.parent = f"SELECT p.{sql.pk} FROM {sql.table} p WHERE {same}"

    def link(
        self, cursor: psycopg.Cursor, bounds: dict[str, Any], first_line: int | None
    ) -> set[Any]:
        """Give the rows of this range their parents: the primary keys that had another one.

        `first_line` is that of this merge in the ledger. Raises UnresolvedParent.
        """
        self._refuse_missing(cursor, bounds)
        sql, column = self.sql, self.column
        touched = "".join(f", {name} = {value}" for name, value in sql.touched.items())
        noted = sql.ledger.note(str(self.field.column)) if sql.ledger else ""
        differing = f"""SELECT t.{sql.pk} FROM pg_temp.{sql.staging} s CROSS JOIN LATERAL
                (SELECT * FROM {sql.table} t WHERE {sql.same_key("t", "s")} OFFSET 0) t
            WHERE {IN_RANGE}{self.given} AND t.{column} IS DISTINCT FROM ({self.parent})"""
        cursor.execute(
            f"""WITH linked AS (UPDATE {sql.table} t
            SET {column} = (SELECT ({self.parent}) {sql.staged_of_target}){touched}
            WHERE {sql.chosen(differing)}
            RETURNING t.{sql.pk} AS pk, old.{column} AS before, new.{column} AS after){noted}
            SELECT pk FROM linked""",
            bounds | {"line": first_line},
        )
        linked = {pk for (pk,) in cursor.fetchall()}
        if linked:
            self._refuse_cycles(cursor, linked)
        return linked

    def _refuse_missing(self, cursor: psycopg.Cursor, bounds: dict[str, Any]) -> None:
        sql = self.sql
        cursor.execute(
            f"""SELECT s.{self.column} FROM pg_temp.{sql.staging} s
            WHERE {IN_RANGE} AND s.{self.column} IS NOT NULL AND ({self.parent}) IS NULL
            ORDER BY s.n LIMIT 1""",
            bounds,
        )
        if missing := cursor.fetchone():
            said = f"{missing[0]!r} was itself left out."
            raise UnresolvedParent("unknown_reference", self.field.name, said)

    def _refuse_cycles(self, cursor: psycopg.Cursor, linked: set[Any]) -> None:
        sql = self.sql
        cursor.execute(
            f"""WITH RECURSIVE up(start, node) AS (
                SELECT {sql.pk}, {self.column} FROM {sql.table} WHERE {sql.pk} = ANY(%s)
                UNION SELECT start, (SELECT t.{self.column} FROM {sql.table} t
                    WHERE t.{sql.pk} = up.node) FROM up WHERE node IS NOT NULL
            ) SELECT 1 FROM up WHERE start = node LIMIT 1""",
            [list(linked)],
        )
        if cursor.fetchone():
            said = "this would make the row its own ancestor."
            raise UnresolvedParent("cycle", self.field.name, said)
