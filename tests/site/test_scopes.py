"""Choosing what to stop: a step, an execution, all of a profile; and launching again."""

import pytest

from jobs.models import JobExecution, StepExecution
from jobs.states import Status
from tests.site.support import flashes


@pytest.fixture
def two_steps(execution, lead, profile) -> JobExecution:
    made = execution(lead, Status.RUNNING, profile=profile)
    made.steps.update(status="completed")
    StepExecution.objects.create(
        execution=made, order=1, name="index", label="Index", status="running", optional=True
    )
    return made


def stop(client, execution, **form):
    return client.post(f"/executions/{execution.pk}/stop/", form, follow=True)


def test_one_alone_leaves_no_choice(bobs, bob, execution, profile):
    made = execution(bob, Status.RUNNING, profile=profile)
    page = bobs.get(f"/executions/{made.pk}/stop/").content.decode()
    assert 'name="scope"' not in page
    assert "This execution" in page


def test_the_dialog_offers_the_step_and_all_of_the_profile(
    leads, two_steps, lead, execution, profile
):
    page = leads.get(f"/executions/{two_steps.pk}/stop/").content.decode()
    assert "The step “Index”" in page
    assert "the execution goes on" in page
    assert 'value="profile"' not in page
    execution(lead, Status.QUEUED, profile=profile)
    page = leads.get(f"/executions/{two_steps.pk}/stop/").content.decode()
    assert "All 2 open executions of “Import things”" in page


def test_only_the_step_is_stopped(leads, two_steps):
    answer = stop(leads, two_steps, scope="step:index", reason="Slow")
    assert flashes(answer) == ["“Import things” goes on without its step."]
    two_steps.refresh_from_db()
    assert (two_steps.status, two_steps.stop_step) == (Status.RUNNING, 1)


def test_a_step_that_is_needed_stops_all_of_it(leads, two_steps):
    two_steps.steps.update(optional=False)
    assert "all of it stops" in leads.get(f"/executions/{two_steps.pk}/stop/").content.decode()
    assert flashes(stop(leads, two_steps, scope="step:index")) == [
        "“Import things”: Stop asked for."
    ]


def test_a_step_that_is_none_is_said(leads, two_steps):
    assert "has no step 'nothing'" in flashes(stop(leads, two_steps, scope="step:nothing"))[0]


def test_all_of_the_profile_from_one_of_them(leads, two_steps, lead, execution, profile):
    other = execution(lead, Status.QUEUED, profile=profile)
    answer = stop(leads, two_steps, scope="profile")
    assert flashes(answer) == ["2 executions of “Import things” asked to stop."]
    other.refresh_from_db()
    assert other.status == Status.STOPPED


def test_the_profile_page_stops_all_after_a_preview(leads, bob, lead, execution, profile):
    running = execution(bob, Status.RUNNING, profile=profile)
    waiting = [execution(lead, Status.QUEUED, profile=profile) for _ in range(9)]
    assert "Stop all 10" in leads.get("/profiles/things/").content.decode()
    page = leads.get("/profiles/things/stop/").content.decode()
    assert "Stops at its next checkpoint." in page
    assert "Stops at once." in page
    assert "and 2 more." in page
    running.refresh_from_db()
    assert running.status == Status.RUNNING
    answer = leads.post("/profiles/things/stop/", {"reason": "Wrong file"}, follow=True)
    assert flashes(answer) == ["10 executions of “Import things” asked to stop."]
    for made in (running, *waiting):
        made.refresh_from_db()
        assert made.status in {Status.STOPPING, Status.STOPPED}
        assert made.history.last().reason == "Wrong file"


def test_what_is_not_ones_own_is_left_out(browser, person, bob, execution, profile):
    viewer = browser(person("viewer", "Viewer"))
    made = execution(bob, Status.RUNNING, profile=profile)
    assert "Stop all" not in viewer.get("/profiles/things/").content.decode()
    assert viewer.post("/profiles/things/stop/").status_code == 403
    made.refresh_from_db()
    assert made.status == Status.RUNNING


def test_only_those_who_may_use_force_are_offered_it(leads, bobs, bob, execution, profile):
    made = execution(bob, Status.RUNNING, profile=profile)
    assert 'name="level"' not in bobs.get("/profiles/things/stop/").content.decode()
    assert 'name="level"' in leads.get("/profiles/things/stop/").content.decode()
    refused = flashes(bobs.post("/profiles/things/stop/", {"level": "kill"}, follow=True))[0]
    assert refused.startswith("0 executions of “Import things” asked to stop. 1 left out:")
    made.refresh_from_db()
    assert made.status == Status.RUNNING
    assert (
        "no level" in flashes(bobs.post("/profiles/things/stop/", {"level": "x"}, follow=True))[0]
    )


def test_nothing_open_is_said(leads, profile):
    assert "Nothing of it is open." in leads.get("/profiles/things/stop/").content.decode()
    assert leads.get("/profiles/nothing/stop/").status_code == 404


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("continue", "“Import things” goes on here, in a new execution."),
        ("relaunch", "“Import things” is launched again."),
    ],
)
def test_what_has_ended_is_launched_again(bobs, bob, execution, profile, path, said):
    made = execution(bob, Status.FAILED, profile=profile, parameters={"mode": "merge"})
    made.steps.all().delete()
    answer = bobs.post(f"/executions/{made.pk}/{path}/", follow=True)
    again = JobExecution.objects.exclude(pk=made.pk).get()
    assert answer.redirect_chain == [(again.get_absolute_url(), 302)]
    assert flashes(answer) == [said]


def test_what_cannot_be_is_said(bobs, bob, execution):
    running = execution(bob, Status.RUNNING)
    for path in ("continue", "relaunch", "retry-failed"):
        answer = bobs.post(f"/executions/{running.pk}/{path}/", follow=True)
        assert answer.redirect_chain == [(running.get_absolute_url(), 302)]
        assert "is running" in flashes(answer)[0]
        assert bobs.get(f"/executions/{running.pk}/{path}/").status_code == 405
    assert JobExecution.objects.count() == 1
