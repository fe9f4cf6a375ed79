"""Who is told of what, and of what nobody is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import control
from jobs.models import JobExecution, Notification
from jobs.models.base import ClockNow, seconds
from jobs.models.notification import OPERATORS_TOLD
from jobs.notices import tell_of_stalled
from jobs.states import HELD, Event
from tests.people import person  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna(person) -> User:  # noqa: F811
    return person("anna")


@pytest.fixture
def olga(person) -> User:  # noqa: F811
    return person("olga", "Operator")


def running(user: User | None, *, since: float = 0, **fields: Any) -> JobExecution:
    """An execution that runs since so many seconds."""
    execution = control.launch(job="samples.function")
    JobExecution.objects.filter(pk=execution.pk).update(user=user, **fields)
    execution.transition(
        Event.START,
        attempt=1,
        lease_expires_at=ClockNow() + seconds(30),
        started_at=ClockNow() - seconds(since),
        progress_at=ClockNow() - seconds(since),
    )
    return execution


def told(user: User) -> list[tuple[str, str]]:
    return list(user.notifications.order_by("pk").values_list("kind", "text"))


def test_a_long_execution_tells_that_it_is_completed_a_short_one_does_not(anna):
    running(anna, since=11).transition(Event.COMPLETE)
    running(anna, since=9).transition(Event.COMPLETE)
    assert told(anna) == [("finished", "“Function” is completed.")]


def test_warnings_are_told_however_short_it_was(anna):
    running(anna, warnings_count=1).transition(Event.COMPLETE)
    running(anna, warnings_count=1200).transition(Event.COMPLETE)
    assert told(anna) == [
        ("warned", "“Function” is completed with 1 warning."),
        ("warned", "“Function” is completed with 1,200 warnings."),
    ]


@pytest.mark.parametrize(
    ("event", "fields", "kind", "text"),
    [
        (Event.FAIL, {"error": "The shelf is empty."}, "failed", "failed: The shelf is empty."),
        (Event.LOSE, {"why": "It crashed thrice."}, "lost", "is lost: It crashed thrice."),
        (Event.TIME_OUT, {}, "timed_out", "timed out."),
    ],
)
def test_what_went_wrong_is_always_told(anna, olga, event, fields, kind, text):
    running(anna).transition(event, **fields)
    assert told(anna) == [(kind, f"“Function” {text}")]
    assert told(olga) == []


def test_what_one_stopped_oneself_is_no_news(anna):
    control.stop(control.launch(job="samples.function", user=anna), by=anna)
    stopping = running(anna)
    control.stop(stopping, by=anna)
    stopping.transition(Event.RELEASE)
    assert told(anna) == []


def test_a_stop_by_somebody_else_is_told_with_their_name(anna, person):  # noqa: F811
    leo = person("leo", "Lead")
    stopping = running(anna)
    control.stop(stopping, by=leo, reason="The wrong file")
    stopping.transition(Event.RELEASE)
    queued = control.launch(job="samples.function", user=anna)
    control.abort(queued, by=leo, reason="Too many")
    assert told(anna) == [
        ("stopped", "“Function” was stopped by leo."),
        ("stopped", "“Function” was aborted by leo: Too many"),
    ]


def test_operators_are_told_when_what_nobody_launched_goes_wrong(anna, olga, person):  # noqa: F811
    root = person("root", None, is_superuser=True)
    person("gone", "Operator", is_active=False)
    running(None).transition(Event.FAIL, error="No")
    running(None, since=99).transition(Event.COMPLETE)
    running(None, warnings_count=1).transition(Event.COMPLETE)
    assert {user for user in User.objects.all() if told(user)} == {olga, root}
    assert told(olga) == [("failed", "“Function” failed: No")]


def test_so_many_operators_are_told_and_no_more(person):  # noqa: F811
    for number in range(OPERATORS_TOLD + 1):
        person(f"o{number}", "Operator")
    running(None).transition(Event.FAIL)
    assert Notification.objects.count() == OPERATORS_TOLD


def test_a_part_of_a_divided_step_tells_nobody(anna):
    running(anna, partition=0, partitions=2).transition(Event.FAIL)
    assert told(anna) == []


def test_what_is_rolled_back_was_never_told(anna):
    with transaction.atomic():
        running(anna).transition(Event.FAIL)
        assert told(anna)
        transaction.set_rollback(True)
    assert told(anna) == []


def test_a_move_that_ends_nothing_asks_nothing_more(anna):
    execution = running(anna)
    with CaptureQueriesContext(connection) as asked:
        execution.transition(Event.PAUSE)
        assert not any("jobs_notification" in query["sql"] for query in asked)
        execution.transition(Event.FAIL)
    assert sum("jobs_notification" in query["sql"] for query in asked) == 1


# --- Stalls ---------------------------------------------------------------------------------


def test_a_stall_is_told_once_and_the_next_one_again(anna, settings):
    settings.JOBS_STALLED_SECONDS = 900.0
    stalled, lively = running(anna, since=901), running(anna, since=60)
    assert (tell_of_stalled(), tell_of_stalled()) == (1, 0)
    text = "“Function” is alive, but has made no progress for 15 minutes."
    assert told(anna) == [("stalled", text)]
    Notification.objects.update(created_at=timezone.now() - timedelta(hours=2))
    Notification.objects.all().mark_read()
    JobExecution.objects.filter(pk=stalled.pk).update(progress_at=ClockNow() - seconds(1000))
    assert (tell_of_stalled(), tell_of_stalled()) == (1, 0)
    assert anna.notifications.get().read_at is None
    assert lively.status in HELD


def test_operators_are_told_of_a_stall_that_nobody_launched(olga):
    running(None, since=5000)
    tell_of_stalled()
    assert [kind for kind, _ in told(olga)] == ["stalled"]


def test_what_ended_does_not_stall(anna):
    running(anna, since=5000).transition(Event.FAIL)
    assert tell_of_stalled() == 0
