"""A dry run of an import: every chunk is merged and rolled back, as if all had been kept.

What a row becomes may depend on rows of earlier chunks: of the same key, and its ancestors in a
tree. They are remembered in a temporary table and merged again, first, where they are met.
"""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import psycopg

from jobs.recipes.ledger import COLUMNS, Ledger
from jobs.recipes.merge import MergeStager
from jobs.recipes.merge_statement import column_of
from jobs.recipes.modes import Mode
from jobs.recipes.sparse import SparseStatement

SAMPLE = 100  # changes of each outcome that are shown
LINES = "pg_temp.rehearsed_lines"
SEEN = "pg_temp.rehearsed_rows"
TAKE = f"""
SELECT {COLUMNS.replace("before, after", "before::text, after::text")}
FROM (SELECT *, row_number() OVER (PARTITION BY outcome ORDER BY id) AS place FROM {LINES}) line
WHERE outcome IN ('created', 'updated') AND place <= {SAMPLE} ORDER BY id
"""
# A row that was created has its primary key no more.
SHOW = f"""
INSERT INTO jobs_rowchange ({COLUMNS})
SELECT %s, %s, %s, CASE outcome WHEN 'created' THEN '' ELSE target END, outcome, before::jsonb,
  CASE outcome WHEN 'created' THEN after::jsonb - %s::text ELSE after::jsonb END
FROM (SELECT %s AS target, %s AS outcome, %s AS before, %s AS after) line
WHERE (SELECT count(*) FROM jobs_rowchange c WHERE c.execution_id = %s AND c.outcome = line.outcome)
  < {SAMPLE}
"""


class RehearsingMergeStager(MergeStager):
    """The Stager of a dry run. The first changes it would make are written to the ledger."""

    def __init__(self, *given: Any, ledger: Ledger, **named: Any):
        self.told_to = ledger.execution_id
        super().__init__(*given, ledger=replace(ledger, table=LINES), **named)
        self.staging = f"pg_temp.{self.sql.staging}"
        self.folds = ", ".join(self.sql.fold("s", of) for of in self.sql.keys)
        places = [f"k{i}" for i in range(len(self.sql.keys))]
        self.places = ", ".join(places)
        self.same = " AND ".join(f"s.{place} = met.{place}" for place in places)

    def prepare(self, cursor: psycopg.Cursor) -> None:
        super().prepare(cursor)
        cursor.execute(f"DROP TABLE IF EXISTS {LINES}, {SEEN}")
        cursor.execute("CREATE TEMP TABLE rehearsed_lines (LIKE jobs_rowchange INCLUDING IDENTITY)")
        cursor.execute(
            f"""CREATE TEMP TABLE rehearsed_rows AS
            SELECT {self.names}, {self._named_folds} FROM {self.staging} s"""
        )
        cursor.execute(f"CREATE UNIQUE INDEX ON {SEEN} ({self.places})")

    @property
    def _named_folds(self) -> str:
        return ", ".join(f"{self.sql.fold('s', of)} AS k{i}" for i, of in enumerate(self.sql.keys))

    def recall(self, cursor: psycopg.Cursor) -> int:
        cursor.execute(
            f"""{self._met} INSERT INTO {self.staging} (n, {self.names})
            SELECT -row_number() OVER (), {self.names}
            FROM (SELECT DISTINCT {self.places} FROM met) met CROSS JOIN LATERAL
                (SELECT * FROM {SEEN} s WHERE {self.same} OFFSET 0) seen"""
        )
        return cursor.rowcount

    def sample(self, cursor: psycopg.Cursor) -> list[tuple[Any, ...]]:
        cursor.execute(TAKE)
        return cursor.fetchall()

    def remember(
        self, cursor: psycopg.Cursor, refused: list[int], sample: list[tuple[Any, ...]]
    ) -> None:
        dropped = [*refused, *self.left_out]
        for turn in range(self._longest_double if self.lacking else 1):
            cursor.execute(self._keep, {"dropped": dropped, "turn": turn + 1})
        pk = self.sql.model._meta.pk.column
        for _, row, key, target, outcome, before, after in sample:
            given = (self.told_to, row, key, pk, target, outcome, before, after, self.told_to)
            cursor.execute(SHOW, given)

    @property
    def _longest_double(self) -> int:
        return max(map(len, self.doubles))

    @cached_property
    def _keep(self) -> str:
        """Keeps the last row of each key; of rows that may lack something one after the other."""
        if isinstance(self.sql, SparseStatement):
            kept, order, which = self.sql.remembered("e"), "s.n", "place = %(turn)s"
        else:
            kept = [f"{name} = EXCLUDED.{name}" for name in self.sql.columns]
            order, which = "s.n DESC", "place = 1"
        again = "NOTHING" if self.mode == Mode.CREATE else f"UPDATE SET {', '.join(kept)}"
        return f"""INSERT INTO {SEEN} AS e ({self.names}, {self.places})
            SELECT {self.names}, {self.folds} FROM (
                SELECT *, row_number() OVER (PARTITION BY {self.folds} ORDER BY {order}) AS place
                FROM {self.staging} s WHERE s.n <> ALL(%(dropped)s::int[])) s WHERE {which}
            ON CONFLICT ({self.places}) DO {again}"""

    @cached_property
    def _met(self) -> str:
        """The keys that the staged rows name: their own, and those of all their ancestors."""
        own = f"SELECT {self._named_folds} FROM {self.staging} s"
        if self.sql.parent is None:
            return f"WITH met AS ({own})"
        sql, parent = self.sql, column_of(self.sql.parent)
        key, up = sql.keys[0], sql.fold("s", sql.keys[0], parent)
        return f"""WITH RECURSIVE met(k0) AS (
                SELECT k0 FROM ({own}) o UNION SELECT {up} FROM {self.staging} s
                UNION SELECT above.k0 FROM met CROSS JOIN LATERAL (
                    (SELECT {up} FROM {SEEN} s WHERE s.k0 = met.k0 OFFSET 0)
                    UNION ALL SELECT (SELECT {sql.fold("p", key)} FROM {sql.table} p
                        WHERE p.{sql.pk} = c.{parent}) FROM (SELECT {parent} FROM {sql.table} c
                        WHERE {sql.fold("c", key)} = met.k0 OFFSET 0) c) AS above(k0))"""
