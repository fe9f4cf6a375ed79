"""What a stop of many reaches, what it would do, and what came of it."""

# ruff: noqa: F811 (a fixture that is imported is the parameter of those that use it)

from __future__ import annotations

import uuid

import pytest
from django.utils import timezone

from jobs import control
from jobs.control import Scope
from jobs.models import JobProfile, StatusChange, StepExecution, Worker
from jobs.states import Status
from tests.people import execution, person, profile  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob(person):
    return person("bob")


@pytest.fixture
def ann(person):
    return person("ann")


@pytest.fixture
def lead(person):
    return person("lead", "Lead")


def step(execution, name="index", *, status="running", order=0, **fields):
    return StepExecution.objects.create(
        execution=execution, order=order, name=name, label=name.capitalize(), status=status,
        **fields,
    )  # fmt: skip


def texts(plan):
    return {item.execution.pk: item.text for item in plan.items}


def test_a_plan_says_what_a_stop_would_do_to_each(lead, execution, profile):
    queued = execution(lead, Status.QUEUED, profile=profile)
    running = execution(lead, Status.RUNNING, profile=profile)
    joining = execution(lead, Status.JOINING, profile=profile, started_at=timezone.now())
    busy = execution(
        lead, Status.RUNNING, profile=profile, section="Post to ledger",
        section_until=timezone.now(),
    )  # fmt: skip
    execution(lead, Status.COMPLETED, profile=profile)
    step(running, cursor={"row": 5})
    found = control.plan(lead, Scope(kind="profile", id="things"))
    said = texts(found)
    assert said[queued.pk] == "Stops at once."
    assert said[running.pk] == "Stops at its next checkpoint."
    assert said[joining.pk] == "Stops when its children have stopped."
    assert said[busy.pk].startswith("Stops when “Post to ledger” is done, at the latest at ")
    assert len(said) == 4
    assert [item.execution.pk for item in found.items if item.resumable] == [running.pk]
    by_force = texts(control.plan(lead, Scope(kind="profile", id="things"), level="kill"))
    assert by_force[running.pk] == by_force[busy.pk] == "Its process is ended at once."


def test_a_plan_changes_nothing(lead, execution, profile):
    made = execution(lead, Status.QUEUED, profile=profile)
    control.plan(lead, Scope(kind="profile", id="things"))
    made.refresh_from_db()
    assert made.status == Status.QUEUED


def test_what_one_may_not_stop_is_left_out_with_the_reason(person, bob, execution, profile):
    viewer = person("viewer", "Viewer")
    made = execution(bob, Status.RUNNING, profile=profile)
    found = control.plan(viewer, Scope(kind="profile", id="things"))
    assert found.stopped == []
    assert "does not allow you to stop jobs of other people" in found.left_out[0].text
    results = control.stop_all(Scope(kind="profile", id="things"), by=viewer)
    assert [(result.asked, result.execution.pk) for result in results] == [(False, made.pk)]
    made.refresh_from_db()
    assert made.status == Status.RUNNING


def test_what_one_may_not_see_is_not_there(bob, ann, execution, profile):
    mine, hers = (execution(who, Status.RUNNING, profile=profile) for who in (bob, ann))
    results = control.stop_all(Scope(kind="profile", id="things"), by=bob)
    assert [result.execution.pk for result in results] == [mine.pk]
    hers.refresh_from_db()
    assert hers.status == Status.RUNNING
    with pytest.raises(control.NothingThere, match="There is no execution"):
        control.plan(bob, Scope(kind="execution", id=str(hers.pk)))


def test_force_is_refused_one_by_one_to_those_who_may_only_stop(bob, execution, profile):
    made = execution(bob, Status.RUNNING, profile=profile)
    scope = Scope(kind="profile", id="things")
    assert "abort" in control.plan(bob, scope, level="kill").left_out[0].text
    (result,) = control.stop_all(scope, by=bob, level="kill")
    assert not result.asked
    made.refresh_from_db()
    assert made.status == Status.RUNNING


def test_one_that_is_refused_keeps_no_other_from_being_stopped(lead, bob, execution, profile):
    with_reason = [execution(lead, Status.QUEUED, profile=profile) for _ in range(3)]
    results = control.stop_all(Scope(kind="profile", id="things"), by=lead, reason="Wrong file")
    assert [result.text for result in results] == ["Stopped."] * 3
    for made in with_reason:
        made.refresh_from_db()
        assert made.status == Status.STOPPED
        assert made.history.last().reason == "Wrong file"


def test_all_of_a_job_whatever_their_profile(lead, execution, profile):
    first = execution(lead, Status.RUNNING, profile=profile)
    second = execution(lead, Status.QUEUED)
    other = execution(lead, Status.QUEUED, job="samples.talk")
    results = control.stop_all(Scope(kind="job", id="things.import_things"), by=lead)
    assert {result.execution.pk for result in results} == {first.pk, second.pk}
    other.refresh_from_db()
    assert other.status == Status.QUEUED


def test_all_that_a_worker_has(lead, execution):
    here = execution(lead, Status.RUNNING, worker="w1@here")
    execution(lead, Status.RUNNING, worker="w2@there")
    results = control.stop_all(Scope(kind="worker", id="w1@here"), by=lead)
    assert [result.execution.pk for result in results] == [here.pk]


def test_a_step_wherever_it_runs(lead, execution):
    runs, waits, other = (execution(lead, Status.RUNNING) for _ in range(3))
    step(runs)
    step(waits, status="pending")
    step(other, "count")
    scope = Scope(kind="step", id="things.import_things", step="index")
    results = control.stop_all(scope, by=lead)
    assert [result.execution.pk for result in results] == [runs.pk]


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (Scope(kind="profile", id="nothing"), "There is no profile 'nothing'."),
        (Scope(kind="job", id="no.such"), "There is no job 'no.such'."),
        (Scope(kind="step", id="no.such", step="x"), "There is no job 'no.such'."),
        (Scope(kind="worker", id="w9"), "There is no worker 'w9'."),
        (Scope(kind="execution", id="x"), "'x' is not the id of an execution"),
        (Scope(kind="execution", id=str(uuid.uuid4())), "There is no execution"),
    ],
)
def test_a_wrong_name_is_said(lead, scope, said):
    with pytest.raises(control.NothingThere, match=said):
        control.plan(lead, scope)


def test_nothing_open_is_no_fault(lead, profile):
    Worker.objects.create(name="w1", kind="worker", node="n", pid=1)
    for scope in (
        Scope(kind="profile", id="things"),
        Scope(kind="job", id="samples.talk"),
        Scope(kind="worker", id="w1"),
    ):
        assert control.stop_all(scope, by=lead) == []


def test_an_optional_step_ends_alone(lead, execution):
    made = execution(lead, Status.RUNNING)
    step(made, "count", order=0, status="completed")
    step(made, "index", order=1, optional=True)
    scope = Scope(kind="execution", id=str(made.pk), step="index")
    assert control.plan(lead, scope).items[0].text == "“Index” alone ends; the execution goes on."
    for _ in range(2):
        control.stop_step(made, "index", by=lead, reason="Too slow")
    assert (made.status, made.stop_step) == (Status.RUNNING, 1)
    change = StatusChange.objects.get(execution=made, event="stop")
    assert (change.before, change.after, change.by) == ("running", "running", lead)
    assert change.reason == "Only the step “Index”. Too slow"


def test_a_step_that_is_needed_stops_the_execution(lead, execution):
    made = execution(lead, Status.RUNNING)
    step(made)
    scope = Scope(kind="execution", id=str(made.pk), step="index")
    assert control.plan(lead, scope).items[0].text == "Stops at its next checkpoint."
    assert control.stop_step(made, "index", by=lead).status == Status.STOPPING
    assert made.stop_step is None


def test_a_step_is_not_stopped_alone_by_force(lead, execution):
    made = execution(lead, Status.RUNNING)
    step(made, optional=True)
    scope = Scope(kind="execution", id=str(made.pk), step="index")
    assert not control.plan(lead, scope, level="kill").stopped
    with pytest.raises(control.Refused, match="would end all of"):
        control.stop_step(made, "index", by=lead, level="kill")
    made.refresh_from_db()
    assert (made.status, made.stop_step) == (Status.RUNNING, None)


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("nothing", "running", "has no step 'nothing'; there are: index."),
        ("index", "completed", "cannot be stopped: the step is completed"),
    ],
)
def test_a_step_that_does_not_run_is_refused(lead, execution, name, status, said):
    made = execution(lead, Status.RUNNING)
    step(made, status=status, optional=True)
    with pytest.raises(control.Refused, match=said):
        control.stop_step(made, name, by=lead)


def test_a_step_needs_the_right_to_stop(person, bob, execution):
    made = execution(bob, Status.RUNNING)
    step(made, optional=True)
    with pytest.raises(control.Denied):
        control.stop_step(made, "index", by=person("viewer", "Viewer"))


def test_children_stop_with_their_parent(lead, execution):
    parent = execution(lead, Status.JOINING, started_at=timezone.now())
    child = execution(lead, Status.QUEUED, parent=parent)
    control.stop_all(Scope(kind="execution", id=str(parent.pk)), by=lead)
    child.refresh_from_db()
    assert child.status == Status.STOPPED


def test_a_plan_is_a_few_queries_however_many_it_reaches(
    lead, execution, profile, django_assert_max_num_queries
):
    JobProfile.objects.create(code="others", label="Others", job="things.import_things")
    for _ in range(20):
        execution(lead, Status.RUNNING, profile=profile)
    with django_assert_max_num_queries(4):
        assert len(control.plan(lead, Scope(kind="profile", id="things")).items) == 20
