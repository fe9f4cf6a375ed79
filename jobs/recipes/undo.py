"""Undoing lines of the ledger, set by set: what stands as it was left goes back to what it was.

It knows the columns of a model, not who changed them. A row that was changed by several lines is
undone once, from the newest image to the oldest. What somebody has changed since is left alone.
"""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection, models

from jobs.definition import Counters, ItemWarning, Skip, StagedChunk
from jobs.recipes.keys import literal, now_of, quote
from jobs.recipes.ledger import COLUMNS, Ledger
from jobs.recipes.relations import Relation, links_of, references_to

LINES, OFTEN, PLAN = "pg_temp.undo_lines", "pg_temp.undo_often", "pg_temp.undo_plan"
ACTS = {"restore": "updated", "delete": "deleted", "recreate": "created"}
# What the rows were before the first of their lines, and after the last.
NET = f"""
INSERT INTO {OFTEN}
WITH line AS (SELECT id, target, outcome FROM jobs_rowchange
    WHERE execution_id = ANY(%(of)s) AND outcome <> 'unchanged'),
often AS (SELECT target, max(id) AS id, (array_agg(outcome ORDER BY id))[1] AS first,
    (array_agg(outcome ORDER BY id DESC))[1] AS last FROM line GROUP BY 1 HAVING count(*) > 1),
images AS (SELECT c.id, c.target, c.before, c.after
    FROM line JOIN often USING (target) JOIN jobs_rowchange c ON c.id = line.id),
befores AS (SELECT target, jsonb_object_agg(e.key, e.value ORDER BY id DESC) AS image
    FROM images CROSS JOIN jsonb_each(before) e GROUP BY 1),
afters AS (SELECT target, jsonb_object_agg(e.key, e.value ORDER BY id) AS image
    FROM images CROSS JOIN jsonb_each(after) e GROUP BY 1)
SELECT often.target, often.id, befores.image, afters.image,
    CASE WHEN first = 'created' AND last = 'deleted' THEN 'nothing' WHEN first = 'created'
        THEN 'created' WHEN last = 'deleted' THEN 'deleted' ELSE 'updated' END
FROM often LEFT JOIN befores USING (target) LEFT JOIN afters USING (target)
"""


class Conflict(Skip):
    """One row that cannot be undone: the code and the sentence of its warning."""

    def __init__(self, code: str, message: str):
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Planned:
    """What undoing does to one row: an act, or a conflict's code with its sentence.

    `now` and `then` are the images that it leaves and goes back to; null where there is no row.
    """

    verdict: str
    row: int | None
    key: str
    now: dict[str, Any] | None
    then: dict[str, Any] | None
    message: str
    column: str


class UndoStager:
    """The Stager of an undo: its staged rows are numbers of lines of the `executions`' ledger.

    Without a `ledger` of its own it only plans.
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
        cursor.execute(f"CREATE INDEX ON {OFTEN} (target); CREATE INDEX ON {PLAN} (pk)")

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

    def merge(self, cursor: psycopg.Cursor, low: int, high: int) -> Counters:
        try:
            self.plan(cursor, low, high)
            self._act(cursor)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as error:
            if high - low > 1:
                raise
            raise _conflict_of(error) from error
        counted = self.counts(cursor)
        conflicts = [one for one in self.planned(cursor) if one.verdict not in ACTS]
        self.chunk.warnings += [_warning(one) for one in conflicts]
        done = {outcome: counted.get(act, 0) for act, outcome in ACTS.items()}
        return Counters(**done, skipped=len(conflicts))

    def explain(self, error: Exception, _: int) -> tuple[str, str, str, str]:
        """Code, sentence, column and value of the warning about one row."""
        return getattr(error, "code", "refused"), str(error), "", ""

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
            message, column = _words(found, now, after, said)
            then = None if outcome == "created" else before
            yield Planned(found, row, key, shown, then, message, column)

    # --- The plan -----------------------------------------------------------------------------

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
            FROM {LINES} u JOIN jobs_rowchange c ON c.id = u.id LEFT JOIN {OFTEN} o USING (target)
            WHERE u.n >= %(low)s AND u.n < %(high)s
                AND (o.id IS NULL OR o.id = c.id AND o.outcome <> 'nothing')""",
            bounds,
        )
        if self.ledger:
            cursor.execute(
                f"""SELECT FROM {self.table} t JOIN {PLAN} p ON p.pk = t.{self.pk}
                ORDER BY t.{self.pk} FOR NO KEY UPDATE OF t"""
            )
        cursor.execute(
            f"UPDATE {PLAN} p SET now = {self._now} FROM {self.table} t WHERE t.{self.pk} = p.pk"
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
            keys = f"""jsonb_build_object({name}, (SELECT coalesce(jsonb_agg(x.{link.other}
                ORDER BY x.{link.other}), '[]') FROM {link.table} x WHERE x.{link.own} = p.pk))"""
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
                        AND jsonb_exists(o.before, %(column)s)))"""
            cursor.execute(
                f"""UPDATE {PLAN} p SET verdict = 'referenced', said = %(said)s
                WHERE p.verdict = 'delete' AND EXISTS (SELECT FROM {reference.table} c
                    WHERE c.{quote(reference.column)} = {reference.key("p", self.model)} {own})""",
                {"said": reference.words, "column": reference.column},
            )
            kept += cursor.rowcount
        return kept

    # --- The acts -----------------------------------------------------------------------------

    def _act(self, cursor: psycopg.Cursor) -> None:
        self._restore(cursor)
        self._recreate(cursor)
        for link in self.links:
            self._relink(cursor, link)
        cursor.execute(
            f"""DELETE FROM {self.table} t USING {PLAN} p
            WHERE p.verdict = 'delete' AND t.{self.pk} = p.pk"""
        )
        self._note(cursor)

    def _restore(self, cursor: psycopg.Cursor) -> None:
        cursor.execute(
            f"""SELECT DISTINCT jsonb_object_keys(before) FROM {PLAN} WHERE verdict = 'restore'"""
        )
        changed = {name for (name,) in cursor.fetchall()}
        sets = [
            f"{quote(name)} = CASE WHEN jsonb_exists(p.before, {_text(name)}) "
            f"THEN r.{quote(name)} ELSE t.{quote(name)} END"
            for name in self.columns
            if name in changed and name not in self.touched
        ]
        sets += [f"{quote(name)} = {value}" for name, value in self._times.items()]
        if changed and sets:
            cursor.execute(
                f"""UPDATE {self.table} t SET {", ".join(sets)}
                FROM {PLAN} p, LATERAL jsonb_populate_record(NULL::{self.table}, p.before) r
                WHERE p.verdict = 'restore' AND t.{self.pk} = p.pk"""
            )

    def _recreate(self, cursor: psycopg.Cursor) -> None:
        values = [self._times.get(name, f"r.{quote(name)}") for name in self.columns]
        cursor.execute(
            f"""INSERT INTO {self.table} ({", ".join(map(quote, self.columns))})
            SELECT {", ".join(values)} FROM {PLAN} p,
                LATERAL jsonb_populate_record(NULL::{self.table}, p.before) r
            WHERE p.verdict = 'recreate' ORDER BY p.pk"""
        )

    @cached_property
    def _times(self) -> dict[str, str]:
        """Columns that hold the time of the last change: undoing is one."""
        fields = {str(field.column): field for field in self.model._meta.concrete_fields}
        return {name: now_of(fields[name]) for name in self.touched}

    def _relink(self, cursor: psycopg.Cursor, link: Relation) -> None:
        """Make the links of a relation those of the image; what is deleted has none."""
        name = _text(link.name)
        about = f"p.verdict = 'restore' AND jsonb_exists(p.before, {name})"
        cursor.execute(
            f"""DELETE FROM {link.table} x USING {PLAN} p WHERE x.{link.own} = p.pk
            AND (p.verdict = 'delete'
                OR {about} AND NOT p.before -> {name} @> to_jsonb(x.{link.other}))"""
        )
        cursor.execute(
            f"""INSERT INTO {link.table} ({link.own}, {link.other})
            SELECT p.pk, wish::{link.other_type} FROM {PLAN} p,
                LATERAL jsonb_array_elements_text(p.before -> {name}) wish
            WHERE {about} OR p.verdict = 'recreate' AND jsonb_exists(p.before, {name})
            ORDER BY 1, 2 ON CONFLICT DO NOTHING"""
        )

    def _note(self, cursor: psycopg.Cursor) -> None:
        """Write the lines of its own ledger, so that it can be undone as well."""
        assert self.ledger
        cursor.execute(
            f"""INSERT INTO {self.ledger.table} ({COLUMNS})
            SELECT %s, NULL, key, target,
                CASE verdict WHEN 'restore' THEN 'updated' WHEN 'delete' THEN 'deleted'
                    ELSE 'created' END,
                CASE verdict WHEN 'restore' THEN after WHEN 'delete' THEN now END,
                CASE verdict WHEN 'delete' THEN NULL ELSE before END
            FROM {PLAN} WHERE verdict = ANY(%s) ORDER BY n""",
            [self.ledger.execution_id, [*ACTS]],
        )


def _words(verdict: str, now: Any, after: Any, said: str | None) -> tuple[str, str]:
    """The sentence of a conflict, and the column it is about."""
    match verdict:
        case "gone":
            return "The row is gone: it was deleted since.", ""
        case "exists":
            return "The row is there again, and is left as it is.", ""
        case "referenced":
            return f"It was created and is referred to since, by {said}: it stays.", ""
        case "changed_since":
            return _changed(now, after)
    return "", ""


def _changed(now: dict[str, Any], after: dict[str, Any]) -> tuple[str, str]:
    names = [name for name in after if now.get(name) != after[name]]
    if not names:
        return "It was linked to others since.", ""
    is_now, was = (_shown(image.get(names[0])) for image in (now, after))
    more = f", and {len(names) - 1} more" if len(names) > 1 else ""
    return f"It was changed since: {names[0]} is {is_now}, and was made {was}{more}.", names[0]


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    text = f"“{value}”" if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _part(image: dict[str, Any], of: dict[str, Any]) -> dict[str, Any]:
    return {name: image.get(name) for name in of}


def _warning(one: Planned) -> ItemWarning:
    value = _shown(one.now.get(one.column)) if one.column and one.now else ""
    return ItemWarning(
        code=one.verdict,
        message=one.message,
        row=one.row,
        key=one.key,
        column=one.column,
        value=value,
        outcome="skipped",
    )


def _conflict_of(error: psycopg.Error) -> Conflict:
    """What the database's refusal to undo one row means."""
    said = error.diag.message_detail or error.diag.message_primary or str(error)
    match error:
        case psycopg.errors.ForeignKeyViolation() if "still referenced" in said:
            return Conflict("referenced", f"Others refer to the row: it stays. {said}")
        case psycopg.errors.ForeignKeyViolation():
            return Conflict("gone", f"What it referred to is gone. {said}")
        case psycopg.errors.UniqueViolation():
            return Conflict("exists", f"Another row has its values now. {said}")
    return Conflict("refused", f"The database refused it: {said}")


def _text(name: str) -> str:
    """A name as an SQL literal within a statement without parameters."""
    return literal(name).replace("%%", "%")
