"""Save how far a step has come, in the transaction of the work itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any
from uuid import UUID

import psycopg
from django.core.serializers.json import DjangoJSONEncoder

from jobs.definition import COUNTERS, Counters, ItemWarning
from jobs.engine.lease import Lease
from jobs.formats.base import ABSENT
from jobs.models import StepExecution

SAVE = f"""
UPDATE jobs_stepexecution SET cursor = %s::jsonb, position = %s, total = coalesce(%s, total),
  {", ".join(f"{name} = {name} + %s" for name in COUNTERS)},
  warnings_count = warnings_count + %s
WHERE id = %s
"""  # noqa: S608 (the names are our own)
COUNTED = f"""
SELECT {", ".join(f"sum({name})" for name in COUNTERS)} FROM jobs_stepexecution WHERE
"""  # noqa: S608 (the names are our own)
PARTS = """
  execution_id IN (SELECT id FROM jobs_jobexecution WHERE parent_id = %s AND parent_step <> '')
  AND name = %s
"""
COPY_WARNINGS = (
    "COPY jobs_stepwarning"
    ' (execution_id, step_id, "row", key, "column", value, code, message, outcome) FROM STDIN'
)
COPY_REJECTED = 'COPY jobs_rejectedrow (execution_id, step_id, "row", cells) FROM STDIN'
CUT = 200  # characters of a key or value that a warning keeps


Rejected = tuple[int, list[str]]  # the number of a row, and its cells as the source has them


def save(
    cursor: psycopg.Cursor,
    lease: Lease,
    record: StepExecution,
    position: Any,
    *,
    counters: Counters,
    warnings: Sequence[ItemWarning] = (),
    rejected: Sequence[Rejected] = (),
    bytes_read: int = 0,
    total: int | None = None,
) -> None:
    """Write the step's new cursor, counters and warnings, and prove the lease as the last act.

    Meant to be called in the transaction that did the work; raises Lost, and everything rolls
    back. `cursor` may belong to any connection, `position` is the step's cursor as JSON.
    """
    _copy_warnings(cursor, record, warnings)
    _copy_rejected(cursor, record, rejected)
    text = json.dumps(position, cls=DjangoJSONEncoder)
    cursor.execute(SAVE, [text, bytes_read, total, *astuple(counters), len(warnings), record.pk])
    moved = position != record.cursor or counters.processed > 0
    moved = moved and not lease.execution.dry_run  # whose next attempt begins anew
    lease.fence(cursor, progress=moved, warnings=len(warnings))
    record.cursor = position


def counted(cursor: psycopg.Cursor, record: StepExecution) -> Counters:
    """What has become of the step's items so far, in all attempts and in all parts of it."""
    if record.told_to is None:
        cursor.execute(COUNTED + "id = %s", [record.pk])
    else:
        cursor.execute(COUNTED + PARTS, [record.told_to[0], record.name])
    (row,) = cursor.fetchall()
    return Counters(*map(int, row))


def warn(cursor: psycopg.Cursor, record: StepExecution, warnings: Sequence[ItemWarning]) -> None:
    """Write warnings about the step itself. The caller fences, and tells the fence their number."""
    if warnings:
        _copy_warnings(cursor, record, warnings)
        cursor.execute(
            "UPDATE jobs_stepexecution SET warnings_count = warnings_count + %s WHERE id = %s",
            [len(warnings), record.pk],
        )


def _copy_warnings(
    cursor: psycopg.Cursor, record: StepExecution, warnings: Sequence[ItemWarning]
) -> None:
    """Where a step is done in parts, the warnings of all stand together, with the parent's step."""
    if not warnings:
        return
    execution_id, step_id = _told_to(record)
    with cursor.copy(COPY_WARNINGS) as copy:
        for found in sorted(warnings, key=lambda warning: warning.row or 0):
            copy.write_row(
                (
                    execution_id,
                    step_id,
                    found.row,
                    _storable(found.key)[:CUT],
                    _storable(found.column)[:CUT],
                    _storable(found.value)[:CUT],
                    found.code,
                    _storable(found.message),
                    found.outcome,
                )
            )


def _copy_rejected(
    cursor: psycopg.Cursor, record: StepExecution, rejected: Sequence[Rejected]
) -> None:
    if not rejected:
        return
    whose = _told_to(record)
    with cursor.copy(COPY_REJECTED) as copy:
        for row, cells in sorted(rejected):
            kept = [None if cell is ABSENT else _storable(cell) for cell in cells]
            copy.write_row((*whose, row, json.dumps(kept)))


def _told_to(record: StepExecution) -> tuple[UUID, int]:
    return record.told_to or (record.execution_id, record.pk)


def _storable(text: str) -> str:
    """What PostgreSQL can keep of a text: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "␀").encode("utf-8", "replace").decode()
