"""The loop for bulk loads: PostgreSQL merges one chunk while the next is being parsed.

COPY runs in the main thread, because a parser thread would take the interpreter's lock from it;
only merge, checkpoint and commit run in the second thread, where Python waits for the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.db import connection

from jobs.definition import Counters, ItemWarning, Pace, StagedChunk, StagedStep, Stager
from jobs.engine import checkpoint
from jobs.engine.database import own_connection
from jobs.engine.halving import explain, halve
from jobs.engine.lease import Lease
from jobs.models import StepExecution

# A chunk should take about this long, so that a stop and the progress bar answer fast.
CHUNK_SECONDS = 0.3
SMALLEST, LARGEST = 500, 10_000


def run_staged(
    step: StagedStep, record: StepExecution, lease: Lease, *, overlapped: bool = True
) -> None:
    """Load the step's source from its last checkpoint to the end.

    Not overlapped, it works on Django's own connection, inside the caller's transaction.
    """
    pace = Pace()
    with _connection(overlapped) as own, _merger(overlapped) as submit:
        stager, cursor = step.stager(), own.cursor()
        stager.prepare(cursor)
        loader = _Loader(own, cursor, stager, record, lease, pace)
        pending: Future | None = None
        for chunk in step.chunks(record.cursor, pace):
            if pending:
                pending.result()
            lease.check()
            loader.stage(chunk)
            pending = submit(loader.commit, chunk)
        if pending:
            pending.result()


@dataclass
class _Loader:
    """Takes one chunk at a time through stage and commit, on one connection."""

    own: psycopg.Connection
    cursor: psycopg.Cursor
    stager: Stager
    record: StepExecution
    lease: Lease
    pace: Pace
    transaction: ExitStack = field(default_factory=ExitStack)
    began: float = 0.0

    def stage(self, chunk: StagedChunk) -> None:
        """Begin the chunk's transaction and copy its rows to the staging table."""
        self.began = time.monotonic()
        self.transaction = ExitStack()
        self.transaction.enter_context(self.own.transaction())
        with self._rolled_back_on_error():
            if chunk.rows:
                self.stager.stage(self.cursor, chunk)

    def commit(self, chunk: StagedChunk) -> None:
        """Merge the staged rows, save the checkpoint, prove the lease and commit."""
        with self._rolled_back_on_error():
            merged, refused = halve(
                0,
                len(chunk.rows),
                self._merge,
                lambda number, error: self._warn(chunk, number, error),
            )
            checkpoint.save(
                self.cursor,
                self.lease,
                self.record,
                chunk.cursor,
                counters=chunk.counters + merged,
                warnings=[*chunk.warnings, *refused],
                bytes_read=chunk.position,
            )
        self.transaction.close()
        self._adapt(len(chunk.rows))

    @contextmanager
    def _rolled_back_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.transaction.__exit__(type(error), error, error.__traceback__)
            raise

    def _merge(self, low: int, high: int) -> Counters:
        with self.own.transaction():  # a savepoint
            return self.stager.merge(self.cursor, low, high)

    def _warn(self, chunk: StagedChunk, number: int, error: Exception) -> ItemWarning:
        code, message, *column = getattr(self.stager, "explain", explain)(error)
        return ItemWarning(
            code=code,
            message=message,
            row=chunk.row_numbers[number],
            key=chunk.keys[number],
            column=column[0] if column else "",
        )

    def _adapt(self, rows: int) -> None:
        took = time.monotonic() - self.began
        if rows >= self.pace.size // 2 and took > 0:
            aimed = int(rows * CHUNK_SECONDS / took)
            self.pace.size = max(SMALLEST, min(LARGEST, (self.pace.size + aimed) // 2))


@contextmanager
def _connection(overlapped: bool) -> Iterator[psycopg.Connection]:
    if overlapped:
        with own_connection() as own:
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
    with ThreadPoolExecutor(1, thread_name_prefix="merge") as executor:
        yield executor.submit


def _at_once(function: Callable[..., Any], *arguments: Any) -> Future:
    function(*arguments)
    done: Future = Future()
    done.set_result(None)
    return done
