"""The page of one execution."""

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from jobs import control
from jobs.models import Attempt, JobExecution, StepExecution, StepWarning
from jobs.states import Status
from tests.site.support import news, since
from tracker.queries.execution import TABS


def warn(execution, count=1, **fields):
    step = execution.steps.get()
    values = {"code": "bad_number", "message": "“x” is not a number.", "column": "price"} | fields
    StepWarning.objects.bulk_create(
        StepWarning(execution=execution, step=step, row=row, **values)
        for row in range(1, count + 1)
    )
    JobExecution.objects.filter(pk=execution.pk).update(warnings_count=execution.warnings.count())


def address(execution, tab="summary"):
    return f"/executions/{execution.pk}/?tab={tab}"


def test_its_page_tells_what_who_when_and_where(bobs, bob, profile, execution):
    running = execution(bob, Status.RUNNING, profile=profile, profile_version=3, node="web-2")
    page = bobs.get(running.get_absolute_url()).content.decode()
    for text in ("Import things", "Running", "bob", "web-2:77", "default", "v3", "41 %", "412"):
        assert text in page, text


def test_one_sees_only_what_one_may(bobs, leads, bob, lead, execution):
    theirs = execution(lead)
    assert bobs.get(theirs.get_absolute_url()).status_code == 404
    assert leads.get(theirs.get_absolute_url()).status_code == 200


def test_what_does_not_exist_is_not_found(bobs, bob, execution):
    assert bobs.get(f"/executions/{uuid.uuid4()}/").status_code == 404
    assert bobs.get("/executions/12/").status_code == 404
    assert bobs.get(address(execution(bob), "nonsense")).status_code == 404


def test_it_is_only_read(bobs, bob, execution):
    assert bobs.post(execution(bob).get_absolute_url()).status_code == 405


def test_nobody_gets_in_without_signing_in(client, bob, execution):
    assert client.get(execution(bob).get_absolute_url()).status_code == 302


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("tab", [tab for tab in TABS if tab != "debug"])
def test_every_tab_is_there_in_every_status(bobs, bob, execution, status, tab):
    assert bobs.get(address(execution(bob, status), tab)).status_code == 200


@pytest.mark.parametrize(
    ("status", "buttons"),
    [
        (Status.DEFERRED, {"activate", "stop"}),
        (Status.QUEUED, {"pause", "stop"}),
        (Status.RUNNING, {"pause", "stop", "abort"}),
        (Status.PAUSED, {"resume", "stop"}),
        (Status.STOPPING, {"abort"}),
        (Status.COMPLETED, {"relaunch", "undo"}),
    ],
)
def test_its_buttons_are_what_can_happen_in_its_status(leads, bob, execution, status, buttons):
    page = leads.get(execution(bob, status).get_absolute_url()).context["page"]
    assert {button.action for button in page.buttons} == buttons
    assert not any(button.reason for button in page.buttons if button.action != "undo")


def test_a_button_one_may_not_press_says_why(bobs, bob, execution):
    page = bobs.get(execution(bob, Status.RUNNING).get_absolute_url())
    reasons = {button.action: button.reason for button in page.context["page"].buttons}
    assert reasons["stop"] == ""
    assert reasons["abort"] == "Your role does not allow you to abort jobs."
    assert reasons["abort"] in page.content.decode()


def test_the_sentence_says_why_it_waits(bobs, bob, execution):
    page = bobs.get(execution(bob).get_absolute_url()).content.decode()
    assert "No worker is on the queue “default”." in page


def test_the_sentence_says_what_went_wrong(bobs, bob, execution):
    failed = execution(bob, Status.FAILED, error="The file has no column “sku”.")
    assert "The file has no column “sku”." in bobs.get(failed.get_absolute_url()).content.decode()


@pytest.mark.parametrize(
    ("status", "done", "text"),
    [
        (Status.FAILED, 0, "Failed after 0.2 s"),
        (Status.FAILED, 412, "41 %, 412 items in 0.2 s"),
        (Status.COMPLETED, 0, "0 items in 0.2 s"),
    ],
)
def test_it_says_how_far_it_came(bobs, bob, execution, status, done, text):
    began = timezone.now()
    ended = began + dt.timedelta(seconds=0.2)
    found = execution(bob, status, done=done, started_at=began, finished_at=ended)
    if status == Status.FAILED:
        found.steps.update(status="failed")
    page = bobs.get(found.get_absolute_url())
    assert page.context["page"].standing == text
    assert text in page.content.decode()


def test_what_never_started_has_not_begun(bobs, bob, execution):
    now = timezone.now()
    for found in (
        execution(bob),
        execution(bob, Status.EXPIRED, started_at=None, finished_at=now),
    ):
        assert bobs.get(found.get_absolute_url()).context["page"].standing == "Not begun"


def test_after_a_stop_it_shows_the_receipt(bobs, bob, execution):
    asked = timezone.now() - dt.timedelta(seconds=1)
    stopped = execution(bob, Status.STOPPED, stop_requested_at=asked)
    page = bobs.get(stopped.get_absolute_url()).content.decode()
    assert "412 of 1,000 items are done and stay." in page


def test_while_it_stops_it_counts_down_to_force(bobs, bob, execution):
    deadline = timezone.now() + dt.timedelta(seconds=42)
    stopping = execution(
        bob, Status.STOPPING, stop_requested_at=timezone.now(), stop_deadline_at=deadline
    )
    assert 'data-left="41"' in bobs.get(stopping.get_absolute_url()).content.decode()


def test_its_end_is_announced(bobs, bob, execution):
    running = execution(bob, Status.RUNNING)
    page = bobs.get(running.get_absolute_url()).content.decode()
    assert 'data-announce=""' in page
    assert 'role="status"' in page
    finished = execution(bob, Status.COMPLETED)
    page = bobs.get(finished.get_absolute_url()).content.decode()
    assert 'data-announce="Import things: Completed.' in page


def test_the_steps_show_their_counters_and_their_sum(bobs, bob, execution):
    running = execution(bob, Status.RUNNING)
    StepExecution.objects.create(
        execution=running, order=1, name="more", label="More", created=88, failed=2
    )
    summary = bobs.get(running.get_absolute_url()).context["summary"]
    assert summary.counters == ["created", "failed"]
    assert [line.counts for line in summary.steps] == [
        [("created", 412), ("failed", 0)],
        [("created", 88), ("failed", 2)],
    ]
    assert summary.totals == [500, 2]


def test_the_result_is_shown_as_text_or_as_json(bobs, bob, execution):
    page = bobs.get(execution(bob, Status.COMPLETED, result={"rows": 7}).get_absolute_url())
    assert "&quot;rows&quot;: 7" in page.content.decode()
    page = bobs.get(execution(bob, Status.COMPLETED, result="<b>done</b>").get_absolute_url())
    assert "&lt;b&gt;done&lt;/b&gt;" in page.content.decode()


def test_warnings_are_turned_page_by_page(bobs, bob, execution):
    done = execution(bob, Status.COMPLETED)
    warn(done, 120)
    rows, at = [], "?tab=warnings"
    while at:
        page = bobs.get(f"/executions/{done.pk}/{at}").context["warnings"]
        rows += [warning.row for warning in page.rows]
        at = page.next
    assert rows == list(range(1, 121))


def test_warnings_come_by_row_and_those_without_a_row_last(bobs, bob, execution):
    done = execution(bob, Status.COMPLETED)
    step = done.steps.get()
    given = [None] * 60 + [3, 1, 2, 1]
    StepWarning.objects.bulk_create(
        StepWarning(execution=done, step=step, row=row, code="odd", message="Odd.") for row in given
    )
    JobExecution.objects.filter(pk=done.pk).update(warnings_count=len(given))
    rows, at = [], "?tab=warnings"
    while at:
        page = bobs.get(f"/executions/{done.pk}/{at}").context["warnings"]
        rows += [warning.row for warning in page.rows]
        at = page.next
    assert rows == [1, 1, 2, 3] + [None] * 60


def test_a_place_that_is_none_shows_the_first_page(bobs, bob, execution):
    done = execution(bob, Status.COMPLETED)
    warn(done, 3)
    for place in ("7", "x-1", "-", "1-" + "9" * 40):
        page = bobs.get(address(done, "warnings") + f"&after={place}").context["warnings"]
        assert len(page.rows) == 3


def test_the_parameters_are_shown_as_it_was_launched(bobs, bob, profile):
    launched = control.launch(profile=profile, parameters={"mode": "merge", "limit": 7}, user=bob)
    found = bobs.get(address(launched, "parameters")).context["parameters"]
    assert {parameter.label: parameter.value for parameter in found}["Limit"] == "7"


def test_the_timeline_tells_who_did_what_and_why(bobs, bob, execution):
    queued = execution(bob)
    Attempt.objects.create(execution=queued, number=1, worker="w1", node="n1")
    control.stop(queued, by=bob, reason="It was the wrong file.")
    page = bobs.get(address(queued, "timeline")).content.decode()
    for text in ("Launched", "Stop asked for", "It was the wrong file.", "by bob", "w1"):
        assert text in page, text


def test_the_debug_log_is_for_those_who_may_see_it(bobs, browser, person, bob, execution):
    running = execution(bob, Status.RUNNING)
    assert "Debug log" not in bobs.get(running.get_absolute_url()).content.decode()
    assert bobs.get(address(running, "debug")).status_code == 403
    operator = browser(person("olga", "Operator"))
    assert "Debug log" in operator.get(running.get_absolute_url()).content.decode()
    assert operator.get(address(running, "debug")).status_code == 200


def test_a_sensitive_profile_keeps_its_contents_to_its_owner(bobs, leads, bob, profile, execution):
    profile.sensitive = True
    profile.save()
    done = execution(bob, Status.COMPLETED, profile=profile)
    warn(done)
    assert leads.get(done.get_absolute_url()).status_code == 200
    for tab in ("warnings", "log"):
        assert leads.get(address(done, tab)).status_code == 403
        assert bobs.get(address(done, tab)).status_code == 200


@pytest.mark.parametrize("tab", [tab for tab in TABS if tab != "debug"])
def test_it_takes_at_most_twelve_queries(
    bobs, bob, profile, execution, worker, tab, django_assert_max_num_queries
):
    done = execution(bob, Status.QUEUED, profile=profile)
    with django_assert_max_num_queries(12):
        bobs.get(address(done, tab))


def test_a_look_for_news_takes_two_queries_besides_those_of_the_session(
    bobs, bob, execution, django_assert_max_num_queries
):
    running = execution(bob, Status.RUNNING)
    asked = since(bobs.get(running.get_absolute_url()).content.decode())
    with django_assert_max_num_queries(4):  # session, user; rights, version
        assert news(bobs, running.get_absolute_url(), asked).status_code == 204


def test_a_change_brings_the_live_part_alone(bobs, bob, execution):
    running = execution(bob, Status.RUNNING)
    asked = since(bobs.get(running.get_absolute_url()).content.decode())
    JobExecution.objects.filter(pk=running.pk).update(version=running.version + 1)
    answer = news(bobs, running.get_absolute_url(), asked)
    assert answer.content.decode().strip().startswith('<div id="live"')
    assert "<html" not in answer.content.decode()


def test_it_asks_for_news_only_while_it_is_alive(bobs, bob, execution):
    for status, alive in ((Status.RUNNING, True), (Status.PAUSED, False), (Status.LOST, False)):
        page = bobs.get(execution(bob, status).get_absolute_url()).content.decode()
        assert ("data-live=" in page) is alive, status


def test_somebody_elses_news_are_not_told(bobs, lead, execution):
    assert news(bobs, execution(lead).get_absolute_url(), "?since=1").status_code == 404


def test_parts_of_a_step_stand_under_their_parent_alone(bobs, bob, execution):
    parent = execution(bob, name="Whole import")
    part = execution(bob, name="Part one", parent=parent, partition=0, partitions=2)
    listed = bobs.get("/executions/").content.decode()
    assert "Whole import" in listed
    assert "Part one" not in listed
    page = bobs.get(f"{parent.get_absolute_url()}?tab=children").content.decode()
    assert part.get_absolute_url() in page
    assert "Part one" in page
    assert parent.get_absolute_url() in bobs.get(part.get_absolute_url()).content.decode()


def test_the_head_says_what_became_of_the_rows(bobs, bob, execution):
    ended = execution(bob, Status.COMPLETED)
    ended.steps.update(created=1200, unchanged=30, failed=4)
    assert bobs.get(ended.get_absolute_url()).context["page"].counts == (
        "1,200\u00a0created, 30\u00a0unchanged, 4\u00a0failed"
    )
    running = execution(bob, Status.RUNNING)
    assert bobs.get(running.get_absolute_url()).context["page"].counts == ""
