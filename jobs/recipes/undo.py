"""Undoing lines of the ledger, set by set: what stands as it was left goes back to what it was.

What somebody has changed since is left alone.
"""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

from functools import cached_property

import psycopg

from jobs.definition import Counters
from jobs.recipes.keys import literal, now_of, quote
from jobs.recipes.ledger import COLUMNS
from jobs.recipes.relations import Relation
from jobs.recipes.undo_conflicts import conflict_of, warning_of
from jobs.recipes.undo_plan import ACTS, PLAN, UndoPlan


class UndoStager(UndoPlan):
    """The Stager of an undo: its staged rows are numbers of lines of the `executions`' ledger."""

    def merge(self, cursor: psycopg.Cursor, low: int, high: int) -> Counters:
        try:
            self.plan(cursor, low, high)
            self._act(cursor)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as error:
            if high - low > 1:
                raise
            raise conflict_of(error) from error
        counted = self.counts(cursor)
        conflicts = [one for one in self.planned(cursor) if one.verdict not in ACTS]
        self.chunk.warnings += [warning_of(one) for one in conflicts]
        done = {outcome: counted.get(act, 0) for act, outcome in ACTS.items()}
        return Counters(**done, skipped=len(conflicts))

    def explain(self, error: Exception, _: int) -> tuple[str, str, str, str]:
        """Code, sentence, column and value of the warning about one row."""
        return getattr(error, "code", "refused"), str(error), "", ""

    # --- The acts -----------------------------------------------------------------------------

    def _act(self, cursor: psycopg.Cursor) -> None:
        self._restore(cursor)
        self._recreate(cursor)
        for link in self.links:
            self._relink(cursor, link)
        cursor.execute(
            f"""DELETE FROM {self.table} t
            WHERE t.{self.pk} = ANY(ARRAY(SELECT pk FROM {PLAN} WHERE verdict = 'delete'))"""
        )
        self._note(cursor)

    def _restore(self, cursor: psycopg.Cursor) -> None:
        cursor.execute(
            f"""SELECT DISTINCT jsonb_object_keys(before) FROM {PLAN} WHERE verdict = 'restore'"""
        )
        changed = {name for (name,) in cursor.fetchall()}
        names = [of for of in self.columns if of in changed and of not in self.touched]
        sets = [f"{quote(name)} = {value}" for name, value in self._times.items()]
        if names:
            values = ", ".join(
                f"CASE WHEN jsonb_exists(p.before, {_text(name)}) "
                f"THEN r.{quote(name)} ELSE t.{quote(name)} END"
                for name in names
            )
            sets.append(f"""({", ".join(map(quote, names))}) = (SELECT {values}
                FROM {PLAN} p, LATERAL jsonb_populate_record(NULL::{self.table}, p.before) r
                WHERE p.pk = t.{self.pk})""")
        if changed and sets:
            cursor.execute(
                f"""UPDATE {self.table} t SET {", ".join(sets)} WHERE t.{self.pk} = ANY(
                    ARRAY(SELECT pk FROM {PLAN} WHERE verdict = 'restore'))"""
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
            f"""DELETE FROM {link.table} x
            WHERE x.{link.own} = ANY(ARRAY(
                SELECT pk FROM {PLAN} p WHERE p.verdict = 'delete' OR {about}))
            AND (SELECT p.verdict = 'delete' OR NOT p.before -> {name} @> to_jsonb(x.{link.other})
                FROM {PLAN} p WHERE p.pk = x.{link.own})"""
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


def _text(name: str) -> str:
    """A name as an SQL literal within a statement without parameters."""
    return literal(name).replace("%%", "%")
