"""Each time of a schedule is fired exactly once, however many controllers run or are killed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.db.models import Count
from django.db.models.query import QuerySet

from jobs import control, schedules
from jobs.models import Firing, JobProfile, Schedule
from jobs.models.base import database_now
from tests.fleet import CONTROLLER, Process, eventually, finished

HOUR = timedelta(hours=1)
BACKLOG = 80  # hours


@pytest.fixture
def profile(own_queue: str) -> Iterator[JobProfile]:
    """A profile whose executions no worker takes."""
    made = JobProfile.objects.create(
        code=own_queue, label=own_queue, job="samples.function", queue=own_queue
    )
    yield made
    Schedule.objects.filter(profile=made).delete()


@pytest.fixture
def due(profile: JobProfile) -> Callable[..., Schedule]:
    """Make a schedule of every hour that has been due for so many hours, or from `at` on."""

    def make(
        number: int = 0, hours: int = 0, at: datetime | None = None, **values: Any
    ) -> Schedule:
        values = {"cron": "0 * * * *", "missed": "all", "overlap": "queue", **values}
        code = f"{profile.code}-{number}"
        made = Schedule(code=code, label=code, profile=profile, **values, enabled=False)
        control.save_schedule(made)
        now = database_now().replace(minute=0, second=0, microsecond=0)
        first = at or now - hours * HOUR
        Schedule.objects.filter(pk=made.pk).update(enabled=True, next_at=first)
        made.refresh_from_db()
        return made

    return make


@pytest.fixture
def start(variables: dict[str, str], tmp_path: Path) -> Iterator[Callable[[], Process]]:
    """Start a controller that looks ten times a second."""
    started: list[Process] = []

    def starting() -> Process:
        quick = variables | {"JOBS_CONTROLLER_SECONDS": "0.1"}
        started.append(Process(CONTROLLER, quick, tmp_path / f"controller{len(started)}.log"))
        return started[-1]

    yield starting
    for process in started:
        process.end()


@pytest.fixture
def alone(controller: Process) -> Iterator[None]:
    """The controller that other tests share stands still, between two of its transactions."""

    def rests() -> bool:
        controller.kill(signal.SIGSTOP)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state <> 'idle'"
            )
            if cursor.fetchone() == (0,):
                return True
        controller.kill(signal.SIGCONT)
        return False

    eventually(rests, "the controller rests")
    yield
    controller.kill(signal.SIGCONT)


def doubled(made: list[Schedule]) -> list[Any]:
    """The times of these schedules that were launched more than once."""
    times = profile_executions(made).values("schedule", "scheduled_for")
    return list(times.annotate(launches=Count("pk")).filter(launches__gt=1))


def profile_executions(made: list[Schedule]) -> QuerySet:
    return made[0].profile.executions.all()


def test_controllers_that_are_killed_at_work_launch_each_time_exactly_once(due, start):
    made = [due(number, hours=BACKLOG) for number in range(3)]
    expected = 3 * (BACKLOG + 1)
    firings = Firing.objects.filter(schedule__in=made)
    fleet = [start(), start()]
    for part in (1, 2):
        enough = part * expected / 4
        eventually(lambda enough=enough: firings.count() >= enough, f"{part}/4 is fired", 60)
        fleet[part - 1].kill(signal.SIGKILL)
        fleet.append(start())
    eventually(lambda: firings.count() == expected, "every time is fired", 60)
    assert profile_executions(made).count() == expected
    assert doubled(made) == []
    assert set(firings.values_list("outcome", flat=True)) == {"launched"}
    waiting = Schedule.objects.filter(pk__in=[one.pk for one in made])
    assert all(one.next_at > database_now() for one in waiting)


def test_two_controllers_fire_the_moment_that_comes_once(due, start):
    moment = database_now() + timedelta(seconds=8)
    made = [due(number, at=moment) for number in range(10)]
    for _ in range(2):
        start()
    firings = Firing.objects.filter(schedule__in=made)
    eventually(lambda: firings.count() == 10, "all have fired", 40)
    assert firings.earliest("at").at >= moment
    assert set(firings.values_list("scheduled_for", flat=True)) == {moment}
    assert profile_executions(made).count() == 10


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("lock", "unique", "launches"),
    [(True, True, 1), (False, True, 1), (True, False, 1), (False, False, 2)],
    ids=["with both fences", "without the lock", "without the constraint", "without both: twice"],
)
def test_the_lock_and_the_constraint_each_keep_a_time_from_firing_twice(
    due, monkeypatch, lock, unique, launches
):
    made = due()
    together, errors = threading.Barrier(2), []
    launch = control.launch

    def meet(**values: Any) -> Any:
        with suppress(threading.BrokenBarrierError):  # when the other one has been held back
            together.wait(3)
        return launch(**values)

    def fire() -> None:
        try:
            schedules.fire(made.pk)
        except IntegrityError as error:
            errors.append(error)
        finally:
            connection.close()

    monkeypatch.setattr(control, "launch", meet)
    if not lock:
        monkeypatch.setattr(QuerySet, "select_for_update", lambda rows, **_: rows)
    with _constraint(unique):
        threads = [threading.Thread(target=fire) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert profile_executions([made]).count() == made.firings.count() == launches
        assert len(errors) == (1 if unique and not lock else 0)
        made.firings.all().delete()


@contextmanager
def _constraint(is_there: bool) -> Iterator[None]:
    """The constraint that makes a time unique, or not, for a while."""
    if is_there:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_firing DROP CONSTRAINT fired_once")
        try:
            yield
        finally:
            cursor.execute(
                "ALTER TABLE jobs_firing"
                " ADD CONSTRAINT fired_once UNIQUE (schedule_id, scheduled_for)"
            )


def test_what_a_schedule_launches_is_worked_on(worker, due, profile):
    JobProfile.objects.filter(pk=profile.pk).update(queue="default")
    made = due(parameters={"rows": 3})
    execution = eventually(made.executions.first, "it is launched")
    assert finished(execution).outcome == "succeeded"
    assert execution.trigger == "schedule"
