"""The chunk loop and its fence, without a worker; and the same with the fence taken out."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.definition import ChunkStep, Counters, Skip
from jobs.engine import lease as lease_module
from jobs.engine import loop
from jobs.engine.database import own_connection
from jobs.engine.halving import halve
from jobs.engine.lease import Halt, Lease, Lost
from jobs.engine.loop import run_chunks
from jobs.engine.recover import take_back
from jobs.models import JobExecution, StepExecution
from jobs.models.base import ClockNow, seconds
from jobs.states import Event
from tests.samples.models import Effect


def begin(execution: JobExecution) -> Lease:
    execution.transition(
        Event.START, attempt=execution.attempt + 1, lease_expires_at=ClockNow() + seconds(30)
    )
    return Lease(execution, execution.attempt)


@pytest.fixture
def execution() -> JobExecution:
    return JobExecution.objects.create(name="Test", job="samples.chunks", queue="nowhere")


@pytest.fixture
def record(execution: JobExecution) -> StepExecution:
    return StepExecution.objects.create(execution=execution, order=0, name="rows", label="Rows")


def rows_step(execution: JobExecution, rows: list[int], size: int = 4, **changes: Any) -> ChunkStep:
    def read(cursor: int | None):
        return ((row, row) for row in rows if cursor is None or row > cursor)

    def write(items: list[int]) -> None:
        Effect.objects.bulk_create(Effect(execution=execution.pk, row=row) for row in items)

    return ChunkStep(**{"name": "rows", "read": read, "write": write, "size": size} | changes)


def written(execution: JobExecution) -> list[int]:
    return sorted(Effect.objects.filter(execution=execution.pk).values_list("row", flat=True))


def test_one_bad_item_costs_one_item(execution, record):
    run_chunks(rows_step(execution, list(range(10, 18)), size=8), record, begin(execution))

    assert written(execution) == [10, 11, 12, 14, 15, 16, 17]
    record.refresh_from_db()
    assert (record.done, record.failed, record.processed) == (7, 1, 8)
    warning = record.warnings.get()
    assert warning.code == "refused"
    assert "no_row_is_thirteen" in warning.message


def test_skips_and_invalid_items_are_told_apart(execution, record):
    def process(row: int) -> int | None:
        if row == 1:
            raise Skip("Not today.")
        if row == 2:
            raise ValidationError("Too small.", code="small")
        return None if row == 3 else row

    step = rows_step(execution, [0, 1, 2, 3, 4], process=process)
    run_chunks(step, record, begin(execution))

    record.refresh_from_db()
    assert (record.done, record.skipped, record.failed, record.unchanged) == (2, 1, 1, 1)
    said = list(record.warnings.values_list("code", "message"))
    assert said == [("skipped", "Not today."), ("small", "Too small.")]


def test_it_goes_on_from_its_checkpoint(execution, record):
    record.cursor = 2
    run_chunks(rows_step(execution, [1, 2, 3, 4]), record, begin(execution))
    assert written(execution) == [3, 4]


def test_counters_of_the_job_are_taken(execution, record):
    step = rows_step(execution, [1, 2, 3], write=lambda items: Counters(created=1, updated=2))
    run_chunks(step, record, begin(execution))
    record.refresh_from_db()
    assert (record.created, record.updated, record.processed) == (1, 2, 3)


def test_a_stop_is_heard_at_the_fence_of_the_chunk(execution, record):
    holder = begin(execution)

    def write(items: list[int]) -> None:
        if items[0] == 4:
            execution.transition(Event.STOP)

    with pytest.raises(Halt):
        run_chunks(rows_step(execution, list(range(12)), write=write), record, holder)
    record.refresh_from_db()
    assert (record.cursor, record.processed) == (7, 8)


def lose_the_lease_in_the_second_chunk(execution: JobExecution, record: StepExecution) -> list[int]:
    """A worker freezes in its second chunk, another one finishes, the first thaws and commits."""
    zombie, rows = begin(execution), list(range(8))

    def freeze(items: list[int]) -> None:
        Effect.objects.bulk_create(Effect(execution=execution.pk, row=row) for row in items)
        if items[0] == 4:
            other = threading.Thread(target=finish_elsewhere, args=(execution.pk, rows))
            other.start()
            other.join()

    with suppress(Lost):
        run_chunks(rows_step(execution, rows, write=freeze), record, zombie)
    return written(execution)


def finish_elsewhere(pk: UUID, rows: list[int]) -> None:
    """What a controller and a second worker do, on a connection of their own."""
    execution = JobExecution.objects.get(pk=pk)
    take_back(execution, execution.attempt, why="it was not heard of")
    execution.refresh_from_db()
    run_chunks(rows_step(execution, rows), execution.steps.get(), begin(execution))
    connection.close()


def test_a_lost_lease_rolls_the_chunk_back(execution, record):
    assert lose_the_lease_in_the_second_chunk(execution, record) == list(range(8))


UNFENCED = lease_module.FENCE.replace(
    "WHERE id = %s AND attempt = %s AND status = ANY(%s)",
    "WHERE id = %s AND %s > 0 AND %s::text[] IS NOT NULL",
)


def test_without_the_fence_rows_are_written_twice(execution, record, monkeypatch):
    """The mutant of the test above: with nothing else changed, it turns that test red."""
    assert UNFENCED != lease_module.FENCE
    monkeypatch.setattr(lease_module, "FENCE", UNFENCED)
    doubled = [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    assert lose_the_lease_in_the_second_chunk(execution, record) == doubled


def test_without_one_transaction_a_crash_doubles_rows(execution, record, monkeypatch):
    """The mutant that commits data and checkpoint apart."""

    def crash(*_: Any, **__: Any) -> None:
        raise SystemExit

    def autocommitting(items: list[int]) -> None:
        with own_connection() as own:
            for row in items:
                own.execute(
                    "INSERT INTO samples_effect (execution, row, attempt) VALUES (%s, %s, 0)",
                    [execution.pk, row],
                )

    step, holder = rows_step(execution, list(range(4)), write=autocommitting), begin(execution)
    with monkeypatch.context() as patched:
        patched.setattr(loop.checkpoint, "save", crash)
        with pytest.raises(SystemExit):
            run_chunks(step, record, holder)
    take_back(execution, 1, why="it crashed")
    execution.refresh_from_db()
    fresh = StepExecution.objects.get(pk=record.pk)
    run_chunks(rows_step(execution, list(range(4))), fresh, begin(execution))
    assert written(execution) != list(range(4))


@given(bad=st.sets(st.integers(0, 63)), size=st.integers(0, 64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_halving_finds_exactly_the_bad_items(bad: set[int], size: int):
    good: list[int] = []

    def write(low: int, high: int) -> Counters:
        if bad & set(range(low, high)):
            raise ValidationError("bad")
        good.extend(range(low, high))
        return Counters(done=high - low)

    counters, refused = halve(0, size, write, lambda number, _: number)
    expected = bad & set(range(size))
    assert sorted(refused) == sorted(expected)
    assert good == [number for number in range(size) if number not in expected]
    assert (counters.done, counters.failed) == (size - len(expected), len(expected))
