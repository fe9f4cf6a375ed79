"""The protocol without processes: any order of steps, by the true holder or by a zombie."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs import control
from jobs.definition import Counters
from jobs.engine import checkpoint
from jobs.engine import lease as lease_module
from jobs.engine.claim import claim
from jobs.engine.database import raw_cursor
from jobs.engine.lease import Lease, Lost
from jobs.engine.recover import take_back, take_back_expired
from jobs.models import JobExecution, NotAllowed, StatusChange, StepExecution
from jobs.models.base import ClockNow, seconds
from jobs.states import FINISHED, HELD, MOVES, Event, Status
from tests.fleet import eventually
from tests.samples.models import Effect

ROWS, EXECUTIONS = 6, 2
ASKS = {
    "activate": control.activate,
    "pause": control.pause,
    "resume": control.resume,
    "stop": control.stop,
    "abort": control.abort,
    "delete": control.delete,
}
GONE = (NotAllowed, control.Refused, JobExecution.DoesNotExist)


@dataclass
class Token:
    """What one worker remembers: its lease, and how far it believes the step to be."""

    lease: Lease
    record: StepExecution

    @property
    def next_row(self) -> int:
        return 0 if self.record.cursor is None else self.record.cursor + 1


class Protocol(RuleBasedStateMachine):
    """Launches, workers, crashes and requests in any order, through the product's functions."""

    executions: Bundle[UUID] = Bundle("executions")
    tokens: Bundle[Token] = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.known: set[UUID] = set()
        self.finished: dict[UUID, tuple[Any, ...]] = {}

    @initialize(target=tokens, taken_over=st.booleans())
    def begin_with_one_at_work(self, taken_over: bool) -> Any:
        """Most orders worth walking begin here; half of them with a zombie."""
        pk = self.launch_one(deferred=False)
        first = self.begin(pk)
        return multiple(first, self.let_another_worker_take_over(pk)) if taken_over else first

    @rule(target=executions)
    def name_the_first(self) -> Any:
        """The execution of the beginning, as long as it is there."""
        return multiple(*sorted(self.known)[:1])

    @precondition(lambda self: len(self.known) < EXECUTIONS)
    @rule(target=executions, deferred=st.sampled_from((False, False, True)))
    def launch(self, deferred: bool) -> UUID:
        return self.launch_one(deferred=deferred)

    def launch_one(self, *, deferred: bool) -> UUID:
        execution = control.launch(job="samples.chunks", deferred=deferred)
        self.known.add(execution.pk)
        return execution.pk

    @rule(target=tokens, pk=executions)
    def begin(self, pk: UUID) -> Any:
        execution = claim(str(pk), "a worker")
        if execution is None:
            return multiple()
        record, _ = StepExecution.objects.get_or_create(
            execution=execution, name="rows", defaults={"order": 0, "label": "Rows"}
        )
        return Token(Lease(execution, execution.attempt), record)

    @rule(token=tokens, size=st.integers(1, 3))
    def commit_a_chunk(self, token: Token, size: int) -> None:
        rows = range(token.next_row, min(ROWS, token.next_row + size))
        if not rows:
            return
        execution = token.lease.execution.pk
        with suppress(Lost), transaction.atomic(), raw_cursor() as cursor:
            Effect.objects.bulk_create(
                Effect(execution=execution, row=row, attempt=token.lease.attempt) for row in rows
            )
            counted = Counters(done=len(rows))
            checkpoint.save(cursor, token.lease, token.record, rows[-1], counters=counted)

    @rule(token=tokens, event=st.sampled_from((Event.COMPLETE, Event.FAIL, Event.RELEASE)))
    def end_the_attempt(self, token: Token, event: Event) -> None:
        if event == Event.COMPLETE and token.next_row < ROWS:
            return
        with suppress(*GONE):
            token.lease.execution.transition(event, holder=token.lease.attempt)

    @rule(token=tokens)
    def find_the_job_dead(self, token: Token) -> None:
        take_back(token.lease.execution, token.lease.attempt, why="its process is gone")
        self._stop_the_clock()

    @rule(pk=executions)
    def let_the_lease_run_out(self, pk: UUID) -> None:
        held = JobExecution.objects.filter(pk=pk, status__in=HELD)
        held.update(lease_expires_at=ClockNow() - seconds(1))
        take_back_expired()
        self._stop_the_clock()

    def _stop_the_clock(self) -> None:
        """Only `wait` ends a pause, however slow this machine is."""
        waiting = JobExecution.objects.filter(pk__in=self.known, retry_at__gt=ClockNow())
        waiting.update(retry_at=ClockNow() + seconds(3600))

    @rule(target=tokens, pk=executions)
    def let_another_worker_take_over(self, pk: UUID) -> Any:
        """The way to a zombie: the lease runs out, and somebody else begins."""
        self.let_the_lease_run_out(pk)
        self.wait(pk)
        return self.begin(pk)

    @rule(pk=executions)
    def wait(self, pk: UUID) -> None:
        JobExecution.objects.filter(pk=pk).update(retry_at=None)

    @rule(pk=executions, ask=st.sampled_from([*["pause", "resume"] * 3, *ASKS]))
    def ask(self, pk: UUID, ask: str) -> None:
        with suppress(*GONE):
            ASKS[ask](JobExecution.objects.get(pk=pk))

    @invariant()
    def all_promises_hold(self) -> None:
        for row in self._look():
            check_history(row)
            check_attempts(row)
            check_effects(row)
            self._check_finished(row)

    def _look(self) -> list[Row]:
        with connection.cursor() as cursor:
            cursor.execute(LOOK, [list(self.known)])
            return [Row(*values) for values in cursor.fetchall()]

    def _check_finished(self, row: Row) -> None:
        """A finished row never changes."""
        if row.status in FINISHED:
            seen = (row.status, row.attempt, row.version)
            assert self.finished.setdefault(row.pk, seen) == seen
        else:
            assert row.pk not in self.finished


class Row(NamedTuple):
    """An execution and all that belongs to it, by one query."""

    pk: UUID
    status: str
    attempt: int
    version: int
    history: list[list[str]]
    attempts: list[int]
    alive: list[int]
    written: list[int]
    done: int


LOOK = """
SELECT e.id, e.status, e.attempt, e.version,
  ARRAY(SELECT ARRAY[event, before, after] FROM jobs_statuschange
        WHERE execution_id = e.id ORDER BY id),
  ARRAY(SELECT number FROM jobs_attempt WHERE execution_id = e.id ORDER BY number),
  ARRAY(SELECT number FROM jobs_attempt WHERE execution_id = e.id AND ended_at IS NULL),
  ARRAY(SELECT row FROM samples_effect WHERE execution = e.id ORDER BY row),
  (SELECT coalesce(sum(done), 0)::int FROM jobs_stepexecution WHERE execution_id = e.id)
FROM jobs_jobexecution e WHERE e.id = ANY(%s)
"""


def check_history(row: Row) -> None:
    """It begins with the launch, has no gap, follows the table and ends where the row is."""
    assert row.history[0][0] == StatusChange.LAUNCH
    assert row.history[-1][2] == row.status
    for (*_, reached), (event, before, after) in pairwise(row.history):
        assert before == reached
        harder = event == Event.STOP and before == after == Status.STOPPING
        assert harder or MOVES[Event(event)][Status(before)] == after


def check_attempts(row: Row) -> None:
    """They are numbered without gap, and only the last of a held execution is alive."""
    assert row.attempts == list(range(1, row.attempt + 1))
    assert row.alive == ([row.attempt] if row.status in HELD else [])


def check_effects(row: Row) -> None:
    """Every row is written once, without gap, and counted."""
    assert row.written == list(range(row.done))
    assert row.status != Status.COMPLETED or row.done == ROWS


PROFILE = settings(
    max_examples=40,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)


@pytest.fixture(autouse=True)
def _an_older_server(db: None) -> None:
    """Soon after a start of the database nothing is taken back."""
    lease = django_settings.JOBS_LEASE_SECONDS
    older = "SELECT pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %s)"

    def is_older() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(older, [lease])
            return cursor.fetchone()[0]

    eventually(is_older, "the server is older than a lease", lease + 1)


def test_in_any_order_every_promise_holds():
    run_state_machine_as_test(Protocol, settings=PROFILE)


def test_without_the_fence_an_order_is_found_that_breaks_a_promise(monkeypatch):
    ours, anybodys = "WHERE id = %s AND attempt = %s", "WHERE id = %s AND %s > 0"
    assert ours in lease_module.FENCE
    monkeypatch.setattr(lease_module, "FENCE", lease_module.FENCE.replace(ours, anybodys))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Protocol, settings=PROFILE)
