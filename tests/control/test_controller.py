"""What the controller does when its moment has come."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import control, controller
from jobs.dispatch import dispatch
from jobs.engine.recover import take_back, take_back_expired
from jobs.models import JobExecution, Worker
from jobs.models.base import ClockNow, seconds
from jobs.states import Event, Status
from jobs.waiting import waiting

pytestmark = pytest.mark.django_db

SOON = timedelta(hours=1)


def a_worker(queues: list[str], slots: int = 1) -> Worker:
    return Worker.objects.create(
        name=f"{queues}@test",
        kind="worker",
        node="test",
        pid=1,
        queues=queues,
        slots=slots,
        definitions={"samples.function": "any"},
    )


def start(execution: JobExecution, lease: float = 30) -> JobExecution:
    execution.transition(
        Event.START,
        attempt=execution.attempt + 1,
        lease_expires_at=ClockNow() + seconds(lease),
        started_at=ClockNow(),
    )
    return execution


def test_what_is_held_until_a_time_is_activated_then():
    execution = control.launch(job="samples.function", not_before=timezone.now() + SOON)
    assert waiting(execution).reason == "not_before"
    controller.keep_deadlines()
    execution.refresh_from_db()
    assert execution.status == Status.DEFERRED
    JobExecution.objects.update(not_before=timezone.now())
    controller.keep_deadlines()
    execution.refresh_from_db()
    assert execution.status == Status.QUEUED


def test_what_was_not_started_in_time_expires():
    execution = control.launch(job="samples.function", expires_at=timezone.now() - SOON)
    controller.keep_deadlines()
    execution.refresh_from_db()
    assert (execution.status, execution.outcome) == (Status.EXPIRED, "expired")


def test_an_execution_that_has_started_does_not_expire():
    execution = start(control.launch(job="samples.function", expires_at=timezone.now() - SOON))
    take_back(execution, 1, why="it crashed")
    controller.keep_deadlines()
    execution.refresh_from_db()
    assert execution.status == Status.QUEUED


def test_an_expired_lease_is_taken_back(settings):
    settings.JOBS_LEASE_SECONDS = 0.0  # the test's server may just have started
    execution = start(control.launch(job="samples.function"), lease=-1)
    alive = start(control.launch(job="samples.function"))
    assert take_back_expired() == 1
    execution.refresh_from_db()
    alive.refresh_from_db()
    assert (execution.status, alive.status) == (Status.QUEUED, Status.RUNNING)
    assert "not been heard of" in execution.history.last().reason


@pytest.mark.parametrize(
    ("request_", "after"), [("pause", Status.PAUSED), ("stop", Status.STOPPED)]
)
def test_a_dead_worker_is_honoured_by_what_was_asked(request_, after):
    execution = start(control.launch(job="samples.function"))
    getattr(control, request_)(execution)
    assert take_back(execution, 1, why="it crashed") == after


def test_an_old_attempt_takes_nothing_back():
    execution = start(control.launch(job="samples.function"))
    take_back(execution, 1, why="it crashed")
    start(execution)
    assert take_back(execution, 1, why="late news") is None
    execution.refresh_from_db()
    assert execution.status == Status.RUNNING


def test_messages_are_sent_for_twice_the_slots_in_order_of_priority():
    a_worker(["narrow"], slots=2)
    made = []
    for number in range(10):
        execution = control.launch(job="samples.function", priority=-number)
        JobExecution.objects.filter(pk=execution.pk).update(queue="narrow")
        made.append(execution.pk)
    assert dispatch("narrow") == 4
    sent = JobExecution.objects.exclude(dispatched_at=None).values_list("pk", flat=True)
    assert set(sent) == set(made[-4:])
    assert dispatch("narrow") == 0


def test_what_no_worker_can_claim_stands_in_nobodys_way():
    a_worker(["default"])
    for _ in range(3):
        other = start(control.launch(job="samples.function"))
        JobExecution.objects.filter(pk=other.pk).update(job_version="of old")
        take_back(other, 1, why="it crashed")
    execution = control.launch(job="samples.function")
    assert dispatch("default") == 1
    execution.refresh_from_db()
    assert execution.dispatched_at
    other.refresh_from_db()
    assert waiting(other).text == "No live worker has the version that it began with."


def test_without_a_worker_nothing_is_sent_and_the_reason_is_said():
    execution = control.launch(job="samples.function")
    assert dispatch("default") == 0
    assert waiting(execution).text == "No worker is on the queue “default”."


def test_a_waiting_execution_says_its_position():
    a_worker(["default"])
    control.launch(job="samples.function")
    second = control.launch(job="samples.function")
    assert waiting(second).text == "2nd in line; 0 of 1 slots are busy."


def test_a_stop_asked_twice_only_rises():
    execution = start(control.launch(job="samples.function"))
    control.stop(execution, grace_seconds=50)
    first = execution.stop_deadline_at
    control.stop(execution, grace_seconds=500)
    assert execution.stop_deadline_at == first
    control.abort(execution)
    assert execution.stop_level == "kill"
    assert execution.stop_deadline_at < first
    control.stop(execution)
    assert execution.stop_level == "kill"


def test_a_stop_after_the_end_is_told_apart():
    execution = start(control.launch(job="samples.function"))
    execution.transition(Event.COMPLETE)
    with pytest.raises(control.AlreadyFinished, match="completed before the stop took effect"):
        control.stop(execution)
    stopped = control.stop(control.launch(job="samples.function"))
    assert control.stop(stopped).status == Status.STOPPED


def test_what_is_active_is_not_deleted():
    execution = start(control.launch(job="samples.function"))
    with pytest.raises(control.Refused, match="stop it first"):
        control.delete(execution)
    waiting_one = control.launch(job="samples.function")
    control.delete(waiting_one)
    assert not JobExecution.objects.filter(pk=waiting_one.pk).exists()


def test_the_console_of_a_supervisor_that_died_at_the_end_is_closed():
    execution = start(control.launch(job="samples.function"))
    execution.transition(Event.COMPLETE)
    JobExecution.objects.filter(pk=execution.pk).update(console_open=True)
    controller.recover()
    execution.refresh_from_db()
    assert execution.is_live, "its supervisor may be about to write its last words"
    JobExecution.objects.update(finished_at=ClockNow() - seconds(60))
    controller.recover()
    execution.refresh_from_db()
    assert not execution.is_live
