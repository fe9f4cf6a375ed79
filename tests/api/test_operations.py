"""Workers, queues and maintenance over REST."""

import pytest

from jobs.models import Maintenance, PausedQueue, Worker
from jobs.states import Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db

ROUTES = (
    ("get", "workers/"), ("post", "workers/w1@n1/drain/"), ("post", "workers/w1@n1/resume/"),
    ("get", "queues/"), ("post", "queues/default/pause/"), ("post", "queues/default/resume/"),
    ("delete", "maintenance/"),
)  # fmt: skip


@pytest.fixture
def operator_api(person):
    return Api(person("otto", "Operator"))


@pytest.fixture
def worker(db):
    return Worker.objects.create(
        name="w1@n1", kind="worker", node="n1", pid=7, queues=["default"], slots=2
    )


def test_a_worker_is_drained_and_resumed(operator_api, worker, execution):
    execution(None, Status.RUNNING, worker="w1@n1")
    (found,) = operator_api.get("workers/").json()
    assert (found["name"], found["state"], found["busy"]) == ("w1@n1", "working", 1)
    found = operator_api.send("workers/w1@n1/drain/", {}).json()
    assert (found["state"], found["text"]) == ("draining", "Draining: 1 job left")
    found = operator_api.send("workers/w1@n1/resume/").json()
    assert (found["state"], found["drain_requested_at"]) == ("working", None)


def test_a_queue_is_paused_and_resumed(operator_api, execution):
    execution(None, Status.QUEUED)
    found = operator_api.send("queues/default/pause/", {"reason": "Disk full"}).json()
    assert (found["depth"], found["paused"]["by"], found["paused"]["reason"]) == (
        1, "otto", "Disk full",
    )  # fmt: skip
    listed = {queue["name"]: queue for queue in operator_api.get("queues/").json()}
    assert listed["default"]["paused"]["reason"] == "Disk full"
    assert operator_api.send("queues/default/resume/").json()["paused"] is None
    operator_api.problem(operator_api.send("queues/default/resume/"), 409, "refused")


def test_a_wrong_name_is_not_there(operator_api):
    for path in ("workers/w9/drain/", "workers/w9/resume/", "queues/nothing/pause/"):
        operator_api.problem(operator_api.send(path, {}), 404, "not-found")
    assert not PausedQueue.objects.exists()


def test_maintenance_is_seen_by_all_and_kept_by_operators(operator_api, api):
    assert api.get("maintenance/").json()["active"] is False
    body = {"reason": "Moving disks", "refuses_launches": True}
    found = operator_api.send("maintenance/", body, method="put").json()
    assert (found["active"], found["reason"], found["by"]) == (True, "Moving disks", "otto")
    assert api.get("maintenance/").json() == found
    assert operator_api.delete("maintenance/").status_code == 204
    operator_api.problem(operator_api.delete("maintenance/"), 409, "refused")


def test_a_launch_during_maintenance_is_asked_to_come_back(operator_api, api, profile):
    operator_api.send("maintenance/", {"reason": "Disks", "refuses_launches": True}, method="put")
    answer = api.send("profiles/things/executions/", {})
    found = api.problem(answer, 503, "maintenance")
    assert found["detail"] == "Nothing can be launched during maintenance: Disks. Try later."
    assert answer.headers["Retry-After"] == "60"
    operator_api.send("maintenance/", {"reason": "Disks"}, method="put")
    assert api.send("profiles/things/executions/", {}).status_code == 201


@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"reason": "x", "until": "later"}])
def test_maintenance_says_why(operator_api, body):
    operator_api.problem(operator_api.send("maintenance/", body, method="put"), 422, "invalid")
    assert not Maintenance.objects.exists()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_rest_is_for_operators(lead_api, worker, method, path):
    answer = lead_api.get(path) if method == "get" else lead_api.send(path, method=method)
    assert lead_api.problem(answer, 403, "denied")["needs"] == "jobs.operate_queues"
    stranger = Api()
    answer = stranger.get(path) if method == "get" else stranger.send(path, method=method)
    assert answer.status_code == 401


def test_only_operators_begin_maintenance(lead_api):
    answer = lead_api.send("maintenance/", {"reason": "x"}, method="put")
    lead_api.problem(answer, 403, "denied")
