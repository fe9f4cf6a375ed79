"""Drain, paused queues and maintenance, as far as rows tell."""

# ruff: noqa: F811 (a fixture that is imported is the parameter of those that use it)

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from jobs import control
from jobs.control.fleet import Fleet
from jobs.engine import shutdown
from jobs.models import JobExecution, Maintenance, PausedQueue, Worker
from jobs.states import Status
from jobs.tasks import RENEW, run
from tests.people import execution, person  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(person):
    return person("otto", "Operator")


def a_worker(name="w1@n1", **fields):
    values = {"kind": "worker", "node": "n1", "pid": 1, "queues": ["default"], "slots": 2}
    return Worker.objects.create(name=name, **(values | fields))


def state_of(name: str) -> str:
    return next(one.state for one in Fleet().workers if one.worker.name == name)


def test_a_worker_drains_and_takes_jobs_again(operator):
    a_worker()
    a_worker("w2@n2")
    drained = control.drain(["w1@n1", "nothing"], by=operator)
    assert [worker.name for worker in drained] == ["w1@n1"]
    first = Worker.objects.get(name="w1@n1").drain_requested_at
    control.drain(["w1@n1"], by=operator)
    assert Worker.objects.get(name="w1@n1").drain_requested_at == first
    assert Worker.objects.get(name="w2@n2").drain_requested_at is None
    control.undrain(["w1@n1"], by=operator)
    assert Worker.objects.get(name="w1@n1").drain_requested_at is None


def test_a_worker_is_drained_when_it_has_heard_and_holds_nothing(operator, execution):
    worker = a_worker()
    assert state_of(worker.name) == "idle"
    held = execution(operator, Status.RUNNING, worker=worker.name)
    assert state_of(worker.name) == "working"
    control.drain([worker.name])
    JobExecution.objects.filter(pk=held.pk).update(worker="another")
    assert state_of(worker.name) == "draining"  # it has not said so yet: it may still take one
    Worker.objects.update(slots=0)
    assert state_of(worker.name) == "drained"
    JobExecution.objects.filter(pk=held.pk).update(worker=worker.name)
    assert state_of(worker.name) == "draining"
    Worker.objects.update(seen_at=timezone.now() - timedelta(minutes=1))
    assert state_of(worker.name) == "silent"


def test_a_message_that_a_draining_worker_still_gets_is_sent_again():
    waiting = control.launch(job="samples.talk")
    JobExecution.objects.filter(pk=waiting.pk).update(dispatched_at=timezone.now())
    shutdown.drain(wanted=True)
    try:
        run(str(waiting.pk))
    finally:
        shutdown.drain(wanted=False)
    waiting.refresh_from_db()
    assert (waiting.status, waiting.dispatched_at) == (Status.QUEUED, None)


def test_a_report_rewrites_the_row_in_place():
    a_worker(definitions={f"job{number}": "0123456789ab" for number in range(30)})
    count = (
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables"
        " WHERE relname = 'jobs_worker'"
    )
    with connection.cursor() as cursor:
        cursor.execute(count)
        before = cursor.fetchone()
        for _ in range(3):
            cursor.execute(RENEW, [["default"], 2, "w1@n1"])
        cursor.execute(count)
        after = cursor.fetchone()
    assert (after[0] - before[0], after[1] - before[1]) == (3, 3)


def test_a_queue_is_paused_once_and_resumed(operator, execution):
    execution(None, Status.QUEUED, queue="io", queued_at=timezone.now())
    control.pause_queue("io", by=operator, reason="The disk is full.")
    again = control.pause_queue("io", by=None, reason="Another")
    assert (again.by, again.reason) == (operator, "The disk is full.")
    found = Fleet().queue("io")
    assert (found.depth, found.paused.by) == (1, operator)
    control.resume_queue("io", by=operator)
    assert Fleet().queue("io").paused is None
    with pytest.raises(control.Refused, match="The queue “io” is not paused"):
        control.resume_queue("io", by=operator)


def test_queues_are_those_set_served_paused_and_used(operator, execution, settings):
    settings.JOBS_QUEUES = ["default"]
    a_worker(queues=["served"], slots=3)
    a_worker("w2", queues=["served"], seen_at=timezone.now() - timedelta(minutes=1))
    control.pause_queue("paused")
    now = timezone.now()
    execution(None, Status.QUEUED, queue="used", queued_at=now)
    execution(None, Status.QUEUED, queue="used", queued_at=now - timedelta(hours=1))
    execution(None, Status.RUNNING, queue="used", worker="w1@n1")
    found = {queue.name: queue for queue in Fleet().queues}
    assert set(found) == {"default", "served", "paused", "used"}
    assert (found["served"].workers, found["served"].slots) == (1, 3)
    assert (found["used"].depth, found["used"].running) == (2, 1)
    assert found["used"].oldest_at == now - timedelta(hours=1)


def test_the_fleet_is_three_queries(django_assert_num_queries, execution):
    for number in range(5):
        a_worker(f"w{number}")
        execution(None, Status.QUEUED, queue=f"q{number}")
    with django_assert_num_queries(3):
        fleet = Fleet()
        assert (len(fleet.workers), len(fleet.controllers)) == (5, 0)
        assert len(fleet.queues) >= 5


def test_maintenance_begins_changes_and_ends(operator):
    control.begin_maintenance("Moving disks.", by=operator)
    first = control.maintenance()
    assert (first.reason, first.by, first.refuses_launches) == ("Moving disks.", operator, False)
    control.begin_maintenance("Still moving.", refuses_launches=True)
    second = control.maintenance()
    assert (second.reason, second.by, second.began_at) == (
        "Still moving.", operator, first.began_at,
    )  # fmt: skip
    assert second.refuses_launches
    control.end_maintenance(by=operator)
    assert control.maintenance() is None
    with pytest.raises(control.Refused, match="There is no maintenance going on"):
        control.end_maintenance(by=operator)


def test_maintenance_needs_a_reason():
    with pytest.raises(control.Refused, match="needs a reason"):
        control.begin_maintenance("  ")
    assert not Maintenance.objects.exists()


def test_launches_are_queued_or_refused(db):
    control.begin_maintenance("Moving disks.")
    waiting = control.launch(job="samples.talk")
    assert waiting.status == Status.QUEUED
    control.begin_maintenance("Moving disks.", refuses_launches=True)
    said = "Nothing can be launched during maintenance: Moving disks. Try later."
    with pytest.raises(control.UnderMaintenance, match=said):
        control.launch(job="samples.talk")
    child = control.launch(job="samples.talk", parent=waiting)
    assert child.parent == waiting
    stopped = control.stop(waiting)
    with pytest.raises(control.UnderMaintenance):
        control.relaunch(stopped)
    control.end_maintenance()
    assert control.launch(job="samples.talk").status == Status.QUEUED


@pytest.mark.parametrize(
    "ask",
    [
        lambda by: control.drain(["w1@n1"], by=by),
        lambda by: control.undrain(["w1@n1"], by=by),
        lambda by: control.pause_queue("io", by=by),
        lambda by: control.resume_queue("io", by=by),
        lambda by: control.begin_maintenance("Now", by=by),
        lambda by: control.end_maintenance(by=by),
    ],
)
def test_all_of_it_is_for_operators(person, ask):
    a_worker()
    PausedQueue.objects.create(name="io")
    Maintenance.objects.create(reason="Before")
    with pytest.raises(control.Denied, match="does not allow you to operate queues"):
        ask(person("lead", "Lead"))
    assert PausedQueue.objects.exists()
    assert Maintenance.objects.get().reason == "Before"
    assert Worker.objects.get().drain_requested_at is None
