"""Schedules: what is fired, made up for, skipped or refused, and who is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from jobs import control
from jobs.models import Firing, JobExecution, JobProfile, Notification, Schedule
from jobs.models.base import database_now
from jobs.permissions import may, visible_schedules
from jobs.schedules import AT_ONCE, fire_due
from jobs.states import Event, Status
from tests.people import person  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
ROLES = ("Viewer", "User", "Data manager", "Lead", "Operator", "Auditor", "Administrator")


@pytest.fixture(autouse=True)
def _no_declared_ones(db: None) -> None:
    Schedule.objects.all().delete()


@pytest.fixture
def profile() -> JobProfile:
    return JobProfile.objects.create(code="p", label="Count", job="samples.function")


@pytest.fixture
def anna(person) -> User:  # noqa: F811
    return person("anna", "Data manager")


@pytest.fixture
def schedule(profile: JobProfile):
    """Make a schedule of every hour that is due since some hours."""

    def make(hours: int = 0, **values: Any) -> Schedule:
        values = {"cron": "0 * * * *", "label": "Hourly", "profile": profile, **values}
        made = Schedule(code=values.pop("code", "hourly"), **values)
        control.save_schedule(made)
        last = database_now().replace(minute=0, second=0, microsecond=0)
        Schedule.objects.filter(pk=made.pk).update(next_at=last - hours * HOUR)
        made.refresh_from_db()
        return made

    return make


def outcomes(schedule: Schedule) -> list[str]:
    return [firing.outcome for firing in schedule.firings.order_by("scheduled_for")]


def test_a_due_schedule_launches_once_and_moves_on(schedule, anna):
    made = schedule(run_as=anna, parameters={"rows": 3})
    assert fire_due() == 1
    assert fire_due() == 0
    launched = JobExecution.objects.get(schedule=made)
    assert (launched.trigger, launched.user, launched.status) == ("schedule", anna, "queued")
    assert launched.parameters["rows"] == 3
    assert launched.scheduled_for == made.next_at
    firing = made.firings.get()
    assert (firing.outcome, firing.execution) == ("launched", launched)
    before, made = made.next_at, Schedule.objects.get()
    assert made.next_at == before + HOUR


def test_a_time_that_was_fired_is_not_fired_again(schedule):
    made = schedule()
    fire_due()
    Schedule.objects.update(next_at=made.next_at)
    assert fire_due() == 1
    assert JobExecution.objects.count() == 1
    with pytest.raises(IntegrityError, match="fired_once"), transaction.atomic():
        made.firings.create(scheduled_for=made.next_at, outcome="launched")


def test_a_disabled_schedule_does_nothing_and_makes_up_for_nothing(schedule):
    made = schedule(hours=5, missed="all")
    control.switch_schedule(made, on=False)
    assert fire_due() == 0
    again = control.switch_schedule(made, on=True)
    assert again.next_at > database_now()
    assert fire_due() == 0
    assert not Firing.objects.exists()


@pytest.mark.parametrize(
    ("missed", "expected", "launched"),
    [
        ("all", ["launched"] * 4, 4),
        ("once", ["missed", "launched"], 1),
    ],
)
def test_missed_times_are_made_up_for_as_the_schedule_says(schedule, missed, expected, launched):
    made = schedule(hours=3, missed=missed, overlap="queue")
    fire_due()
    assert outcomes(made) == expected
    assert JobExecution.objects.count() == launched
    times = list(made.executions.order_by("pk").values_list("scheduled_for", flat=True))
    assert times == [made.next_at + HOUR * number for number in range(4)][-launched:]
    made.refresh_from_db()
    assert made.next_at > database_now()


def test_missed_times_that_are_skipped_leave_one_row_that_says_so(schedule):
    made = schedule(missed="skip", cron="0 0 1 1 *")
    Schedule.objects.update(next_at=datetime(2020, 1, 1, tzinfo=UTC))
    fire_due()
    years = database_now().year - 2019
    assert not JobExecution.objects.exists()
    assert made.firings.get().reason == (
        f"{years} times from 2020-01-01 00:00 UTC on passed while no controller was there."
    )


def test_a_single_missed_time_is_named(schedule):
    made = schedule(missed="skip", cron="0 0 1 1 *", time_zone="Europe/Berlin")
    new_year = datetime(database_now().year - 1, 12, 31, 23, tzinfo=UTC)
    Schedule.objects.update(next_at=new_year)
    fire_due()
    assert made.firings.get().reason.startswith(f"The time {new_year.year + 1}-01-01 00:00 Europe")


def test_a_time_that_passed_a_moment_ago_was_not_missed(schedule):
    made = schedule(missed="skip", cron="* * * * *")
    now = database_now()
    Schedule.objects.update(next_at=now.replace(second=0, microsecond=0))
    fire_due()
    assert outcomes(made) == ["launched"]


def test_a_long_backlog_is_made_up_for_in_bounded_steps(schedule):
    made = schedule(hours=AT_ONCE + 20, missed="all", overlap="queue")
    other = schedule(code="other")
    assert fire_due() == AT_ONCE
    assert other.firings.count() == 1
    assert made.firings.count() == AT_ONCE - 1
    assert fire_due() == 22
    assert made.firings.count() == AT_ONCE + 21


def test_a_backlog_of_a_year_is_counted_to_a_thousand(schedule):
    made = schedule(hours=24 * 365, missed="once")
    fire_due()
    assert made.firings.earliest("scheduled_for").reason.startswith("More than 1,000 times from")
    assert made.firings.latest("scheduled_for").outcome == "launched"


# --- Overlap --------------------------------------------------------------------------------


def again(made: Schedule) -> Firing:
    """The firing after the first one, whose execution is still open."""
    fire_due()
    Schedule.objects.filter(pk=made.pk).update(next_at=database_now())
    fire_due()
    return made.firings.latest("scheduled_for")


def test_an_open_execution_of_the_schedule_skips_the_next(schedule):
    made = schedule(overlap="skip")
    firing = again(made)
    assert firing.outcome == "skipped"
    assert firing.execution == made.executions.get()
    assert firing.reason == "“Count”, launched before it, has not ended."
    assert not Notification.objects.exists()


def test_an_ended_one_skips_nothing(schedule):
    made = schedule(overlap="skip")
    fire_due()
    control.stop(made.executions.get())
    assert again(made).outcome == "launched"


def test_executions_that_others_launched_are_not_of_the_schedule(schedule, profile):
    control.launch(profile=profile)
    made = schedule(overlap="skip")
    fire_due()
    assert outcomes(made) == ["launched"]


def test_reject_refuses_and_tells(schedule, anna):
    made = schedule(overlap="reject", run_as=anna)
    assert again(made).outcome == "refused"
    assert Notification.objects.get(user=anna).text == (
        "“Hourly” could not be launched: “Count”, launched before it, has not ended."
    )


def test_queue_launches_another_that_waits_for_its_turn(schedule):
    made = schedule(overlap="queue")
    assert again(made).outcome == "launched"
    limits = [one.limits for one in made.executions.all()]
    assert limits == [{f"schedule:{made.pk}": 1}] * 2


def test_replace_stops_the_open_one_first(schedule):
    made = schedule(overlap="replace")
    assert again(made).outcome == "launched"
    first, second = made.executions.order_by("pk")
    assert (first.status, second.status) == (Status.STOPPED, Status.QUEUED)
    assert first.history.last().reason == "Replaced by the next launch of “Hourly”."


# --- Rights, and what is refused -------------------------------------------------------------


def refused(made: Schedule) -> str:
    fire_due()
    firing = made.firings.get()
    assert (firing.outcome, firing.execution) == ("refused", None)
    assert not JobExecution.objects.exists()
    return firing.reason


def test_a_disabled_account_launches_nothing_and_operators_are_told(schedule, anna, person):  # noqa: F811
    made = schedule(run_as=anna)
    operator = person("olga", "Operator")
    User.objects.filter(pk=anna.pk).update(is_active=False)
    assert refused(made) == "The account anna is disabled."
    assert Notification.objects.get().user == operator


def test_a_right_lost_meanwhile_is_missed_when_it_fires(schedule, anna):
    made = schedule(run_as=anna)
    anna.groups.set([Group.objects.get(name="Viewer")])
    assert "It runs as anna: Your role does not allow you to launch" in refused(made)
    told = Notification.objects.get()
    assert (told.user, told.kind, told.schedule) == (anna, "not_launched", made)


def test_a_disabled_profile_is_refused(schedule, profile):
    made = schedule()
    JobProfile.objects.filter(pk=profile.pk).update(enabled=False)
    assert refused(made) == "The profile “Count” is disabled."


def test_parameters_that_no_longer_pass_are_refused(schedule):
    made = schedule()
    Schedule.objects.update(parameters={"rows": "many"})
    assert "rows: Enter a whole number." in refused(made)


def test_a_job_that_is_gone_is_refused(schedule, profile):
    made = schedule()
    JobProfile.objects.filter(pk=profile.pk).update(job="samples.gone")
    assert "no job named 'samples.gone'" in refused(made)


def test_a_bug_in_a_form_is_a_refusal_and_holds_up_nobody(schedule, monkeypatch):
    made, other = schedule(), schedule(code="other")
    launch = control.launch

    def broken(**values: Any) -> JobExecution:
        return 1 / 0 if values["schedule"] == made else launch(**values)

    monkeypatch.setattr(control, "launch", broken)
    fire_due()
    assert made.firings.get().reason == "The launch failed: ZeroDivisionError: division by zero"
    assert outcomes(other) == ["launched"]


def test_one_is_told_once_until_one_has_read_it(schedule, anna):
    made = schedule(run_as=anna, missed="all", hours=3)
    User.objects.filter(pk=anna.pk).update(is_active=True)
    anna.groups.clear()
    fire_due()
    assert outcomes(made) == ["refused"] * 4
    assert Notification.objects.count() == 1
    Notification.objects.all().mark_read()
    Schedule.objects.update(next_at=database_now())
    fire_due()
    assert Notification.objects.count() == 2


# --- Saving ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"cron": "every day"}, "cron", "has five fields"),
        ({"cron": "61 * * * *"}, "cron", "Bad minute"),
        ({"cron": "0 0 30 2 *"}, "cron", "Bad day-of-month"),
        ({"time_zone": "Europe/Atlantis"}, "time_zone", "There is no time zone"),
        ({"parameters": {"rows": "many"}}, "parameters", "whole number"),
        ({"parameters": {"cows": 1}}, "parameters", "There is no parameter 'cows'"),
        ({"code": "Not a code"}, "code", "lower-case"),
    ],
)
def test_what_could_not_be_launched_is_not_saved(schedule, values, field, said):
    with pytest.raises(ValidationError) as caught:
        schedule(**values)
    assert said in str(caught.value.message_dict[field])


def test_a_person_who_may_not_launch_it_cannot_be_who_it_runs_as(schedule, person):  # noqa: F811
    with pytest.raises(ValidationError, match="vera: Your role does not allow"):
        schedule(run_as=person("vera", "Viewer"))


def test_what_is_due_stays_due_when_only_other_things_are_changed(schedule):
    made = schedule(hours=2)
    due, made.label = made.next_at, "Other"
    control.save_schedule(made)
    assert Schedule.objects.get().next_at == due
    made.cron = "30 * * * *"
    control.save_schedule(made)
    assert Schedule.objects.get().next_at > database_now()


ROLE_RIGHTS = dict.fromkeys(ROLES, ("view",)) | {
    "Data manager": ("view", "switch", "own"),
    "Administrator": ("view", "switch", "own", "change", "delete"),
}


@pytest.mark.parametrize("role", ROLES)
def test_who_may_what(role, person, schedule, anna):  # noqa: F811
    me = person("me", role)
    of_anna, of_nobody = schedule(run_as=anna), schedule(code="platform")
    own = Schedule(code="own", profile=of_anna.profile, run_as=me)
    rights = ROLE_RIGHTS[role]
    for made in (of_anna, of_nobody):
        for action in ("view", "switch", "change", "delete"):
            assert bool(may(me, action, made)) is (action in rights), action
    for action in ("change", "delete"):
        assert bool(may(me, action, own)) is ("own" in rights)


def test_a_schedule_of_a_profile_that_one_does_not_see_does_not_exist(schedule, person, profile):  # noqa: F811
    made = schedule()
    profile.grants.create(group=Group.objects.get(name="Lead"))
    leo, manager = person("leo", "Lead"), person("me", "Data manager")
    assert list(visible_schedules(leo)) == [made]
    assert not visible_schedules(manager).exists()
    assert not may(manager, "switch", made).visible


def test_changing_what_runs_as_another_is_refused_before_and_after(schedule, anna, person):  # noqa: F811
    bert = person("bert", "Data manager")
    made = schedule(run_as=anna)
    made.run_as = bert  # taken over
    with pytest.raises(control.Denied, match="It runs as anna: only an administrator may change"):
        control.save_schedule(made, by=bert)
    mine = schedule(code="mine", run_as=bert)
    mine.run_as = anna  # given away
    with pytest.raises(control.Denied):
        control.save_schedule(mine, by=bert)


def test_a_finished_execution_of_a_deleted_schedule_stays(schedule):
    made = schedule()
    fire_due()
    execution = made.executions.get()
    execution.transition(Event.STOP)
    control.delete_schedule(made)
    execution.refresh_from_db()
    assert (execution.schedule, execution.status) == (None, Status.STOPPED)
