"""The ledger of changes in SQL: what became of each row, written by the statement that did it.

It knows the columns of a table, not where the new values come from. Lines are the rows of
`jobs.models.RowChange`; images are JSON objects of the changed columns, by column.
"""

# ruff: noqa: S608 (names come from Django's models; values are parameters or quoted)

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from jobs.definition import StagedChunk
from jobs.recipes.keys import literal, quote

COLUMNS = 'execution_id, "row", key, target, outcome, before, after'
KEY_LENGTH = 200  # characters
EMPTY = "'{}'::jsonb"


@dataclass(frozen=True)
class Ledger:
    """Whose lines are written, and to which table."""

    execution_id: UUID
    table: str = "jobs_rowchange"

    def prepare(self, cursor: psycopg.Cursor) -> None:
        """Have times written the same way by every session, so that images can be compared."""
        cursor.execute("SET TIME ZONE 'UTC'")

    def parameters(self, chunk: StagedChunk, low: int, high: int) -> dict[str, Any]:
        """What the statements need to know about these rows of a chunk."""
        taken = slice(max(low, 0), max(high, 0))
        return {
            "execution": self.execution_id,
            "rows": chunk.row_numbers[taken],
            "keys": chunk.keys[taken],
        }

    def insert(self, many: Sequence[tuple[str, str, str]]) -> str:
        """The beginning of an INSERT from `source`, to which `written w` is still to be joined.

        `source` has the number n of each row and its `target` before the change; `written` the
        images of the columns. `many` are the relations: name, keys before and after, as SQL.
        """
        images = [_joined("w.before", many, 1), _joined("w.after", many, 2)]
        return f"""INSERT INTO {self.table} ({COLUMNS})
            SELECT %(execution)s::uuid, given.number, left(given.key, {KEY_LENGTH}),
                coalesce(w.pk, source.target)::text,
                CASE WHEN w.pk IS NULL THEN 'unchanged'
                    WHEN w.created THEN 'created' ELSE 'updated' END,
                {", ".join(images)}
            FROM source JOIN unnest(%(rows)s::bigint[], %(keys)s::text[]) WITH ORDINALITY
                AS given(number, key, place) ON given.place = source.n - %(low)s + 1"""

    def note(self, column: str) -> str:
        """A further part of a statement: add what `linked` (pk, before, after) did to a column.

        The changes are one object, by the target: a join with the lines could be one of all with
        all, as statistics know nothing of lines that were written a moment ago.
        """
        name = literal(column)
        return f""", change AS MATERIALIZED (SELECT
                jsonb_object_agg(pk::text, jsonb_build_array(before, after)) AS of FROM linked),
            noted AS (UPDATE {self.table} c SET
                outcome = CASE c.outcome WHEN 'unchanged' THEN 'updated' ELSE c.outcome END,
                before = CASE WHEN c.outcome <> 'created' THEN coalesce(c.before, '{{}}')
                    || jsonb_build_object({name}, change.of -> c.target -> 0) END,
                after = coalesce(c.after, '{{}}')
                    || jsonb_build_object({name}, change.of -> c.target -> 1)
            FROM change WHERE c.execution_id = %(execution)s AND c.id >= %(line)s
                AND jsonb_exists(change.of, c.target))"""


def images(columns: Sequence[str], created: str) -> str:
    """For RETURNING: `before` and `after`, of the changed columns among these.

    Of a row for which the condition `created` holds, all columns as they are now.
    """
    before, after = (_image(version, columns) for version in ("old", "new"))
    return f"""CASE WHEN NOT ({created}) THEN {before} END AS before,
                CASE WHEN {created} THEN to_jsonb(new) ELSE {after} END AS after"""


def _image(version: str, columns: Sequence[str]) -> str:
    """The changed columns, put together as one text: quicker than objects added to each other."""
    members = [
        f"CASE WHEN old.{name} IS DISTINCT FROM new.{name} THEN "
        f"{literal(_start(column))} || coalesce(to_json({version}.{name})::text, 'null') END"
        for column, name in ((column, quote(column)) for column in columns)
    ]
    return f"('{{' || concat_ws(',', {', '.join(members)}) || '}}')::jsonb" if members else EMPTY


def _start(column: str) -> str:
    return f"{json.dumps(column)}:"


def _joined(image: str, many: Sequence[tuple[str, str, str]], side: int) -> str:
    """The image with the relations whose keys differ."""
    for relation in many:
        name, before, after = relation
        keys = f"jsonb_build_object({literal(name)}, {relation[side]})"
        image += f" || CASE WHEN {before} IS DISTINCT FROM {after} THEN {keys} ELSE '{{}}' END"
    return image
