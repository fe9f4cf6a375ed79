"""A repair puts right what was found, by the table of moves, and leaves a trace."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace

import pytest
from django.contrib.auth.models import Group, User

from jobs import control
from jobs.invariants import INVARIANTS, look_at, look_at_all
from jobs.models import JobExecution, NotAllowed
from jobs.models.base import ClockNow, seconds
from jobs.permissions import Denied
from jobs.repairs import REPAIRS, repair
from jobs.states import Event, Status
from tests.control.planted import OUTSIDE, PLANTS, ago, deferred_past_time, running, slot_kept

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_server_is_not_new")]


@pytest.mark.parametrize("code", sorted(set(REPAIRS) - OUTSIDE))
def test_a_repair_puts_it_right_and_is_logged(code, caplog, django_capture_on_commit_callbacks):
    operator = User.objects.create_user("olga")
    operator.groups.add(Group.objects.get(name="Operator"))
    PLANTS[code]()
    with caplog.at_level(logging.WARNING), django_capture_on_commit_callbacks():
        assert repair(INVARIANTS[code], by=operator) == 1
    assert look_at(INVARIANTS[code], everything=True).holds
    assert f"Repaired {code} for olga:" in caplog.text
    others = [result for result in look_at_all() if result.violations]
    assert not others, "The repair has broken something else."


@pytest.mark.parametrize(
    ("code", "event", "after"),
    [
        ("lease_expired", "release", Status.QUEUED),
        ("stop_overdue", "abort", Status.ABORTED),
        ("time_overdue", "time_out", Status.TIMED_OUT),
        ("deferred_past_time", "activate", Status.QUEUED),
        ("not_expired", "expire", Status.EXPIRED),
        ("joining_alone", "rejoin", Status.QUEUED),
        ("child_left_open", "abort", Status.ABORTED),
    ],
)
def test_a_repair_moves_a_status_by_the_table_with_its_line_of_history(code, event, after):
    planted = PLANTS[code]()
    repair(INVARIANTS[code])
    planted.refresh_from_db()
    line = planted.history.last()
    assert (line.event, line.after, planted.status) == (event, after, after)
    assert line.reason


def begun_again(planted: JobExecution) -> None:
    """It has a worker and a new attempt, by now."""
    planted.transition(Event.RELEASE)
    planted.attempts.create(number=2, worker="w@test", node="test")
    planted.transition(Event.START, attempt=2, lease_expires_at=ClockNow() + seconds(60))


@pytest.mark.parametrize("code", ["lease_expired", "time_overdue", "attempt_open"])
def test_what_has_moved_on_since_it_was_found_is_left_alone(code):
    planted = running(lease_expires_at=ago(), deadline_at=ago())
    found = look_at(INVARIANTS["time_overdue"]).violations[0]
    begun_again(planted)
    with suppress(NotAllowed):
        REPAIRS[code](replace(found, subject="2" if code == "attempt_open" else "1"), None)
    planted.refresh_from_db()
    assert (planted.status, planted.attempt) == (Status.RUNNING, 2)
    assert planted.attempts.get(number=2).ended_at is None


def test_a_slot_that_is_in_use_by_now_is_left_alone():
    planted = slot_kept()
    found = look_at(INVARIANTS["slot_kept"]).violations[0]
    control.resume(planted)
    planted.transition(Event.START, attempt=1, lease_expires_at=ClockNow() + seconds(60))
    REPAIRS["slot_kept"](found, None)
    assert planted.slots.exists()


def test_who_may_not_operate_queues_repairs_nothing():
    planted = deferred_past_time()
    with pytest.raises(Denied):
        repair(INVARIANTS["deferred_past_time"], by=User.objects.create_user("bob"))
    planted.refresh_from_db()
    assert planted.status == Status.DEFERRED
