"""Stop, abort, pause, resume and activate: every status code that they document."""

import pytest

from jobs.models import JobProfile, StatusChange, StepExecution
from jobs.states import Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", [Status.QUEUED, Status.DEFERRED, Status.PAUSED])
def test_what_waits_is_stopped_at_once(api, bob, execution, status):
    made = execution(bob, status)
    answer = api.send(f"executions/{made.pk}/stop/", {"reason": "Wrong file"})
    assert answer.status_code == 200
    found = answer.json()
    assert found["status"] == "stopped"
    assert found["outcome"] == "stopped"
    assert found["stop"]["requested_by"] == "bob"
    assert found["stop"]["status"] == "stopped"
    assert StatusChange.objects.get(event="stop").reason == "Wrong file"


def test_what_runs_is_asked_and_the_same_request_again_is_no_other(api, bob, execution):
    made = execution(bob, Status.RUNNING)
    first = api.send(f"executions/{made.pk}/stop/", {})
    assert first.status_code == 202
    assert first.json()["status"] == "stopping"
    assert first.json()["stop"]["level"] == "graceful"
    again = api.send(f"executions/{made.pk}/stop/")
    assert again.status_code == 200
    assert again.json()["stop"] == first.json()["stop"]
    assert StatusChange.objects.filter(event="stop").count() == 1


@pytest.mark.parametrize("status", [Status.STOPPED, Status.ABORTED])
def test_what_has_been_stopped_answers_with_the_receipt(api, bob, execution, status):
    waiting = execution(bob, Status.QUEUED)
    receipt = api.send(f"executions/{waiting.pk}/stop/", {}).json()["stop"]
    answer = api.send(f"executions/{waiting.pk}/stop/", {})
    assert answer.status_code == 200
    assert answer.json()["stop"] == receipt
    assert api.send(f"executions/{execution(bob, status).pk}/stop/", {}).status_code == 200


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (Status.COMPLETED, "warned"),
        (Status.FAILED, "failed"),
        (Status.LOST, "lost"),
        (Status.TIMED_OUT, "timed_out"),
        (Status.EXPIRED, "expired"),
    ],
)
def test_what_has_ended_otherwise_says_how(lead_api, lead, execution, status, outcome):
    made = execution(lead, status, warnings_count=1)
    for verb in ("stop", "abort"):
        answer = lead_api.send(f"executions/{made.pk}/{verb}/", {})
        found = lead_api.problem(answer, 409, "already-finished")
        assert found["outcome"] == outcome
        assert found["execution_status"] == status


def test_force_needs_a_right_of_its_own(api, bob, execution):
    made = execution(bob, Status.RUNNING)
    for path, body in (
        ("abort", {}),
        ("stop", {"level": "interrupt"}),
        ("stop", {"level": "kill"}),
        ("stop", {"grace_seconds": 0}),
    ):
        found = api.problem(api.send(f"executions/{made.pk}/{path}/", body), 403, "denied")
        assert found["needs"] == "jobs.abort_execution"
    made.refresh_from_db()
    assert made.status == Status.RUNNING


def test_a_level_only_rises(lead_api, lead, execution):
    made = execution(lead, Status.RUNNING)
    path = f"executions/{made.pk}/stop/"
    assert lead_api.send(path, {"level": "interrupt"}).json()["stop"]["level"] == "interrupt"
    assert lead_api.send(path, {"level": "graceful"}).json()["stop"]["level"] == "interrupt"
    answer = lead_api.send(f"executions/{made.pk}/abort/", {"reason": "It hangs"})
    assert answer.status_code == 200
    assert answer.json()["stop"]["level"] == "kill"


def test_what_waits_is_aborted_at_once(lead_api, lead, execution):
    made = execution(lead, Status.PAUSED)
    answer = lead_api.send(f"executions/{made.pk}/abort/", {})
    assert (answer.status_code, answer.json()["status"]) == (200, "aborted")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"level": "gently"}, "/level"),
        ({"grace_seconds": -1}, "/grace_seconds"),
        ({"grace_seconds": "x"}, "/grace_seconds"),
        ({"reason": "x" * 1001}, "/reason"),
        ({"scope": "everything"}, "/scope"),
        ({"scope": "step"}, "/step"),
        ({"step": "rows"}, "/step"),
    ],
)
def test_a_wrong_request_stops_nothing(api, bob, execution, body, pointer):
    made = execution(bob, Status.RUNNING)
    answer = api.send(f"executions/{made.pk}/stop/", body)
    found = api.problem(answer, 422, "invalid")
    assert found["errors"][0]["pointer"] == pointer
    made.refresh_from_db()
    assert made.status == Status.RUNNING


def test_a_preview_changes_nothing(api, bob, execution):
    made = execution(bob, Status.RUNNING)
    step = {"execution": made, "name": "rows", "label": "Rows", "status": "running", "order": 1}
    StepExecution.objects.create(**step, total=1000, created=412, cursor={"row": 412})
    found = api.get(f"executions/{made.pk}/stop/").json()
    assert found["allowed"] is True
    assert found["leads_to"] == "stopping"
    assert (found["processed"], found["total"], found["resumable"]) == (412, 1000, True)
    assert "412 items are done and stay" in found["text"]
    assert [level["allowed"] for level in found["levels"]] == [True, False, False]
    made.refresh_from_db()
    assert made.status == Status.RUNNING


def test_a_preview_of_what_is_stopping_offers_force(lead_api, lead, execution, profile):
    JobProfile.objects.update(stop_grace_seconds=7)
    made = execution(lead, Status.STOPPING, profile=profile)
    found = lead_api.get(f"executions/{made.pk}/stop/").json()
    assert found["allowed"] is False
    assert [level["allowed"] for level in found["levels"]] == [False, True, True]
    assert found["grace_seconds"] == 7


def test_a_preview_of_what_has_ended_offers_nothing(lead_api, lead, execution):
    made = execution(lead, Status.COMPLETED)
    found = lead_api.get(f"executions/{made.pk}/stop/").json()
    assert found["leads_to"] is None
    assert not any(level["allowed"] for level in found["levels"])


def test_pause_and_resume(api, bob, execution):
    waiting, running = execution(bob, Status.QUEUED), execution(bob, Status.RUNNING)
    for made, paused, resumed in (
        (waiting, "paused", "queued"),
        (running, "pausing", "running"),
    ):
        path = f"executions/{made.pk}"
        answer = api.send(f"{path}/pause/", {"reason": "Lunch"})
        assert (answer.status_code, answer.json()["status"]) == (200, paused)
        answer = api.send(f"{path}/resume/", {})
        assert (answer.status_code, answer.json()["status"]) == (200, resumed)


def test_activate(api, bob, execution):
    made = execution(bob, Status.DEFERRED)
    answer = api.send(f"executions/{made.pk}/activate/")
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")


@pytest.mark.parametrize("verb", ["pause", "resume", "activate"])
def test_what_the_table_does_not_have_is_refused(api, bob, execution, verb):
    made = execution(bob, Status.COMPLETED)
    found = api.problem(api.send(f"executions/{made.pk}/{verb}/", {}), 409, "not-allowed")
    assert found["execution_status"] == "completed"
    assert "completed" in found["detail"]


@pytest.mark.parametrize("verb", ["stop", "abort", "pause", "resume", "activate"])
def test_the_standard_cases(api, person, execution, verb):
    hers = execution(person("ann"), Status.RUNNING)
    path = f"executions/{hers.pk}/{verb}/"
    api.problem(api.send(path, {}), 404, "not-found")
    viewer = Api(person("viewer", "Viewer"))
    assert viewer.problem(viewer.send(path, {}), 403, "denied")["needs"]
    api.problem(api.send(path, {}, method="put"), 405, "method-not-allowed")
    viewer.problem(viewer.send(path, {"unknown": 1}), 422, "invalid")
    Api().problem(Api().send(path, {}), 401, "unauthorized")
    if verb != "stop":
        api.problem(api.get(path), 405, "method-not-allowed")
