"""What steps and jobs may declare holds with real workers."""

from __future__ import annotations

import time

import pytest

from jobs import control
from jobs.models import JobExecution
from jobs.states import Status, StepStatus
from tests.engine.test_worker import effects, is_at_its_step
from tests.fleet import eventually, finished, until
from tests.samples.lifecycle import GATE
from tests.samples.models import Effect


def statuses(execution: JobExecution) -> list[str]:
    return [step.status for step in execution.steps.all()]


def test_a_step_whose_condition_does_not_hold_is_skipped_with_its_reason(worker, launch):
    execution = finished(launch("samples.steps", skip="No rules are enabled."))
    assert execution.status == Status.COMPLETED
    assert statuses(execution) == ["completed", "skipped", "completed"]
    assert execution.steps.get(name="second").reason == "No rules are enabled."
    assert effects(execution) == [1, 3, 100]


def test_a_failing_optional_step_becomes_a_warning(worker, launch):
    execution = finished(launch("samples.steps", optional=True, end="fail"))
    assert (execution.status, execution.outcome) == (Status.COMPLETED, "warned")
    assert statuses(execution) == ["completed", "failed", "completed"]
    assert execution.steps.get(name="second").error == "The second step has nothing to do."
    warning = execution.warnings.get()
    assert warning.code == "step_failed"
    assert "nothing to do" in warning.message
    assert effects(execution) == [1, 3, 100]  # what the step had written is undone


def test_a_failing_step_fails_the_execution_and_closes_it(worker, launch):
    execution = finished(launch("samples.steps", end="fail"))
    assert execution.status == Status.FAILED
    assert statuses(execution) == ["completed", "failed", "pending"]
    assert effects(execution) == [1, 101]


def test_one_optional_step_is_stopped_alone(worker, launch):
    execution = launch("samples.steps", optional=True, seconds=20)
    until(execution, lambda e: e.steps.filter(name="second", cursor__isnull=False).exists())
    JobExecution.objects.filter(pk=execution.pk).update(stop_step=1)
    finished(execution)
    assert execution.status == Status.COMPLETED
    assert statuses(execution) == ["completed", "stopped", "completed"]
    assert effects(execution) == [1, 2, 3, 100]


def test_a_stopped_job_cleans_up_and_an_aborted_one_does_not(worker, launch):
    stopped = launch("samples.steps", seconds=30)
    aborted = launch("samples.steps", seconds=30, end="sleep")
    for execution in (stopped, aborted):
        until(execution, lambda e: e.steps.filter(name="second", cursor__isnull=False).exists())
    control.stop(stopped)
    control.abort(aborted)
    assert finished(stopped).status == Status.STOPPED
    assert finished(aborted).status == Status.ABORTED
    assert 102 in effects(stopped)
    assert effects(aborted) == [1, 2]


def test_a_stop_waits_for_an_unstoppable_section_and_says_so(worker, launch):
    execution = until(launch("samples.section", pause=1.2), lambda e: e.section)
    control.stop(execution, grace_seconds=0.1, reason="Now")
    execution.refresh_from_db()
    assert execution.stop_deadline_at >= execution.section_until
    assert "“Post to the ledger” is done" in control.receipt(execution)["text"]
    finished(execution)
    assert execution.status == Status.STOPPED, execution.error_detail
    assert effects(execution) == [1]
    assert (execution.section, execution.section_until) == ("", None)


def test_an_abort_does_not_wait_for_a_section(worker, launch):
    execution = until(launch("samples.section", pause=8), lambda e: e.section)
    asked = time.monotonic()
    control.abort(execution)
    finished(execution)
    assert execution.status == Status.ABORTED
    assert time.monotonic() - asked < 5
    assert effects(execution) == []


def test_a_section_that_overruns_is_ended_by_the_ladder(worker, launch, monkeypatch):
    """The first second of the section is all it declared; it stays for ten."""
    execution = until(launch("samples.section", pause=10), lambda e: e.section)
    control.stop(execution, grace_seconds=0)
    JobExecution.objects.filter(pk=execution.pk).update(
        section_until=execution.stop_requested_at or execution.started_at,
        stop_deadline_at=execution.started_at,
    )
    finished(execution)
    assert execution.status == Status.ABORTED


def test_a_declared_error_is_tried_again_from_the_checkpoint(worker, launch):
    execution = finished(launch("samples.flaky", rows=3, die_at=3))
    assert execution.status == Status.COMPLETED
    assert execution.attempt == 3
    assert effects(execution) == [0, 1, 2]
    assert execution.crashes == 0
    reasons = list(execution.attempts.values_list("reason", flat=True))
    assert reasons[0] == "Try 1 of 3 after ConnectionError: The other system does not answer."


def test_a_declared_error_fails_after_its_tries(worker, launch):
    execution = finished(launch("samples.flaky", rows=3, die_at=99))
    assert execution.status == Status.FAILED
    assert execution.attempt == 4
    assert "ConnectionError" in execution.error
    assert effects(execution) == []


def test_a_serialization_failure_tries_the_chunk_again(worker, launch):
    execution = finished(launch("samples.conflict", rows=30))
    assert (execution.status, execution.attempt) == (Status.COMPLETED, 1)
    assert effects(execution) == [row for row in range(30) if row != 13]
    assert execution.steps.get().done == 29


def test_time_is_up_at_the_next_checkpoint(worker, launch):
    execution = finished(launch("samples.long", pause=0.1))
    assert execution.status == Status.TIMED_OUT
    assert 103 in effects(execution)


def test_time_is_up_for_a_job_that_does_not_look_up(worker, launch):
    execution = finished(launch("samples.long", pause=60))
    assert execution.status == Status.TIMED_OUT
    assert execution.history.last().reason == "its time was up"


def test_a_job_without_progress_counts_as_crashed(worker, launch):
    execution = finished(launch("samples.stalls"), 60)
    assert execution.status == Status.LOST
    assert execution.attempt == 3
    assert "no progress for 1 s" in execution.error


def test_a_throttled_job_lets_go_and_says_why(worker, launch):
    gate = Effect.objects.create(execution=GATE, row=0)
    try:
        execution = launch("samples.throttled", rows=3, pause=0.1)
        until(execution, lambda e: e.reason == "The gate is closed.")
        assert execution.status == Status.QUEUED
        assert execution.retry_at is not None
    finally:
        gate.delete()
    finished(execution)
    assert (execution.status, execution.crashes) == (Status.COMPLETED, 0), execution.error


def test_a_long_job_lets_others_go_first(controller, variables, launch, own_queue, tmp_path):
    from tests.fleet import celery_worker

    with celery_worker(variables, tmp_path, own_queue, slots=1):
        long = until(launch("samples.sliced", queue=own_queue, rows=13, pause=0.4), lambda e: e.pid)
        short = finished(launch("samples.chunks", queue=own_queue, rows=50))
        long.refresh_from_db()
        assert short.status == Status.COMPLETED
        assert not long.is_finished, (long.status, long.error)
        finished(long)
    assert (long.status, long.crashes) == (Status.COMPLETED, 0)
    assert long.attempt == 2
    assert effects(long) == list(range(13))


@pytest.mark.usefixtures("worker")
def test_what_completes_before_the_stop_says_so(launch):
    execution = until(launch("samples.brief", pause=1), is_at_its_step)
    control.stop(execution)
    finished(execution)
    assert execution.status == Status.COMPLETED, list(execution.history.values())
    assert execution.reason == "It was completed before the stop took effect."
    assert StepStatus.COMPLETED in statuses(execution)
    assert eventually(lambda: control.receipt(execution), "there is a receipt")["text"] == (
        "It was completed before the stop took effect."
    )
