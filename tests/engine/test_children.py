"""A parent waits for its children without a worker, is stopped with them, and adds them up."""

from __future__ import annotations

import os
import signal

from jobs import control
from jobs.models import JobExecution
from jobs.states import Status
from tests.engine.test_worker import effects
from tests.fleet import celery_worker, finished, until
from tests.samples.models import Effect


def all_effects(execution: JobExecution) -> list[int]:
    ids = execution.children.values_list("pk", flat=True)
    return sorted(Effect.objects.filter(execution__in=ids).values_list("row", flat=True))


def first_child(execution: JobExecution) -> JobExecution:
    return execution.children.order_by("partition", "pk").first()


def test_a_step_in_parts_is_done_by_children_that_add_up(worker, launch):
    parent = finished(launch("samples.parts", rows=600), 40)
    assert parent.status == Status.COMPLETED, parent.error
    assert all_effects(parent) == [row for row in range(600) if row % 100 != 8 and row != 13]
    step = parent.steps.get()
    assert (step.done, step.failed, step.processed, step.total) == (593, 7, 600, 600)
    assert parent.outcome == "warned"
    assert parent.warnings_count == step.warnings_count == parent.warnings.count() == 7
    assert [change.after for change in parent.history.all()] == [
        "queued", "running", "joining", "queued", "running", "completed",
    ]  # fmt: skip
    assert list(parent.children.values_list("partition", flat=True).order_by("partition")) == [
        0, 1, 2,
    ]  # fmt: skip


def test_a_joining_parent_holds_no_worker(controller, variables, launch, own_queue, tmp_path):
    """One slot is enough for a parent and its three children."""
    with celery_worker(variables, tmp_path, own_queue, slots=1):
        parent = launch("samples.parts", queue=own_queue, rows=300, pause=0.1)
        until(parent, lambda e: e.status == Status.JOINING)
        assert (parent.lease_expires_at, parent.pid) == (None, None)
        finished(parent, 60)
    assert parent.status == Status.COMPLETED, parent.error
    assert len(all_effects(parent)) == 296


def test_parts_survive_a_kill(worker, launch):
    parent = launch("samples.parts", rows=900, pause=0.1)
    until(parent, lambda e: e.status == Status.JOINING)
    part = until(first_child(parent), lambda e: e.checkpoints > 1 and e.pid)
    os.kill(part.pid, signal.SIGKILL)
    finished(parent, 60)
    assert parent.status == Status.COMPLETED, parent.error
    assert all_effects(parent) == [row for row in range(900) if row % 100 != 8 and row != 13]
    assert parent.steps.get().processed == 900


def test_progress_of_the_parts_shows_on_the_parent(worker, launch):
    parent = launch("samples.parts", rows=1200, pause=0.2)
    until(parent, lambda e: e.status == Status.JOINING and (e.percent or 0) > 0)
    assert parent.steps.get().processed > 0
    control.stop(parent)
    finished(parent)


def test_children_are_stopped_with_their_parent(worker, launch):
    parent = launch("samples.parts", rows=9000, pause=0.2)
    until(parent, lambda e: e.status == Status.JOINING)
    child = until(first_child(parent), lambda e: e.status == Status.RUNNING)
    control.stop(parent, reason="Wrong file")
    finished(parent, 30)
    assert parent.status == Status.STOPPED
    child.refresh_from_db()
    assert child.status == Status.STOPPED
    assert not parent.children.exclude(status=Status.STOPPED).exists()
    assert parent.steps.get().done == len(all_effects(parent))
    assert "3 children" in control.receipt(parent)["text"]


def test_children_are_aborted_with_their_parent(worker, launch):
    parent = launch("samples.parts", rows=9000, pause=5)
    until(parent, lambda e: e.status == Status.JOINING)
    until(parent, lambda e: e.children.filter(steps__status="running").count() == 2)
    control.abort(parent)
    finished(parent, 30)
    assert parent.status == Status.ABORTED, list(
        parent.history.values_list("event", "reason", "at")
    )
    for child in parent.children.all():
        assert child.status == Status.ABORTED


def test_a_failing_part_fails_the_step(worker, launch):
    parent = finished(launch("samples.parts", rows=300, die_at=100), 40)
    assert parent.status == Status.FAILED
    assert "2/3” failed" in parent.error
    assert "The row to die at has come." in parent.error


def test_a_stopped_step_in_parts_is_continued(worker, launch):
    parent = launch("samples.parts", rows=3000, pause=0.1)
    until(parent, lambda e: e.status == Status.JOINING and e.steps.get().processed > 100)
    control.stop(parent)
    finished(parent, 30)
    done = len(all_effects(parent))
    again = control.continue_(parent)
    JobExecution.objects.filter(pk=again.pk).update(parameters=parent.parameters)
    finished(again, 60)
    assert again.status == Status.COMPLETED, again.error
    rows = [row for row in range(3000) if row % 100 != 8 and row != 13]
    assert sorted(all_effects(parent) + all_effects(again)) == rows
    assert done + len(all_effects(again)) == len(rows)
    assert again.steps.get().carried >= done


def test_a_job_waits_for_what_it_launches(worker, launch):
    parent = finished(launch("samples.family", children=3, rows=100), 40)
    assert (parent.status, parent.outcome) == (Status.COMPLETED, "succeeded")
    assert parent.children.filter(status=Status.COMPLETED).count() == 3
    last = max(child.finished_at for child in parent.children.all())
    assert parent.finished_at >= last


def test_a_job_that_joins_sees_how_its_children_ended(worker, launch):
    parent = finished(launch("samples.family", joins=True, child="samples.refuses"), 40)
    assert parent.result == {"ended": ["failed", "failed"]}
    assert parent.outcome == "warned"
    assert {w.code for w in parent.warnings.all()} == {"child_not_completed"}
    assert "The shelf is empty" in parent.warnings.first().message


def test_a_job_that_cannot_launch_its_child_fails_with_the_sentence(worker, launch):
    parent = finished(launch("samples.family", child="samples.nothing"))
    assert parent.status == Status.FAILED
    assert "“samples.nothing” could not be launched" in parent.error
    assert parent.children.count() == 0


def test_children_of_a_killed_parent_are_launched_once(worker, launch):
    """The launch and the checkpoint behind it commit together."""
    parent = launch("samples.family", children=2, rows=400, pause=0.1)
    until(parent, lambda e: e.status == Status.JOINING)
    child = until(first_child(parent), lambda e: e.pid)
    os.kill(child.pid, signal.SIGKILL)
    finished(parent, 60)
    assert parent.status == Status.COMPLETED
    assert parent.children.count() == 2


def test_children_of_a_parent_that_failed_are_stopped(worker, launch):
    parent = launch("samples.family", children=2, rows=9000, pause=0.1)
    until(parent, lambda e: e.status == Status.JOINING)
    JobExecution.objects.filter(pk=parent.pk).update(deadline_at=parent.created_at)
    finished(parent)
    assert parent.status == Status.TIMED_OUT
    for child in parent.children.all():
        until(child, lambda e: e.is_finished)
        assert child.status == Status.STOPPED


def test_a_parent_stopped_in_a_held_status_takes_its_children_along(worker, launch):
    parent = launch("samples.family", children=1, rows=9000, pause=0.1)
    until(parent, lambda e: e.status == Status.JOINING)
    child = until(parent.children.get(), lambda e: e.checkpoints > 1)
    control.stop(parent)
    finished(parent, 30)
    assert until(child, lambda e: e.is_finished).status == Status.STOPPED
    assert parent.status == Status.STOPPED
    assert effects(child)[0] == 0


def test_a_job_does_not_wait_for_itself(worker, launch):
    parent = finished(launch("samples.selfish"))
    assert parent.status == Status.FAILED
    assert "would wait for the execution that launches it" in parent.error
    assert parent.children.count() == 0
