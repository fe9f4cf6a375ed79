"""The chunk loop."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.db import connection, transaction

from jobs.definition import ChunkStep, Counters, ItemWarning
from jobs.engine import checkpoint
from jobs.engine.database import raw_cursor
from jobs.engine.halving import ITEM_ERRORS, count_refused, explain, halve, outcome_of
from jobs.engine.lease import Lease
from jobs.models import StepExecution

Item = tuple[Any, Any]  # the cursor behind it, and the item


def run_chunks(step: ChunkStep, record: StepExecution, lease: Lease) -> None:
    """Read, process and write the step's items from its last checkpoint to the end.

    A chunk's writes, its checkpoint and the proof of the lease commit together or not at all:
    after a crash nothing is lost or done twice.
    """
    source = iter(step.read(record.cursor))
    while chunk := list(islice(source, step.size)):
        lease.check()
        ready, counters, warnings = _process(step, chunk)
        with transaction.atomic(), raw_cursor() as cursor:
            written, refused = halve(
                0,
                len(ready),
                lambda low, high: _write(step, ready[low:high]),  # noqa: B023 (called at once)
                lambda number, error: _warning(ready[number], error),  # noqa: B023
            )
            position = chunk[-1][0]
            checkpoint.save(
                cursor,
                lease,
                record,
                position,
                counters=counters + written,
                warnings=warnings + refused,
            )


def _process(step: ChunkStep, chunk: list[Item]) -> tuple[list[Item], Counters, list[ItemWarning]]:
    ready, counters, warnings = [], Counters(), []
    for position, item in chunk:
        try:
            result = step.process(item)
        except ITEM_ERRORS as error:
            counters += count_refused(error)
            warnings.append(_warning((position, item), error))
        else:
            if result is None:
                counters.unchanged += 1
            else:
                ready.append((position, result))
    return ready, counters, warnings


def _write(step: ChunkStep, items: list[Item]) -> Counters:
    """Write the items inside a savepoint; deferred constraints are checked here, not at commit."""
    with transaction.atomic():
        counters = step.write([item for _, item in items])
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return counters if isinstance(counters, Counters) else Counters(done=len(items))


def _warning(item: Item, error: Exception) -> ItemWarning:
    code, message = explain(error)
    position, value = item
    key = str(getattr(value, "pk", position))
    return ItemWarning(
        code=code, message=message, key=key, value=str(value)[:200], outcome=outcome_of(error)
    )
