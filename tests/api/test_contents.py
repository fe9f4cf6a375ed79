"""Steps, warnings, history and children of an execution."""

import pytest

from jobs.models import Attempt, JobProfile, StatusChange, StepExecution, StepWarning
from jobs.states import Event, Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db

PARTS = ("steps", "warnings", "warnings/groups", "timeline", "children", "files", "log")


@pytest.fixture
def warned(bob, execution, profile):
    made = execution(bob, Status.COMPLETED, profile=profile, warnings_count=60)
    step = StepExecution.objects.create(
        execution=made, order=1, name="rows", label="Rows", status="completed", warnings_count=60
    )
    StepWarning.objects.bulk_create(
        StepWarning(
            execution=made,
            step=step,
            row=number,
            key=f"sku-{number}",
            column=("price", "name")[number % 2],
            value="x",
            code=("number", "required")[number % 2],
            message="It is not a number.",
        )
        for number in range(60)
    )
    return made


@pytest.mark.parametrize("part", PARTS)
def test_the_standard_cases(api, person, execution, part):
    hers = execution(person("ann"), Status.COMPLETED)
    path = f"executions/{hers.pk}/{part}/"
    api.problem(api.get(path), 404, "not-found")
    api.problem(api.send(path, {}), 405, "method-not-allowed")
    viewer = Api(person("viewer", "Viewer"))
    assert viewer.get(path).status_code == 200
    viewer.problem(viewer.get(f"{path}?unknown=1"), 400, "bad-query")
    Api().problem(Api().get(path), 401, "unauthorized")


def test_steps_say_what_became_of_their_items(api, warned):
    StepExecution.objects.update(created=1, updated=2, unchanged=3, failed=60, total=66)
    (step,) = api.get(f"executions/{warned.pk}/steps/").json()
    assert step["counters"] == {
        "created": 1,
        "updated": 2,
        "unchanged": 3,
        "deleted": 0,
        "done": 0,
        "skipped": 0,
        "failed": 60,
        "processed": 66,
        "warnings": 60,
    }
    assert step["percent"] == 100


def test_warnings_are_paged_in_the_order_they_were_met(api, warned):
    url, rows = f"executions/{warned.pk}/warnings/", []
    while url:
        found = api.get(url).json()
        rows += [one["row"] for one in found["results"]]
        url = found["next"]
    assert rows == list(range(60))


def test_warnings_are_filtered(api, warned):
    found = api.get(f"executions/{warned.pk}/warnings/?code=number&page_size=50").json()
    assert {one["column"] for one in found["results"]} == {"price"}
    assert len(found["results"]) == 30
    found = api.get(f"executions/{warned.pk}/warnings/?column=name&code=number").json()
    assert found["results"] == []
    first = api.get(f"executions/{warned.pk}/warnings/").json()["results"][0]
    assert first.pop("id")
    assert first == {
        "step": "rows",
        "row": 0,
        "key": "sku-0",
        "column": "price",
        "value": "x",
        "code": "number",
        "message": "It is not a number.",
        "outcome": "failed",
    }


def test_warnings_are_grouped_by_what_they_say(api, warned):
    StepWarning.objects.filter(code="number", row__lt=10).update(message="'x' is too long.")
    answer = api.get(f"executions/{warned.pk}/warnings/groups/").json()
    assert (answer["total"], answer["counted"]) == (60, 60)
    number, required = sorted(answer["groups"], key=lambda group: group["code"])
    assert (required["count"], required["kinds"], required["outcome"]) == (30, 1, "failed")
    assert [(said["message"], said["count"], said["row"]) for said in number["sentences"]] == [
        ("It is not a number.", 25, 10),
        ("'x' is too long.", 5, 0),
    ]
    like = number["sentences"][1]["like"]
    alike = api.get(f"executions/{warned.pk}/warnings/?like={like}").json()["results"]
    assert [found["row"] for found in alike] == [0, 2, 4, 6, 8]
    said = api.problem(api.get(f"executions/{warned.pk}/warnings/?like=x"), 400, "bad-query")
    assert "it is the id of a warning" in str(said)


@pytest.mark.parametrize("part", ["warnings", "warnings/groups", "files", "log"])
def test_contents_of_sensitive_profiles_are_their_owners(lead_api, api, warned, part):
    JobProfile.objects.update(sensitive=True)
    path = f"executions/{warned.pk}/{part}/"
    assert api.get(path).status_code == 200
    found = lead_api.problem(lead_api.get(path), 403, "denied")
    assert "sensitive" in found["detail"]
    assert lead_api.get(f"executions/{warned.pk}/").status_code == 200


def test_the_history_tells_who_did_what_when(api, bob, execution):
    made = execution(bob, Status.QUEUED)
    StatusChange.objects.create(execution=made, event=StatusChange.LAUNCH, after="queued", by=bob)
    made.transition(Event.PAUSE, by=bob, why="Lunch")
    Attempt.objects.create(execution=made, number=1, worker="w@web-2", node="web-2")
    found = api.get(f"executions/{made.pk}/timeline/").json()
    assert [one["event"] for one in found["changes"]] == ["launch", "pause"]
    assert found["changes"][1]["by"] == "bob"
    assert found["changes"][1]["reason"] == "Lunch"
    assert (found["changes"][1]["before"], found["changes"][1]["after"]) == ("queued", "paused")
    assert found["attempts"][0]["worker"] == "w@web-2"
    assert found["attempts"][0]["ended_at"] is None


def test_children_are_listed_and_filtered(api, bob, execution):
    parent = execution(bob, Status.JOINING)
    children = [execution(bob, parent=parent), execution(bob, Status.COMPLETED, parent=parent)]
    execution(bob)
    found = api.get(f"executions/{parent.pk}/children/").json()["results"]
    assert {one["id"] for one in found} == {str(child.pk) for child in children}
    found = api.get(f"executions/{parent.pk}/children/?status=completed").json()["results"]
    assert [one["id"] for one in found] == [str(children[1].pk)]
    assert api.get(f"executions/{parent.pk}/").json()["children_count"] == 2
    found = api.get(f"executions/?parent={parent.pk}").json()["results"]
    assert len(found) == 2
