"""The chunk loop."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection, transaction

from jobs.definition import ChunkStep, Counters, ItemWarning
from jobs.engine import checkpoint
from jobs.engine.conflicts import without_conflict
from jobs.engine.database import raw_cursor
from jobs.engine.failed import failed_keys
from jobs.engine.halving import ITEM_ERRORS, count_refused, explain, halve, outcome_of
from jobs.engine.lease import Lease
from jobs.models import StepExecution

Item = tuple[Any, Any]  # the cursor behind it, and the item


class Made(NamedTuple):
    """What reading and processing made of a chunk: what is left to write, and what is known."""

    position: Any  # behind its last item
    ready: list[Item]
    counters: Counters
    warnings: list[ItemWarning]


def run_chunks(step: ChunkStep, record: StepExecution, lease: Lease) -> None:
    """Read, process and write the step's items from its last checkpoint to the end.

    A chunk's writes, its checkpoint and the proof of the lease commit together or not at all:
    after a crash nothing is lost or done twice.
    """
    source = iter(step.read(record.cursor))
    wanted = failed_keys(lease.execution, step.name)
    while chunk := list(islice(source, step.size)):
        lease.check()
        taken = chunk if wanted is None else [item for item in chunk if _key(item) in wanted]
        made = _process(step, taken, chunk[-1][0])
        without_conflict(partial(_commit, step, record, lease, made))


def _commit(step: ChunkStep, record: StepExecution, lease: Lease, made: Made) -> None:
    ready = made.ready
    with transaction.atomic(), raw_cursor() as cursor:
        written, refused = halve(
            0,
            len(ready),
            lambda low, high: _write(step, ready[low:high]),
            lambda number, error: _warning(ready[number], error),
        )
        checkpoint.save(
            cursor,
            lease,
            record,
            made.position,
            counters=made.counters + written,
            warnings=made.warnings + refused,
        )


def _process(step: ChunkStep, chunk: list[Item], behind: Any) -> Made:
    made = Made(behind, [], Counters(), [])
    counters = made.counters
    for position, item in chunk:
        try:
            result = step.process(item)
        except ITEM_ERRORS as error:
            counters += count_refused(error)
            made.warnings.append(_warning((position, item), error))
        else:
            if result is None:
                counters.unchanged += 1
            else:
                made.ready.append((position, result))
    return made._replace(counters=counters)


def _write(step: ChunkStep, items: list[Item]) -> Counters:
    """Write the items inside a savepoint; deferred constraints are checked here, not at commit."""
    with transaction.atomic():
        counters = step.write([item for _, item in items])
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return counters if isinstance(counters, Counters) else Counters(done=len(items))


def _warning(item: Item, error: Exception) -> ItemWarning:
    code, message = explain(error)
    return ItemWarning(
        code=code,
        message=message,
        key=_key(item),
        value=str(item[1])[:200],
        outcome=outcome_of(error),
    )


def _key(item: Item) -> str:
    """What a warning calls an item: its primary key, or the cursor behind it."""
    position, value = item
    return str(getattr(value, "pk", position))[: checkpoint.CUT]
