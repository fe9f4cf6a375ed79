"""What people ask of an execution: stop, abort, pause, resume, activate."""

import uuid

import pytest

from jobs.models import JobExecution
from jobs.states import Status
from tests.site.support import flashes

ACTIONS = ("stop", "abort", "pause", "resume", "activate")


def ask(client, execution, action="stop", **form):
    return client.post(f"/executions/{execution.pk}/{action}/", form, follow=True)


def test_the_dialog_says_what_stays(bobs, bob, execution):
    running = execution(bob, Status.RUNNING)
    page = bobs.get(f"/executions/{running.pk}/stop/").content.decode()
    assert "Stopping is not a rollback: 412 items are done and stay." in page
    assert "it is ended by force" in page


def test_the_dialog_of_what_waits_says_that_it_stops_at_once(bobs, bob, execution):
    page = bobs.get(f"/executions/{execution(bob).pk}/stop/").content.decode()
    assert "so it stops at once" in page
    assert "Nothing has been written yet." in page


def test_only_those_who_may_use_force_are_offered_it(bobs, leads, bob, execution):
    at = f"/executions/{execution(bob, Status.RUNNING).pk}/stop/"
    assert 'name="level"' not in bobs.get(at).content.decode()
    page = leads.get(at + "?level=kill").content.decode()
    assert 'value="kill" checked' in page


def test_htmx_gets_the_dialog_alone(bobs, bob, execution):
    at = f"/executions/{execution(bob, Status.RUNNING).pk}/stop/"
    answer = bobs.get(at, headers={"HX-Request": "true"}).content.decode()
    assert answer.strip().startswith("<form")


def test_looking_at_the_dialog_stops_nothing(bobs, bob, execution):
    running = execution(bob, Status.RUNNING)
    bobs.get(f"/executions/{running.pk}/stop/")
    running.refresh_from_db()
    assert running.status == Status.RUNNING


def test_a_stop_is_kept_with_its_reason_and_leads_to_the_execution(bobs, bob, execution):
    running = execution(bob, Status.RUNNING)
    answer = ask(bobs, running, reason="The wrong file")
    assert answer.redirect_chain == [(running.get_absolute_url(), 302)]
    assert flashes(answer) == ["“Import things”: Stop asked for."]
    assert "Stopping: 412 of 1,000 items are done and stay." in answer.content.decode()
    running.refresh_from_db()
    assert running.status == Status.STOPPING
    assert running.history.last().reason == "The wrong file"


def test_what_waits_is_stopped_at_once(bobs, bob, execution):
    queued = execution(bob)
    assert "Stopped before it began." in flashes(ask(bobs, queued))[0]


def test_one_comes_back_to_where_one_asked(bobs, bob, execution):
    answer = ask(bobs, execution(bob), next="/executions/?group=ready")
    assert answer.redirect_chain == [("/executions/?group=ready", 302)]


def test_but_never_to_another_site(bobs, bob, execution):
    queued = execution(bob)
    answer = ask(bobs, queued, next="https://evil.example/")
    assert answer.redirect_chain == [(queued.get_absolute_url(), 302)]


def test_what_ended_before_is_said_kindly(bobs, bob, execution):
    done = execution(bob, Status.COMPLETED)
    assert flashes(ask(bobs, done)) == [
        "“Import things” was completed before the stop took effect."
    ]


def test_the_dialog_of_what_ended_says_so(bobs, bob, execution):
    page = bobs.get(f"/executions/{execution(bob, Status.COMPLETED).pk}/stop/").content.decode()
    assert "is completed; it cannot be stopped any more." in page
    assert "Stop it" not in page


def test_force_needs_its_own_right(bobs, leads, bob, execution):
    running = execution(bob, Status.RUNNING)
    assert ask(bobs, running, level="kill").status_code == 403
    assert ask(bobs, running, "abort").status_code == 403
    running.refresh_from_db()
    assert running.status == Status.RUNNING
    ask(leads, running, level="kill")
    running.refresh_from_db()
    assert (running.status, running.stop_level) == (Status.STOPPING, "kill")


def test_a_level_that_is_none_stops_nothing(leads, bob, execution):
    running = execution(bob, Status.RUNNING)
    assert flashes(ask(leads, running, level="gently")) == ["There is no level 'gently'."]
    running.refresh_from_db()
    assert running.status == Status.RUNNING


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("pause", Status.QUEUED, Status.PAUSED),
        ("pause", Status.RUNNING, Status.PAUSING),
        ("resume", Status.PAUSED, Status.QUEUED),
        ("activate", Status.DEFERRED, Status.QUEUED),
    ],
)
def test_requests_follow_the_table(bobs, bob, execution, action, before, after):
    found = execution(bob, before)
    answer = ask(bobs, found, action)
    found.refresh_from_db()
    assert found.status == after
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("action", "done"), [("pause", "paused"), ("resume", "resumed"), ("activate", "activated")]
)
def test_what_the_table_does_not_know_is_refused_in_words(bobs, bob, execution, action, done):
    answer = ask(bobs, execution(bob, Status.COMPLETED), action)
    assert flashes(answer) == [f"“Import things” is completed; it cannot be {done} any more."]


def test_what_may_be_possible_later_is_not_refused_for_ever(bobs, bob, execution):
    answer = ask(bobs, execution(bob, Status.RUNNING), "resume")
    assert flashes(answer) == ["“Import things” is running; it cannot be resumed."]


@pytest.mark.parametrize("action", ACTIONS)
class TestWhoMayAsk:
    def test_nobody_without_signing_in(self, client, bob, execution, action):
        answer = client.post(f"/executions/{execution(bob).pk}/{action}/")
        assert answer["Location"].startswith("/login/")

    def test_for_what_one_may_not_see_there_is_nothing(self, bobs, lead, execution, action):
        assert ask(bobs, execution(lead), action).status_code == 404

    def test_for_what_does_not_exist_there_is_nothing(self, bobs, action):
        assert ask(bobs, JobExecution(pk=uuid.uuid4()), action).status_code == 404

    def test_whoever_only_looks_is_told_why_not(self, browser, person, bob, execution, action):
        answer = ask(browser(person("vera", "Viewer")), execution(bob), action)
        assert answer.status_code == 403
        assert "Your role does not allow you to" in answer.content.decode()

    def test_only_with_our_own_form(self, bob, execution, action, browser):
        client = browser(bob)
        client.handler.enforce_csrf_checks = True
        answer = ask(client, execution(bob), action)
        assert answer.status_code == 403
        assert "This form is out of date" in answer.content.decode()

    def test_only_by_post(self, bobs, bob, execution, action):
        answer = bobs.get(f"/executions/{execution(bob).pk}/{action}/")
        assert answer.status_code == (200 if action == "stop" else 405)
