"""The loop for bulk loads: PostgreSQL merges one chunk while the next is parsed and copied.

Two connections take turns, so that COPY of a chunk runs beside the merge of the one before it.
COPY runs in the main thread, because a parser thread would take the interpreter's lock from it;
only merge, checkpoint and commit run in the second thread, where Python waits for the server.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import cycle
from typing import Any

import psycopg
from django.db import connection, transaction

from jobs.definition import Counters, ItemWarning, Pace, RehearsingStager, StagedChunk, StagedStep
from jobs.engine import checkpoint
from jobs.engine.conflicts import without_conflict
from jobs.engine.database import own_connection
from jobs.engine.halving import Outcome, explain, halve, outcome_of
from jobs.engine.lease import Lease
from jobs.engine.rehearsal import begin_anew
from jobs.models import StepExecution

# A chunk should take about this long, so that a stop and the progress bar answer fast.
CHUNK_SECONDS = 0.3
SMALLEST, LARGEST = 500, 5_000
GARBAGE_THRESHOLD = 100_000  # more objects than two chunks have rows
# The merging thread asks for the interpreter between its statements; 5 ms is Python's default.
SWITCH_SECONDS = 0.0005


def run_staged(
    step: StagedStep, record: StepExecution, lease: Lease, *, overlapped: bool = True
) -> None:
    """Load the step's source from its last checkpoint to the end.

    Not overlapped, it works on Django's own connection, inside the caller's transaction.
    """
    pace = Pace()
    overlapped = overlapped and step.overlaps
    if step.rehearses:  # on one connection, which knows the rows that it has seen
        begin_anew(record, lease)
        overlapped = False
    kind = _Rehearsal if step.rehearses else _Loader
    with ExitStack() as stack:
        stack.enter_context(_few_collections())
        loaders = [
            kind(stack.enter_context(_connection(overlapped)), step, record, lease, pace)
            for _ in range(2 if overlapped else 1)
        ]
        submit = stack.enter_context(_merger(overlapped))
        pending: Future | None = None
        for loader, chunk in zip(cycle(loaders), step.chunks(record.cursor, pace), strict=False):
            loader.stage(chunk)
            if pending:
                pending.result()
            lease.check()
            pending = submit(loader.commit, chunk)
        if pending:
            pending.result()


class _Loader:
    """Takes one chunk at a time through stage and commit, on one connection."""

    def __init__(
        self,
        own: psycopg.Connection,
        step: StagedStep,
        record: StepExecution,
        lease: Lease,
        pace: Pace,
    ):
        self.own, self.cursor, self.stager = own, own.cursor(), step.stager()
        self.judge, self.overlaps = step.judge, step.overlaps
        self.record, self.lease, self.pace = record, lease, pace
        self.rows, self.staging_seconds = 0, 0.0
        self.stager.prepare(self.cursor)

    def stage(self, chunk: StagedChunk) -> None:
        """Copy the chunk's rows to the staging table, and let go of them.

        No transaction stays open: the merge before this one may have to wait for a lock.
        """
        began = time.monotonic()
        self.rows = len(chunk.rows)
        if chunk.rows:
            with self.own.transaction():
                self.stager.stage(self.cursor, chunk)
            chunk.rows.clear()
        self.staging_seconds = time.monotonic() - began

    def commit(self, chunk: StagedChunk) -> None:
        """Merge the staged rows, save the checkpoint, prove the lease and commit."""
        began = time.monotonic()
        without_conflict(partial(self._merge_and_save, chunk, tuple(chunk.warnings)))
        if self.judge:
            self.judge(checkpoint.counted(self.cursor, self.record))
        self._adapt(self.staging_seconds + time.monotonic() - began)

    def _merge_and_save(self, chunk: StagedChunk, parsed: tuple[ItemWarning, ...]) -> None:
        chunk.warnings = [*parsed]  # without those of a try that was rolled back
        with self._transaction():
            merged, refused = self._merge_all(chunk)
            checkpoint.save(
                self.cursor,
                self.lease,
                self.record,
                chunk.cursor,
                counters=chunk.counters + merged,
                warnings=[*chunk.warnings, *refused],
                rejected=[*chunk.rejected, *_records_of(chunk, refused)],
                bytes_read=chunk.position,
            )

    def _merge_all(self, chunk: StagedChunk) -> Outcome:
        return halve(0, self.rows, self._merge, partial(self._warn, chunk))

    def _merge(self, low: int, high: int) -> Counters:
        with self._transaction():  # a savepoint
            return self.stager.merge(self.cursor, low, high)

    def _transaction(self) -> AbstractContextManager[Any]:
        """One that Django knows of, where the stager works through its models."""
        return self.own.transaction() if self.overlaps else transaction.atomic()

    def _warn(self, chunk: StagedChunk, number: int, error: Exception) -> ItemWarning:
        code, message, column, value = (*explain(error), "", "")
        if explains := getattr(self.stager, "explain", None):
            code, message, column, value = explains(error, number)
        return ItemWarning(
            code=code,
            message=message,
            row=chunk.row_numbers[number],
            key=chunk.keys[number],
            column=column,
            value=value,
            outcome=outcome_of(error),
        )

    def _adapt(self, took: float) -> None:
        if self.rows >= self.pace.size // 2 and took > 0:
            aimed = int(self.rows * CHUNK_SECONDS / took)
            self.pace.size = max(SMALLEST, min(LARGEST, (self.pace.size + aimed) // 2))


class _Rehearsal(_Loader):
    """Takes a chunk through its merge and back: nothing is kept but what became of its rows."""

    stager: RehearsingStager

    def _merge_all(self, chunk: StagedChunk) -> Outcome:
        if not self.rows:
            return Counters(), []
        parsed = [*chunk.warnings]
        refused: list[int] = []
        with self.own.transaction(force_rollback=True):
            halve(-self.stager.recall(self.cursor), 0, self._merge, partial(self._warn, chunk))
            chunk.warnings = parsed
            outcome = halve(0, self.rows, self._merge, partial(self._refuse, chunk, refused))
            sample = self.stager.sample(self.cursor)
        self.stager.remember(self.cursor, refused, sample)
        return outcome

    def _refuse(
        self, chunk: StagedChunk, refused: list[int], number: int, error: Exception
    ) -> ItemWarning:
        refused.append(number)
        return self._warn(chunk, number, error)


def _records_of(chunk: StagedChunk, refused: list[ItemWarning]) -> Iterator[checkpoint.Rejected]:
    """The rows that only the database refused, as the source has them."""
    if refused and chunk.records:
        records = dict(zip(chunk.row_numbers, chunk.records, strict=True))
        for warning in refused:
            if warning.row is not None:
                yield warning.row, records[warning.row]


@contextmanager
def _few_collections() -> Iterator[None]:
    """Rows are many objects without cycles; to look for cycles in them took a third of the time."""
    before = gc.get_threshold()
    gc.set_threshold(GARBAGE_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _connection(overlapped: bool) -> Iterator[psycopg.Connection]:
    if overlapped:
        with own_connection() as own:
            # Rows and checkpoint are lost together or not at all; the end waits for the disk.
            own.execute("SET synchronous_commit = off")
            yield own
    else:
        connection.ensure_connection()
        yield connection.connection


@contextmanager
def _merger(overlapped: bool) -> Iterator[Callable[..., Future]]:
    """How a merge is submitted: to a thread of its own, or done at once."""
    if not overlapped:
        yield _at_once
        return
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="merge") as executor:
            yield executor.submit
    finally:
        sys.setswitchinterval(before)


def _at_once(function: Callable[..., Any], *arguments: Any) -> Future:
    function(*arguments)
    done: Future = Future()
    done.set_result(None)
    return done
