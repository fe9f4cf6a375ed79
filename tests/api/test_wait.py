"""Waiting for the end of an execution, without taking the server's threads or connections."""

import threading
import time

import pytest
from django.db import connection

from jobs.api import executions
from jobs.models import JobExecution
from jobs.states import Event, Status

pytestmark = pytest.mark.django_db


def test_what_has_ended_is_answered_at_once(api, bob, execution):
    made = execution(bob, Status.FAILED)
    began = time.monotonic()
    answer = api.get(f"executions/{made.pk}/wait/")
    assert time.monotonic() - began < 15, "it did not wait for the usual 30 s"
    assert answer.json()["done"] is True


def test_when_the_time_is_up_it_is_answered_as_it_is(api, bob, execution):
    made = execution(bob, Status.QUEUED)
    began = time.monotonic()
    answer = api.get(f"executions/{made.pk}/wait/?timeout=1")
    assert time.monotonic() - began > 0.9
    assert answer.status_code == 200
    assert answer.json()["done"] is False
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize("timeout", ["61", "-1", "x", "1.5"])
def test_an_unusable_timeout_is_refused(api, bob, execution, timeout):
    made = execution(bob)
    api.problem(api.get(f"executions/{made.pk}/wait/?timeout={timeout}"), 400, "bad-query")


def test_others_are_answered_at_once(api, bob, execution, monkeypatch):
    monkeypatch.setattr(executions, "WAITERS", threading.BoundedSemaphore(1))
    executions.WAITERS.acquire()
    made = execution(bob)
    began = time.monotonic()
    answer = api.get(f"executions/{made.pk}/wait/?timeout=30")
    assert time.monotonic() - began < 15, "it did not wait for the 30 s"
    assert answer.status_code == 200
    assert answer.headers["Retry-After"] == "1"


def test_somebody_elses_is_not_waited_for(api, person, execution):
    hers = execution(person("ann"))
    api.problem(api.get(f"executions/{hers.pk}/wait/"), 404, "not-found")


def test_a_quarter_of_the_threads_may_wait(settings):
    free = 0
    while executions.WAITERS.acquire(blocking=False):
        free += 1
    for _ in range(free):
        executions.WAITERS.release()
    assert free == max(1, settings.JOBS_WEB_THREADS // 4)


@pytest.mark.django_db(transaction=True)
def test_the_end_is_told_and_no_connection_is_held(api, bob, execution):
    made = execution(bob, Status.RUNNING)
    answers: list = []

    def wait() -> None:
        answers.append(api.get(f"executions/{made.pk}/wait/?timeout=20"))
        connection.close()

    def others() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            )
            return cursor.fetchone()[0]

    before = others()
    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(1)
    seen = [others() for _ in range(20) if time.sleep(0.02) is None]
    assert min(seen) == before, "between its looks it holds no connection"
    JobExecution.objects.get(pk=made.pk).transition(Event.FAIL)
    thread.join(5)
    assert answers[0].json()["status"] == "failed"
