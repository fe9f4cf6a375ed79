"""What an undo finds out before it acts: what can go back, and what was changed since.

It knows the columns of a model, not who changed them. A row that was changed by several lines is
undone once, from the newest image to the oldest.

Rows of other tables are looked up by index, one for each row of the plan (a correlated subselect,
or OFFSET 0 in a lateral one): statistics that lie cannot turn that into a join of all with all.
"""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection, models

from jobs.definition import StagedChunk
from jobs.recipes.keys import literal, quote
from jobs.recipes.ledger import Ledger
from jobs.recipes.relations import links_of, references_to
from jobs.recipes.undo_conflicts import Planned, words_of

LINES, OFTEN, PLAN = "pg_temp.undo_lines", "pg_temp.undo_often", "pg_temp.undo_plan"
ACTS = {"restore": "updated", "delete": "deleted", "recreate": "created"}
NET_OF = """(SELECT jsonb_object_agg(e.key, e.value ORDER BY place)
    FROM unnest({}) WITH ORDINALITY AS i(image, place) CROSS JOIN jsonb_each(image) e)"""
# What the rows were before the first of their lines, and after the last.
NET = f"""
INSERT INTO {OFTEN}
WITH line AS (SELECT id, target, outcome, count(*) OVER (PARTITION BY target) AS times
    FROM jobs_rowchange WHERE execution_id = ANY(%(of)s) AND outcome <> 'unchanged'),
often AS (SELECT target, max(id) AS id,
        array_agg(before ORDER BY id DESC) AS befores, array_agg(after ORDER BY id) AS afters,
        (array_agg(outcome ORDER BY id))[1] AS first,
        (array_agg(outcome ORDER BY id DESC))[1] AS last
    FROM line CROSS JOIN LATERAL
        (SELECT before, after FROM jobs_rowchange c WHERE c.id = line.id OFFSET 0) image
    WHERE times > 1 GROUP BY target)
SELECT target, id, {NET_OF.format("befores")}, {NET_OF.format("afters")},
    CASE WHEN first = 'created' AND last = 'deleted' THEN 'nothing' WHEN first = 'created'
        THEN 'created' WHEN last = 'deleted' THEN 'deleted' ELSE 'updated' END
FROM often
"""


class UndoPlan:
    """What undoing does to each row of the `executions`' ledger; it writes to tables of its own.

    With a `ledger` for what is done then, the rows that can be undone are locked.
    """

    def __init__(
        self, model: type[models.Model], executions: Sequence[UUID], ledger: Ledger | None = None
    ):
        self.model, self.executions, self.ledger = model, [*executions], ledger
        meta = model._meta
        self.table, self.pk = quote(meta.db_table), quote(meta.pk.column)
        self.pk_type = meta.pk.rel_db_type(connection)
        self.links = links_of(model)
        self.references = references_to(model)
        fields = [field for field in meta.concrete_fields if not field.generated]
        self.columns = [str(field.column) for field in fields]
        self.touched = [str(of.column) for of in fields if getattr(of, "auto_now", False)]

    def prepare(self, cursor: psycopg.Cursor) -> None:
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute(f"DROP TABLE IF EXISTS {LINES}, {OFTEN}, {PLAN}")
        cursor.execute("CREATE TEMP TABLE undo_lines (n integer, id bigint)")
        cursor.execute(
            "CREATE TEMP TABLE undo_often"
            " (target text, id bigint, before jsonb, after jsonb, outcome text)"
        )
        cursor.execute(NET, {"of": self.executions})
        cursor.execute(
            f"""CREATE TEMP TABLE undo_plan (n integer, "row" bigint, key text, target text,
                pk {self.pk_type}, outcome text, before jsonb, after jsonb, now jsonb,
                verdict text, said text)"""
        )
        cursor.execute(
            f"CREATE UNIQUE INDEX ON {OFTEN} (target); CREATE UNIQUE INDEX ON {PLAN} (pk)"
        )

    def forget(self, cursor: psycopg.Cursor) -> None:
        """Drop what `prepare` has made, on a connection that is not one's own."""
        cursor.execute(f"DROP TABLE {LINES}, {OFTEN}, {PLAN}")

    def stage(self, cursor: psycopg.Cursor, chunk: StagedChunk) -> None:
        cursor.execute(f"TRUNCATE {LINES}")
        with cursor.copy(f"COPY {LINES} (n, id) FROM STDIN") as copy:
            for n, (line,) in enumerate(chunk.rows):
                copy.write_row((n, line))
        self.chunk = chunk

    def stage_all(self, cursor: psycopg.Cursor) -> int:
        """Stage every line there is, for a preview; returns how many there are."""
        cursor.execute(
            f"""INSERT INTO {LINES} SELECT row_number() OVER (ORDER BY id DESC) - 1, id
            FROM jobs_rowchange WHERE execution_id = ANY(%s) AND outcome <> 'unchanged'""",
            [self.executions],
        )
        return cursor.rowcount

    def counts(self, cursor: psycopg.Cursor) -> dict[str, int]:
        """How many rows were planned, by verdict."""
        cursor.execute(f"SELECT verdict, count(*) FROM {PLAN} GROUP BY 1")
        return dict(cursor.fetchall())

    def planned(
        self, cursor: psycopg.Cursor, verdict: str = "", limit: int | None = None
    ) -> Iterator[Planned]:
        """Rows with this verdict, or all conflicts, newest line first."""
        which = "verdict = %(verdict)s" if verdict else "verdict <> ALL(%(acts)s)"
        cursor.execute(
            f"""SELECT verdict, "row", key, now::text, before::text, after::text, outcome, said
            FROM {PLAN}
            WHERE {which} ORDER BY n LIMIT %(limit)s""",
            {"verdict": verdict, "acts": [*ACTS], "limit": limit},
        )
        for found, row, key, *images, outcome, said in cursor.fetchall():
            now, before, after = (image and json.loads(image) for image in images)
            shown = now if outcome == "created" or not now else _part(now, after or now)
            message, column = words_of(found, now, after, said)
            then = None if outcome == "created" else before
            yield Planned(found, row, key, shown, then, message, column)

    def plan(self, cursor: psycopg.Cursor, low: int, high: int) -> None:
        """Find out for the lines low <= n < high what can be undone, and lock their rows."""
        bounds = {"low": low, "high": high, "touched": self.touched}
        cursor.execute(f"TRUNCATE {PLAN}")
        cursor.execute(
            f"""INSERT INTO {PLAN} (n, "row", key, target, pk, outcome, before, after)
            SELECT u.n, c.row, c.key, c.target, c.target::{self.pk_type},
                coalesce(o.outcome, c.outcome),
                CASE WHEN o.id IS NULL THEN c.before ELSE o.before END,
                CASE WHEN o.id IS NULL THEN c.after ELSE o.after END - %(touched)s::text[]
            FROM {LINES} u
            CROSS JOIN LATERAL (SELECT * FROM jobs_rowchange c WHERE c.id = u.id OFFSET 0) c
            LEFT JOIN LATERAL
                (SELECT * FROM {OFTEN} o WHERE o.target = c.target OFFSET 0) o ON TRUE
            WHERE u.n >= %(low)s AND u.n < %(high)s
                AND (o.id IS NULL OR o.id = c.id AND o.outcome <> 'nothing')""",
            bounds,
        )
        if self.ledger:
            cursor.execute(
                f"""SELECT FROM {self.table} t WHERE t.{self.pk} = ANY(ARRAY(SELECT pk FROM {PLAN}))
                ORDER BY t.{self.pk} FOR NO KEY UPDATE"""
            )
        cursor.execute(
            f"""UPDATE {PLAN} p SET now =
                (SELECT {self._now} FROM {self.table} t WHERE t.{self.pk} = p.pk)"""
        )
        cursor.execute(f"UPDATE {PLAN} p SET verdict = {self._verdict}", bounds)
        while self._keep_referenced(cursor):
            pass  # a row that stays may refer to others of its model, which then stay too

    @cached_property
    def _now(self) -> str:
        """The image of a row with the relations that its line is about."""
        image = "to_jsonb(t)"
        for link in self.links:
            name = literal(link.name).replace("%%", "%")
            keys = f"""jsonb_build_object({name}, (SELECT coalesce(jsonb_agg({link.other}
                ORDER BY {link.other}), '[]') FROM (SELECT {link.other} FROM {link.table} x
                    WHERE x.{link.own} = p.pk OFFSET 0) x))"""
            about = f"p.outcome = 'created' OR jsonb_exists(p.after, {name})"
            image += f" || CASE WHEN {about} THEN {keys} ELSE '{{}}' END"
        return image

    @cached_property
    def _verdict(self) -> str:
        nothing = ", ".join(f"{literal(link.name)}, '[]'::jsonb" for link in self.links)
        return f"""CASE outcome
            WHEN 'deleted' THEN CASE WHEN now IS NULL THEN 'recreate' ELSE 'exists' END
            ELSE CASE WHEN now IS NULL THEN 'gone'
                WHEN now || CASE outcome WHEN 'created' THEN jsonb_build_object({nothing})
                    ELSE '{{}}' END || after <> now THEN 'changed_since'
                WHEN outcome = 'created' THEN 'delete' ELSE 'restore' END END"""

    def _keep_referenced(self, cursor: psycopg.Cursor) -> int:
        """Take rows to which others refer out of those that are deleted; returns how many."""
        kept = 0
        for reference in self.references:
            own = ""
            if reference.model is self.model:  # but for those that are undone with them
                own = f"""AND NOT EXISTS (SELECT FROM {PLAN} o WHERE o.pk = c.{self.pk}
                    AND (o.verdict = 'delete' OR o.verdict = 'restore'
                        AND jsonb_exists(o.before, %(column)s)) OFFSET 0)"""
            cursor.execute(
                f"""UPDATE {PLAN} p SET verdict = 'referenced', said = %(said)s
                WHERE p.verdict = 'delete' AND EXISTS (SELECT FROM {reference.table} c
                    WHERE c.{quote(reference.column)} = {reference.key("p", self.model)} {own}
                    OFFSET 0)""",
                {"said": reference.words, "column": reference.column},
            )
            kept += cursor.rowcount
        return kept


def _part(image: dict[str, Any], of: dict[str, Any]) -> dict[str, Any]:
    return {name: image.get(name) for name in of}
