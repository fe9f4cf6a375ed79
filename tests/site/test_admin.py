"""Django's admin: profiles edited and checked, executions watched and stopped, tokens revoked."""

import json

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from jobs.models import (
    ApiToken,
    JobExecution,
    JobProfile,
    OutboxMessage,
    StatusChange,
    StepExecution,
    Worker,
)
from jobs.states import Status
from tests.people import execution, person, profile, two_jobs  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db

PROFILES, EXECUTIONS = "/admin/jobs/jobprofile/", "/admin/jobs/jobexecution/"
TOKENS, WORKERS = "/admin/jobs/apitoken/", "/admin/jobs/worker/"
MESSAGES = "/admin/jobs/outboxmessage/"

FORM = {
    "code": "nightly",
    "label": "Nightly",
    "description": "",
    "job": "things.import_things",
    "parameters": "{}",
    "locked": "[]",
    "queue": "",
    "priority": "0",
    "overlap": "queue",
    "timeout_seconds": "",
    "stop_grace_seconds": "",
    "enabled": "on",
    "grants-TOTAL_FORMS": "0",
    "grants-INITIAL_FORMS": "0",
}


@pytest.fixture
def staff(person):  # noqa: F811
    def make(role: str, **more) -> Client:
        client = Client()
        client.force_login(person(role.lower(), role, is_staff=True, **more))
        return client

    return make


@pytest.fixture
def root(staff) -> Client:
    return staff("Administrator", is_superuser=True)


def said(answer) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def test_every_list_opens_for_those_who_may(root, profile, execution):  # noqa: F811
    execution()
    Worker.objects.create(name="w@web-2", kind="worker", node="web-2", pid=1)
    ApiToken.objects.create(root.get("/admin/").wsgi_request.user, name="mine")
    for path in (PROFILES, EXECUTIONS, TOKENS, WORKERS, "/admin/auth/group/"):
        assert root.get(path).status_code == 200, path


def test_it_is_called_by_the_name_of_the_site(root):
    page = root.get("/admin/").content.decode()
    assert "Millrace administration" in page
    assert "API tokens" in page
    assert "Django administration" not in page


def test_people_without_the_rights_see_no_lists(staff):
    client = staff("User")
    assert client.get(WORKERS).status_code == 403
    Group.objects.get(name="User").permissions.clear()
    for path in (PROFILES, EXECUTIONS, TOKENS):
        assert client.get(path).status_code == 403, path


def test_a_profile_is_made_with_grants(staff):
    client = staff("Data manager")
    group = Group.objects.get(name="User")
    form = FORM | {
        "grants-TOTAL_FORMS": "1",
        "grants-0-group": group.pk,
        "grants-0-view": "on",
        "grants-0-launch": "on",
        "parameters": json.dumps({"separator": ","}),
    }
    answer = client.post(f"{PROFILES}add/", form)
    assert answer.status_code == 302, answer.context["errors"]
    made = JobProfile.objects.get(code="nightly")
    assert made.parameters == {"separator": ","}
    assert made.grants.get().launch is True


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"parameters": '{"limit": 1000}'}, "less than or equal to 99"),
        ({"parameters": '{"nothing": 1}'}, "There is no parameter"),
        ({"parameters": "[1]"}, "Parameters are a JSON object"),
        ({"parameters": "{"}, "valid JSON"),
        ({"locked": '["nothing"]'}, "There is no parameter"),
        ({"locked": '{"limit": 1}'}, "Locked parameters are a JSON list"),
        ({"job": "nothing.here"}, "Select a valid choice"),
        ({"job": "things.run_program"}, "manage command jobs"),
        ({"code": "Not A Code"}, "lower-case letters"),
    ],
)
def test_a_wrong_profile_is_refused_with_the_reason(staff, change, text):
    answer = staff("Data manager").post(f"{PROFILES}add/", FORM | change)
    assert answer.status_code == 200
    assert text in answer.content.decode()
    assert not JobProfile.objects.filter(code="nightly").exists()


def test_the_version_is_shown_and_raised_but_not_edited(staff, profile):  # noqa: F811
    client = staff("Data manager")
    path = f"{PROFILES}{profile.pk}/change/"
    form = FORM | {"code": "things", "label": "Things", "priority": "5", "version": "99"}
    assert client.post(path, form).status_code == 302
    profile.refresh_from_db()
    assert (profile.priority, profile.version) == (5, 2)


def test_a_profile_is_changed_only_by_those_who_may(staff, profile):  # noqa: F811
    client = staff("User")
    path = f"{PROFILES}{profile.pk}/change/"
    assert client.get(path).status_code == 200
    assert client.post(path, FORM).status_code == 403
    assert client.post(f"{PROFILES}{profile.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_profile_in_use_is_not_deleted(staff, profile, execution):  # noqa: F811
    client = staff("Data manager")
    running = execution(status=Status.RUNNING, profile=profile)
    path = f"{PROFILES}{profile.pk}/delete/"
    answer = client.post(path, {"post": "yes"}, follow=True)
    assert "stop them first" in said(answer)
    assert JobProfile.objects.filter(pk=profile.pk).exists()
    running.delete()
    client.post(path, {"post": "yes"})
    assert not JobProfile.objects.filter(pk=profile.pk).exists()


def test_executions_are_shown_and_not_changed(root, execution):  # noqa: F811
    made = execution(status=Status.RUNNING, error_detail="Traceback")
    StepExecution.objects.create(execution=made, order=1, name="rows", label="Rows", total=5)
    StatusChange.objects.create(execution=made, event="start", after="running", reason="Claimed")
    path = f"{EXECUTIONS}{made.pk}/change/"
    page = root.get(path).content.decode()
    assert "Claimed" in page
    assert "Traceback" not in page
    assert f"/executions/{made.pk}/" in page
    assert root.post(path, {"status": "completed"}).status_code == 403
    assert root.get(f"{EXECUTIONS}add/").status_code == 403
    assert root.post(f"{EXECUTIONS}{made.pk}/delete/", {"post": "yes"}).status_code == 403


def test_one_sees_only_what_one_may(staff, person, execution):  # noqa: F811
    client = staff("User")
    hers = execution(person("ann"), name="Hers")
    assert "Hers" not in client.get(EXECUTIONS).content.decode()
    assert client.get(f"{EXECUTIONS}{hers.pk}/change/").status_code == 302


def test_stop_and_abort_go_through_control(staff, person, execution):  # noqa: F811
    client = staff("Lead")
    queued, done = execution(), execution(status=Status.COMPLETED, name="Done")
    chosen = {ACTION_CHECKBOX_NAME: [str(queued.pk), str(done.pk)]}
    answer = client.post(EXECUTIONS, chosen | {"action": "stop"}, follow=True)
    assert "1 asked to stop." in said(answer)
    assert "Done: “Done” was completed before" in said(answer)
    queued.refresh_from_db()
    assert queued.status == Status.STOPPED
    assert queued.history.get().by.username == "lead"
    running = execution(status=Status.RUNNING)
    client.post(EXECUTIONS, {ACTION_CHECKBOX_NAME: [str(running.pk)], "action": "abort"})
    running.refresh_from_db()
    assert (running.status, running.stop_level) == (Status.STOPPING, "kill")


def test_an_action_one_may_not_do_is_refused(staff, execution):  # noqa: F811
    client = staff("Viewer")
    made = execution(status=Status.RUNNING)
    chosen = {ACTION_CHECKBOX_NAME: [str(made.pk)]}
    for action in ("stop", "abort"):
        answer = client.post(EXECUTIONS, chosen | {"action": action}, follow=True)
        assert "does not allow you" in said(answer)
    made.refresh_from_db()
    assert made.status == Status.RUNNING


def test_a_list_counts_no_further_than_ten_thousand(
    root,
    execution,  # noqa: F811
    monkeypatch,
    django_assert_max_num_queries,
):
    monkeypatch.setattr("jobs.admin.COUNTED_AT_MOST", 3)
    for _ in range(6):
        execution()
    with django_assert_max_num_queries(14) as queries:
        answer = root.get(EXECUTIONS)
    assert answer.context["cl"].result_count == 4
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 4" in sql for sql in counts if "jobs_jobexecution" in sql)
    assert JobExecution.objects.count() == 6


def test_a_token_is_revoked_and_its_hash_never_shown(root, person):  # noqa: F811
    made, token = ApiToken.objects.create(person("ann"), name="nightly")
    page = root.get(TOKENS).content.decode()
    assert made.token_key in page
    assert made.digest not in page
    assert token not in page
    assert root.get(f"{TOKENS}{made.digest}/change/").status_code in {302, 403, 404}
    chosen = {ACTION_CHECKBOX_NAME: [made.token_key], "action": "revoke"}
    assert "1 revoked." in said(root.post(TOKENS, chosen, follow=True))
    assert not ApiToken.objects.exists()


def test_other_peoples_tokens_are_not_revoked(staff, person):  # noqa: F811
    made, _ = ApiToken.objects.create(person("ann"), name="nightly")
    client = staff("Lead")
    assert made.token_key not in client.get(TOKENS).content.decode()
    for key in (made.token_key, made.digest):
        client.post(TOKENS, {ACTION_CHECKBOX_NAME: [key], "action": "revoke"})
    assert ApiToken.objects.exists()


def test_a_message_that_was_given_up_is_sent_again(staff):
    client = staff("Operator")
    given_up, sent = (
        OutboxMessage.objects.create(
            dedupe_key=key, kind="webhook", tries=5, payload={"url": "https://a.example/?secret=1"}
        )
        for key in ("one", "two")
    )
    now = timezone.now()
    OutboxMessage.objects.filter(pk=given_up.pk).update(given_up_at=now, error="a.example is away")
    OutboxMessage.objects.filter(pk=sent.pk).update(sent_at=now)
    page = client.get(MESSAGES).content.decode()
    assert "a.example is away" in page
    assert "secret" not in page
    chosen = {"action": "send_again", ACTION_CHECKBOX_NAME: [given_up.pk, sent.pk]}
    answer = client.post(MESSAGES, chosen, follow=True)
    assert said(answer) == "1 will be sent. 1 had been sent already and are not sent again."
    given_up.refresh_from_db()
    assert (given_up.given_up_at, given_up.tries) == (None, 0)
    one = client.get(f"{MESSAGES}{given_up.pk}/change/")
    assert one.status_code == 200
    assert "secret" not in one.content.decode()


def test_messages_are_for_operators(staff):
    assert staff("Data manager").get(MESSAGES).status_code == 403


def test_all_of_a_profile_are_stopped_after_a_confirmation(staff, profile, execution):  # noqa: F811
    lead = staff("Lead")
    waiting = execution(None, Status.QUEUED, profile=profile)
    form = {"action": "stop_all", ACTION_CHECKBOX_NAME: [profile.pk]}
    page = lead.post(PROFILES, form).content.decode()
    assert "Import things: 1 would stop" in page
    assert "Stops at once." in page
    waiting.refresh_from_db()
    assert waiting.status == Status.QUEUED
    answer = lead.post(PROFILES, form | {"confirmed": "1"}, follow=True)
    assert "1 of “Import things” asked to stop." in answer.content.decode()
    waiting.refresh_from_db()
    assert waiting.status == Status.STOPPED
    assert waiting.history.last().reason == "Asked for in the admin."


def test_who_may_stop_nothing_has_no_such_action(staff, profile, execution):  # noqa: F811
    running = execution(None, Status.RUNNING, profile=profile)
    viewer = staff("Viewer")
    assert "stop_all" not in viewer.get(PROFILES).content.decode()
    form = {"action": "stop_all", ACTION_CHECKBOX_NAME: [profile.pk], "confirmed": "1"}
    viewer.post(PROFILES, form)
    running.refresh_from_db()
    assert running.status == Status.RUNNING
