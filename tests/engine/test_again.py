"""Continue, relaunch and retry failed: new executions that do what the old one left."""

from __future__ import annotations

import pytest

from jobs import control
from jobs.models import JobExecution
from jobs.states import Status
from tests.engine.test_worker import effects
from tests.fleet import finished, until


def stopped(execution: JobExecution) -> JobExecution:
    until(execution, lambda e: e.checkpoints > 2)
    control.stop(execution)
    return finished(execution)


def test_continue_goes_on_behind_the_checkpoint(worker, launch):
    first = stopped(launch("samples.chunks", rows=1000, pause=0.1))
    assert control.receipt(first)["text"].endswith("Continue goes on from there.")
    second = finished(control.continue_(first), 40)
    assert (second.status, second.continues_id) == (Status.COMPLETED, first.pk)
    left_out = {row for row in range(1000) if row % 100 in (7, 8)} | {13}
    rows = [row for row in range(1000) if row not in left_out]
    assert sorted(effects(first) + effects(second)) == rows
    step = second.steps.get()
    assert step.carried == first.steps.get().processed
    assert step.carried + step.processed == 1000


def test_continue_of_a_job_of_several_steps_takes_only_what_is_left(worker, launch):
    first = launch("samples.steps", seconds=30)
    until(first, lambda e: e.steps.filter(name="second", cursor__isnull=False).exists())
    control.stop(first)
    finished(first)
    JobExecution.objects.filter(pk=first.pk).update(parameters=first.parameters | {"seconds": 0})
    first.refresh_from_db()
    second = finished(control.continue_(first))
    assert second.status == Status.COMPLETED
    assert 1 not in effects(second)
    assert 3 in effects(second)


def test_what_completed_cannot_be_continued(worker, launch):
    execution = finished(launch("samples.chunks", rows=50))
    with pytest.raises(control.Refused, match="there is nothing to continue"):
        control.continue_(execution)


def test_changed_code_cannot_be_continued(worker, launch):
    execution = stopped(launch("samples.chunks", rows=1000, pause=0.1))
    JobExecution.objects.filter(pk=execution.pk).update(job_version="older")
    execution.refresh_from_db()
    with pytest.raises(control.Refused, match="has changed since: relaunch it"):
        control.continue_(execution)
    answers = control.actions(None, execution)
    assert not answers["continue"]["allowed"]
    assert answers["relaunch"]["allowed"]


def test_relaunch_begins_anew(worker, launch):
    first = finished(launch("samples.chunks", rows=50))
    second = finished(control.relaunch(first))
    assert second.parameters == first.parameters
    assert effects(second) == effects(first)
    assert (second.trigger, second.continues_id) == ("relaunch", None)


def test_what_runs_cannot_be_launched_again(worker, launch):
    execution = until(launch("samples.chunks", rows=1000, pause=0.1), lambda e: e.pid)
    with pytest.raises(control.Refused, match="can be launched again when it has ended"):
        control.relaunch(execution)
    control.stop(execution)
    finished(execution)


def test_retry_failed_takes_only_the_failed_rows(worker, launch):
    first = finished(launch("samples.chunks", rows=300))
    assert first.steps.get().failed == 4  # 8, 13, 108, 208; those ending in 07 are left out
    second = finished(control.retry_failed(first))
    step = second.steps.get()
    assert (step.processed, step.failed, step.total) == (4, 4, 4)
    assert effects(second) == []
    assert sorted(w.key for w in second.warnings.all()) == ["108", "13", "208", "8"]


def test_without_failed_rows_there_is_nothing_to_retry(worker, launch):
    execution = finished(launch("samples.function", rows=3))
    with pytest.raises(control.Refused, match="has no failed rows"):
        control.retry_failed(execution)
