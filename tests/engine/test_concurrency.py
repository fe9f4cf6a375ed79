"""Real workers: how many at once, how often, in whose turn, and where."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from itertools import pairwise

import pytest
from celery import current_app
from django.contrib.auth.models import User

from jobs import control
from jobs.dispatch import TASK
from jobs.models import Attempt, JobExecution, JobProfile, Maintenance, PausedQueue
from jobs.states import Status
from jobs.waiting import waiting
from tests.fleet import celery_worker, eventually, finished, until

pytestmark = pytest.mark.usefixtures("controller")


@pytest.fixture
def profile(own_queue):
    """A profile on a queue of its own; gone with what it launched when the test ends."""
    made = JobProfile.objects.create(
        code=own_queue, label="Nightly import", job="samples.nap", queue=own_queue
    )
    yield made
    JobExecution.objects.filter(profile=made).delete()
    made.delete()


def limited(profile: JobProfile, **fields) -> JobProfile:
    for name, value in fields.items():
        setattr(profile, name, value)
    profile.save()
    return profile


def turns(profile: JobProfile) -> list[tuple]:
    """When its attempts began and ended, by the database's clock."""
    attempts = Attempt.objects.filter(execution__profile=profile)
    return sorted(attempts.values_list("started_at", "ended_at"))


def all_ended(executions: list[JobExecution], within: float = 40) -> None:
    for execution in executions:
        assert finished(execution, within).status == Status.COMPLETED, execution.error


def test_a_sequential_profile_runs_one_at_a_time(variables, profile, own_queue, tmp_path):
    limited(profile, concurrency=1)
    with (
        celery_worker(variables, tmp_path, own_queue),
        celery_worker(variables, tmp_path, own_queue),
    ):
        made = [control.launch(profile=profile) for _ in range(20)]
        for execution in made * 2:  # every message doubled, and again
            current_app.send_task(TASK, [str(execution.pk)], queue=own_queue)
        all_ended(made)
    times = turns(profile)
    assert len(times) == 20
    assert all(ended <= begun for (_, ended), (begun, _) in pairwise(times))


def test_a_limit_of_two_is_used_and_kept(variables, profile, own_queue, tmp_path):
    limited(profile, concurrency=2)
    with celery_worker(variables, tmp_path, own_queue, slots=4):
        all_ended([control.launch(profile=profile, parameters={"seconds": 0.4}) for _ in range(8)])
    times = turns(profile)
    beside = [sum(begun < at < ended for begun, ended in times) + 1 for at, _ in times]
    assert max(beside) == 2


def test_the_slot_is_kept_over_a_crash_and_given_back_by_a_pause(worker, profile):
    limited(profile, concurrency=1, queue="default")
    first = control.launch(profile=profile, parameters={"seconds": 3})
    until(first, lambda e: e.status == Status.RUNNING and e.pid)
    second = control.launch(profile=profile)
    eventually(lambda: (waiting(second) or first).reason == "limit", "it says who is before it")
    assert waiting(second).holder == first.pk
    os.kill(first.pid, signal.SIGKILL)
    until(first, lambda e: e.attempt == 2 and e.status == Status.RUNNING and e.pid)
    second.refresh_from_db()
    assert second.status == Status.QUEUED
    control.pause(first)
    finished(second)
    first.refresh_from_db()
    assert first.status == Status.PAUSED
    control.resume(first)
    all_ended([first])


def test_starts_keep_their_rate(worker, profile):
    limited(profile, start_rate="2/s", queue="default")
    all_ended([control.launch(profile=profile) for _ in range(5)])
    begun = [begun for begun, _ in turns(profile)]
    # The moment of the start is written a moment after the turn was taken.
    assert all((later - earlier).total_seconds() > 0.45 for earlier, later in pairwise(begun))
    assert (begun[-1] - begun[0]).total_seconds() < 10


def test_a_flood_of_one_person_holds_up_nobody(variables, profile, own_queue, tmp_path):
    anna, bert = (User.objects.create_superuser(f"{name}-{own_queue}") for name in ("anna", "bert"))
    with celery_worker(variables, tmp_path, own_queue, slots=1):
        flood = [control.launch(profile=profile, user=anna) for _ in range(30)]
        his = control.launch(profile=profile, user=bert)
        finished(his)
        between = Attempt.objects.filter(
            execution__user=anna, started_at__range=(his.queued_at, his.started_at)
        )
        # Two messages of hers may have been under way, and a third one just taken.
        assert between.count() <= 3
        for execution in flood:
            with suppress(control.AlreadyFinished):
                control.stop(execution)


def test_an_aimed_one_runs_where_it_is_aimed_at(variables, profile, own_queue, tmp_path):
    here = socket.gethostname()
    with (
        celery_worker(variables | {"JOBS_NODE_ROLES": "gpu,big"}, tmp_path, own_queue, 1),
        celery_worker(variables, tmp_path, own_queue, 1),
    ):
        by_name = control.launch(profile=profile, node=here)
        by_roles = [control.launch(profile=profile, node_roles=["gpu"]) for _ in range(3)]
        elsewhere = control.launch(profile=profile, node="elsewhere")
        all_ended([by_name, *by_roles])
        assert by_name.node == here
        assert len({one.worker for one in by_roles}) == 1
        assert waiting(elsewhere).reason == "no_node"
        elsewhere.refresh_from_db()
        assert elsewhere.status == Status.QUEUED
        control.stop(elsewhere)


def test_a_paused_queue_and_maintenance_start_nothing(variables, profile, own_queue, tmp_path):
    with celery_worker(variables, tmp_path, own_queue, slots=1):
        paused = PausedQueue.objects.create(name=own_queue, reason="New disks.")
        held = control.launch(profile=profile)
        current_app.send_task(TASK, [str(held.pk)], queue=own_queue)
        other = Maintenance.objects.create(reason="The database moves.")
        free = control.launch(profile=profile)
        current_app.send_task(TASK, [str(free.pk)], queue=own_queue)
        assert waiting(held).reason == "maintenance"
        other.delete()
        eventually(lambda: waiting(held).reason == "queue_paused", "it says that it is paused")
        held.refresh_from_db()
        assert (held.status, held.attempt) == (Status.QUEUED, 0)
        paused.delete()
        all_ended([held, free])
