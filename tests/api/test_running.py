"""What runs now as a tree, and stopping many at once."""

import pytest
from django.utils import timezone

from jobs.models import StepExecution
from jobs.states import Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db


@pytest.fixture
def at_work(lead, execution, profile):
    """Two executions of one job at a step, on two workers; one that waits for its children."""
    made = [
        execution(lead, Status.RUNNING, profile=profile, worker=f"w{number}@n", pid=number)
        for number in (1, 2)
    ]
    for one in made:
        StepExecution.objects.create(
            execution=one, order=0, name="rows", label="Rows", status="running", total=10, created=4
        )
        StepExecution.objects.create(execution=one, order=1, name="count", label="Count")
    made.append(execution(lead, Status.JOINING, job="other.job", started_at=timezone.now()))
    execution(lead, Status.QUEUED)
    return made


def test_by_job(lead_api, at_work):
    found = lead_api.get("running/").json()
    assert (found["view"], found["executions"]) == ("job", [])
    other, things = found["groups"]
    assert (other["id"], other["label"], len(other["executions"])) == ("other.job", "other.job", 1)
    assert things["label"] == "Import things"
    assert things["stop"] == {"kind": "job", "id": "things.import_things", "step": ""}
    (step,) = things["steps"]
    assert (step["label"], step["count"]) == ("Rows", 2)
    assert step["stop"] == {"kind": "step", "id": "things.import_things", "step": "rows"}
    first = things["executions"][0]
    assert (first["id"], first["worker"], first["pid"]) == (str(at_work[0].pk), "w1@n", 1)
    assert first["steps"][0]["percent"] == 40
    assert first["steps"][0]["stop"]["step"] == "rows"
    assert first["may_stop"]


def test_by_worker_and_as_a_list(lead_api, at_work):
    groups = lead_api.get("running/?view=worker").json()["groups"]
    assert [group["id"] for group in groups] == ["w1@n", "w2@n"]
    listed = lead_api.get("running/?view=execution").json()
    assert [one["id"] for one in listed["executions"]] == [str(one.pk) for one in at_work]
    assert listed["groups"] == []


def test_every_node_can_be_stopped_by_its_own_word(lead_api, at_work):
    found = lead_api.get("running/").json()["groups"][1]
    body = found["executions"][0]["steps"][0]["stop"]
    answer = lead_api.send("running/stop/", body).json()
    assert answer["asked"] == 1
    assert answer["results"][0]["status"] == "stopping"
    assert lead_api.send("running/stop/", found["stop"]).json()["asked"] == 3  # what waits too


def test_one_sees_what_one_may_see(api, at_work):
    assert api.get("running/").json()["groups"] == []


def test_one_tree_is_few_queries(lead_api, at_work, django_assert_max_num_queries):
    with django_assert_max_num_queries(7):
        lead_api.get("running/")


def test_a_preview_stops_nothing(lead_api, at_work):
    found = lead_api.get("running/stop/?kind=profile&id=things").json()
    assert (found["to_stop"], found["left_out"], found["more"]) == (2, 0, False)
    assert found["items"][0]["text"] == "Stops at its next checkpoint."
    at_work[0].refresh_from_db()
    assert at_work[0].status == Status.RUNNING


def test_what_is_left_out_says_why(person, at_work):
    viewer = Api(person("viewer", "Viewer"))
    found = viewer.send("running/stop/", {"kind": "worker", "id": "w1@n"}).json()
    assert (found["asked"], found["left_out"]) == (0, 1)
    assert "does not allow you" in found["results"][0]["text"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"id": "x"}, "/kind"),
        ({"kind": "everything", "id": "x"}, "/kind"),
        ({"kind": "job"}, "/id"),
        ({"kind": "step", "id": "things.import_things"}, "/step"),
        ({"kind": "profile", "id": "things", "step": "rows"}, "/step"),
        ({"kind": "job", "id": "x", "level": "gently"}, "/level"),
        ({"kind": "job", "id": "x", "all": True}, "/all"),
    ],
)
def test_a_wrong_scope_stops_nothing(lead_api, at_work, body, pointer):
    found = lead_api.problem(lead_api.send("running/stop/", body), 422, "invalid")
    assert found["errors"][0]["pointer"] == pointer


def test_the_standard_cases(api, person, at_work):
    nobody = Api(person("nobody", None))
    for path in ("running/", "running/stop/?kind=job&id=x"):
        assert nobody.get(path).status_code in {403, 404}
        assert Api().get(path).status_code == 401
    api.problem(api.get("running/?view=tree"), 400, "bad-query")
    api.problem(api.get("running/stop/?kind=nothing&id=x"), 400, "bad-query")
    said = api.problem(
        api.send("running/stop/", {"kind": "job", "id": "no.such"}), 404, "not-found"
    )
    assert said["detail"] == "There is no job 'no.such'."


def test_one_step_of_an_execution(lead_api, at_work):
    made = at_work[0]
    path = f"executions/{made.pk}/stop/"
    scopes = lead_api.get(path).json()["scopes"]
    assert [(one["scope"], one["step"], one["allowed"]) for one in scopes] == [
        ("execution", "", True),
        ("step", "rows", True),
    ]
    made.steps.filter(name="rows").update(optional=True)
    answer = lead_api.send(path, {"scope": "step", "step": "rows", "reason": "Slow"})
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    made.refresh_from_db()
    assert made.stop_step == 0
    refused = lead_api.send(path, {"scope": "step", "step": "count"})
    assert "the step is pending" in lead_api.problem(refused, 409, "refused")["detail"]
    assert lead_api.send(path, {"scope": "children"}).json()["status"] == "stopping"
