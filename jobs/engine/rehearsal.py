"""A dry run keeps what it has seen in its session, so after an interruption it begins anew."""

from __future__ import annotations

from django.db import transaction

from jobs.definition import COUNTERS
from jobs.engine.database import raw_cursor
from jobs.engine.lease import Lease
from jobs.models import RejectedRow, RowChange, StepExecution, StepWarning

FORGET = f"""
UPDATE jobs_stepexecution SET cursor = NULL, position = 0, warnings_count = 0,
  {", ".join(f"{name} = 0" for name in COUNTERS)}
WHERE id = %s
"""  # noqa: S608 (the names are our own)


def begin_anew(record: StepExecution, lease: Lease) -> None:
    """Forget what an earlier attempt has counted, warned of and shown."""
    if record.cursor is None:
        return
    with transaction.atomic(), raw_cursor() as cursor:
        for rows in (
            StepWarning.objects.filter(step=record),
            RejectedRow.objects.filter(step=record),
            RowChange.objects.filter(execution=record.execution_id),
        ):
            rows.delete()
        cursor.execute(FORGET, [record.pk])
        lease.fence(cursor, progress=False, warnings=-record.warnings_count)
    record.refresh_from_db()
