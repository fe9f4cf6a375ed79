"""A real worker runs, stops, pauses and reports what it is asked to."""

from __future__ import annotations

import time

import psycopg
import pytest
from django.db import connection, transaction

from jobs import control
from jobs.models import JobExecution
from jobs.states import Status
from tests.fleet import eventually, finished, is_alive, until
from tests.samples.models import Effect

SLOW = {"rows": 2000, "pause": 0.05}


def effects(execution: JobExecution) -> list[int]:
    return sorted(Effect.objects.filter(execution=execution.pk).values_list("row", flat=True))


def text(execution: JobExecution, stream: str) -> str:
    pieces = execution.console.filter(stream=stream)
    return b"".join(bytes(piece.text) for piece in pieces).decode()


def is_at_its_step(execution: JobExecution) -> bool:
    return bool(execution.pid) and execution.steps.filter(status="running").exists()


def test_a_job_runs_to_its_end_with_exact_counters(worker, launch):
    execution = finished(launch("samples.chunks", rows=300))

    assert execution.status == Status.COMPLETED
    step = execution.steps.get()
    # 07 and 08 of every hundred are left out by the job, 13 by the database.
    assert (step.done, step.skipped, step.failed, step.processed) == (293, 3, 4, 300)
    assert (step.total, step.warnings_count, execution.warnings_count) == (300, 7, 7)
    left_out = {7, 107, 207, 8, 108, 208, 13}
    assert effects(execution) == [row for row in range(300) if row not in left_out]
    assert execution.outcome == "warned"


def test_a_function_returns_its_result(worker, launch):
    execution = finished(launch("samples.function", rows=10))
    assert (execution.status, execution.result) == (Status.COMPLETED, {"rows": 10})
    assert effects(execution) == list(range(10))


def test_a_stop_takes_effect_at_the_next_checkpoint(worker, launch):
    execution = until(launch("samples.chunks", **SLOW), lambda e: e.checkpoints > 2)
    control.stop(execution, reason="Wrong file")
    finished(execution)

    assert execution.status == Status.STOPPED
    step = execution.steps.get()
    assert len(effects(execution)) == step.done
    assert step.processed % 50 == 0
    assert (execution.finished_at - execution.stop_requested_at).total_seconds() < 1.5
    receipt = control.receipt(execution)
    assert receipt["processed"] == step.processed
    assert receipt["resumable"]


def test_an_abort_ends_a_call_that_nothing_else_ends(worker, launch):
    execution = until(launch("samples.stuck"), is_at_its_step)
    pid = execution.pid
    asked = time.monotonic()
    control.abort(execution)
    finished(execution)

    assert execution.status == Status.ABORTED
    assert time.monotonic() - asked < 3
    eventually(lambda: not is_alive(pid), "the job's process is gone")


def test_a_stop_is_enforced_when_its_grace_is_over(worker, launch):
    execution = until(launch("samples.stuck"), is_at_its_step)
    control.stop(execution, grace_seconds=0.5)
    finished(execution)
    assert execution.status == Status.ABORTED
    assert execution.history.last().reason == "ended by force"


def test_a_pause_rests_at_a_checkpoint_and_resume_goes_on_from_it(worker, launch):
    execution = until(launch("samples.chunks", **SLOW), lambda e: e.checkpoints > 2)
    control.pause(execution)
    until(execution, lambda e: e.status == Status.PAUSED)
    saved = effects(execution)
    control.resume(execution)
    finished(execution)

    assert execution.status == Status.COMPLETED
    assert execution.attempt == 2
    assert saved == effects(execution)[: len(saved)]
    assert len(effects(execution)) == len(set(effects(execution)))
    assert execution.steps.get().processed == SLOW["rows"]


def test_what_is_queued_or_paused_stops_at_once(launch, own_queue):
    queued = launch("samples.chunks", queue=own_queue)
    assert control.stop(queued).status == Status.STOPPED
    paused = launch("samples.chunks", queue=own_queue)
    control.pause(paused)
    assert control.stop(paused).status == Status.STOPPED


def test_a_bug_is_said_in_a_sentence_and_its_work_is_rolled_back(worker, launch):
    execution = finished(launch("samples.bug"))
    assert execution.status == Status.FAILED
    assert execution.error == (
        "An error in the job's code ended it: ZeroDivisionError: division by zero"
    )
    assert "return 1 / 0" in execution.error_detail
    assert "Traceback" in text(execution, "debug")
    assert "Traceback" not in text(execution, "console")
    assert effects(execution) == []


def test_a_job_error_is_shown_as_it_is(worker, launch):
    execution = finished(launch("samples.refuses"))
    assert execution.status == Status.FAILED
    assert execution.error == "The shelf is empty. Fill it and launch again."
    assert not execution.error_detail


def test_an_idle_transaction_fails_with_a_sentence(worker, launch):
    execution = finished(launch("samples.idle"), within=40)
    assert execution.status == Status.FAILED
    assert "held a transaction open" in execution.error
    assert execution.attempt == 1
    assert effects(execution) == []


def test_the_console_is_kept_and_made_safe(worker, launch):
    execution = finished(launch("samples.talk"))
    said = text(execution, "console")
    assert "plain line\nred  bell done\n" in said
    assert "with the time" in said
    assert "to the debug stream" in text(execution, "debug")


def test_a_file_counts_when_its_row_is_committed(worker, launch):
    execution = finished(launch("samples.file"))
    made = execution.files.get()
    with made.file.open("rb") as content:
        assert (made.name, made.size, content.read()) == ("greeting.txt", 5, b"hello")
    assert made.sha256.startswith("2cf24dba")


def test_a_held_warning_row_does_not_delay_a_stop(worker, launch):
    """Rows that point to an execution hold a key-share lock on it; a stop does not wait for it."""
    execution = until(launch("samples.chunks", **SLOW), lambda e: e.checkpoints > 2)
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory")
    with psycopg.connect(**parameters) as other:
        other.execute(
            'INSERT INTO jobs_stepwarning (execution_id, step_id, key, "column", value, code,'
            " message) VALUES (%s, %s, '', '', '', 'held', 'held')",
            [execution.pk, execution.steps.get().pk],
        )
        asked = time.monotonic()
        control.stop(execution)
        finished(execution)
        assert time.monotonic() - asked < 2
        other.rollback()
    assert execution.status == Status.STOPPED


@pytest.mark.parametrize("job", ["samples.chunks", "samples.function"])
def test_a_rolled_back_launch_never_was(worker, job):
    before = JobExecution.objects.count()
    with transaction.atomic():
        control.launch(job=job)
        transaction.set_rollback(True)
    assert JobExecution.objects.count() == before
