"""The permission matrix over HTTP: every role, own and other people's executions, every route."""

import itertools

import pytest
from django.core.files.base import ContentFile

from jobs.models import ConsoleText, ExecutionFile, StepExecution, StepWarning
from jobs.states import Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db

SEES_ALL = ("Viewer", "Lead", "Operator", "Auditor", "Administrator")
SEES_OWN = ("User", "Data manager")
READ = ("", "steps/", "warnings/", "files/", "log/", "timeline/", "children/", "stop/",
        "wait/?timeout=0")  # fmt: skip

# Status codes for one's own and for other people's executions.
EXPECTED: dict[str, dict[str, tuple[int, int]]] = {
    "Viewer": {"download": (403, 403), "debug": (403, 403), "stop": (403, 403),
               "abort": (403, 403), "delete": (403, 403)},
    "User": {"download": (200, 404), "debug": (403, 404), "stop": (202, 404),
             "abort": (403, 404), "delete": (204, 404)},
    "Data manager": {"download": (200, 404), "debug": (403, 404), "stop": (202, 404),
                     "abort": (403, 404), "delete": (204, 404)},
    "Lead": {"download": (200, 200), "debug": (403, 403), "stop": (202, 202),
             "abort": (202, 202), "delete": (204, 204)},
    "Operator": {"download": (403, 403), "debug": (200, 200), "stop": (202, 202),
                 "abort": (202, 202), "delete": (204, 204)},
    "Auditor": {"download": (403, 403), "debug": (403, 403), "stop": (403, 403),
                "abort": (403, 403), "delete": (403, 403)},
    "Administrator": {"download": (200, 200), "debug": (200, 200), "stop": (202, 202),
                      "abort": (202, 202), "delete": (204, 204)},
    "nobody": {"download": (404, 404), "debug": (404, 404), "stop": (404, 404),
               "abort": (404, 404), "delete": (404, 404)},
}  # fmt: skip


@pytest.fixture(params=EXPECTED)
def role(request) -> str:
    return request.param


@pytest.fixture
def me(person, role):
    return person("me", None if role == "nobody" else role)


@pytest.fixture
def made(me, person, execution):
    """One's own execution and somebody else's, both running, with everything in them."""
    found = [execution(owner, Status.RUNNING) for owner in (me, person("other"))]
    for one in found:
        step = StepExecution.objects.create(execution=one, order=1, name="rows", label="Rows")
        StepWarning.objects.create(execution=one, step=step, row=1, code="x", message="X.")
        ConsoleText.objects.create(execution=one, offset=0, text=b"said")
        file = ExecutionFile(execution=one, role="output", name="a.csv", size=0, sha256="00" * 32)
        file.file.save("a.csv", ContentFile(b""))
    return found


def test_what_a_role_reads(role, me, made):
    api = Api(me)
    for one, path in itertools.product(made, READ):
        visible = role in SEES_ALL or (role in SEES_OWN and one.user == me)
        answer = api.get(f"executions/{one.pk}/{path}")
        assert answer.status_code == (200 if visible else 404), (one.user, path)


def test_what_a_role_lists(role, me, made):
    answer = Api(me).get("executions/")
    if role == "nobody":
        assert answer.status_code == 403
        return
    expected = {str(one.pk) for one in made if role in SEES_ALL or one.user == me}
    assert {one["id"] for one in answer.json()["results"]} == expected


def test_what_a_role_does(role, me, made, execution):
    api = Api(me)
    for owned, one in enumerate(made):
        path = f"executions/{one.pk}/"
        ended = execution(one.user, Status.COMPLETED)
        aborting = execution(one.user, Status.RUNNING)
        download = api.get(f"{path}files/a.csv/")
        if download.streaming:
            list(download.streaming_content)
        answers = {
            "download": download,
            "debug": api.get(f"{path}log/?stream=debug"),
            "stop": api.send(f"{path}stop/", {}),
            "abort": api.send(f"executions/{aborting.pk}/abort/", {}),
            "delete": api.delete(f"executions/{ended.pk}/"),
        }
        for action, answer in answers.items():
            assert answer.status_code == EXPECTED[role][action][owned], (one.user, action)
            if answer.status_code == 403:
                assert answer.json()["needs"], action
            if answer.status_code == 404:
                assert str(one.pk) not in answer.json().get("needs", "")


def test_what_is_offered_is_what_is_allowed(role, me, made):
    """`actions` of an answer promise exactly what the routes do."""
    api = Api(me)
    for owned, one in enumerate(made):
        answer = api.get(f"executions/{one.pk}/")
        if answer.status_code == 404:
            continue
        actions = answer.json()["actions"]
        for action in ("stop", "abort"):
            assert actions[action]["allowed"] == (EXPECTED[role][action][owned] == 202)
            assert bool(actions[action]["reason"]) != actions[action]["allowed"]
