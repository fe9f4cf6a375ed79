"""The page of workers and queues, and what operators do there."""

import pytest
from django.test import Client
from django.utils import timezone

from jobs.models import Maintenance, PausedQueue, Worker
from jobs.states import Status
from tests.site.support import flashes, news, since

PAGE = "/workers/"


@pytest.fixture
def operators(browser, person) -> Client:
    return browser(person("otto", "Operator"))


def test_it_shows_who_works_on_what(operators, bob, worker, execution):
    execution(bob, Status.RUNNING, worker="w1")
    execution(
        bob, Status.QUEUED, queue="io", queued_at=timezone.now() - timezone.timedelta(hours=2)
    )
    page = operators.get(PAGE).content.decode()
    assert "Working" in page
    assert "1 of 4" in page
    assert "No worker is on it." in page
    assert "2 h 00 min" in page
    assert "No controller reports itself" in page


def test_it_is_for_operators_and_only_they_find_it_in_the_menu(operators, leads, bobs, worker):
    assert 'href="/workers/"' in operators.get("/").content.decode()
    for client in (leads, bobs):
        assert client.get(PAGE).status_code == 403
        assert 'href="/workers/"' not in client.get("/").content.decode()
    assert Client().get(PAGE).status_code == 302


def test_it_is_few_queries(operators, bob, worker, execution, django_assert_max_num_queries):
    for number in range(5):
        execution(bob, Status.RUNNING, worker="w1", queue=f"q{number}")
        PausedQueue.objects.create(name=f"p{number}", by=bob)
        Worker.objects.create(name=f"v{number}", kind="worker", node="n", pid=1, slots=1)
    with django_assert_max_num_queries(8):
        operators.get(PAGE)


def test_it_asks_for_news_and_gets_none_when_there_are_none(operators, worker):
    address = since(operators.get(PAGE).content.decode())
    assert news(operators, PAGE, address).status_code == 204
    Worker.objects.update(drain_requested_at=timezone.now())
    answer = news(operators, PAGE, address)
    assert answer.status_code == 200
    assert "Draining" in answer.content.decode()


def test_a_worker_is_drained_and_resumed(operators, worker):
    answer = operators.post("/workers/w1/drain/", follow=True)
    assert flashes(answer) == ["w1 drains: it hands over its jobs at their next checkpoints."]
    worker.refresh_from_db()
    assert worker.drain_requested_at
    assert flashes(operators.post("/workers/w1/resume/", follow=True)) == ["w1 takes jobs again."]
    worker.refresh_from_db()
    assert worker.drain_requested_at is None
    assert operators.post("/workers/w9/drain/").status_code == 404


def test_a_queue_is_paused_with_a_reason_and_resumed(operators, worker):
    dialog = operators.get("/queues/default/pause/", headers={"HX-Request": "true"})
    assert dialog.content.decode().strip().startswith("<form")
    assert not PausedQueue.objects.exists()
    answer = operators.post("/queues/default/pause/", {"reason": "Disk full"}, follow=True)
    assert "By otto: Disk full" in answer.content.decode()
    assert operators.post("/queues/nothing/pause/").status_code == 404
    answer = operators.post("/queues/default/resume/", follow=True)
    assert flashes(answer) == ["The queue “default” is resumed."]
    assert not PausedQueue.objects.exists()
    answer = operators.post("/queues/default/resume/", follow=True)
    assert flashes(answer) == ["The queue “default” is not paused."]


def test_maintenance_is_said_on_every_page(operators, bobs, worker):
    form = {"reason": "Moving disks.", "refuses_launches": "on"}
    assert operators.get("/maintenance/").status_code == 200
    operators.post("/maintenance/", form)
    for client, address in (
        (bobs, "/"), (bobs, "/executions/"), (operators, PAGE), (Client(), "/login/"),
        (bobs, "/nothing/"),
    ):  # fmt: skip
        page = client.get(address).content.decode()
        assert "Maintenance since" in page, address
        assert "Moving disks." in page
        assert "launches are refused" in page
    assert 'id="end-maintenance"' in operators.get(PAGE).content.decode()
    operators.post("/maintenance/end/")
    assert not Maintenance.objects.exists()
    assert "Maintenance since" not in bobs.get("/").content.decode()


def test_maintenance_needs_a_reason(operators):
    answer = operators.post("/maintenance/", {"reason": " "}, follow=True)
    assert "needs a reason" in flashes(answer)[0]
    assert not Maintenance.objects.exists()


def test_a_launch_that_is_refused_says_so(bobs, bob, profile):
    Maintenance.objects.create(reason="Moving disks", refuses_launches=True)
    answer = bobs.post("/profiles/things/", {"mode": "merge"}, follow=True)
    assert flashes(answer) == [
        "Nothing can be launched during maintenance: Moving disks. Try later."
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/workers/w1/drain/",
        "/workers/w1/resume/",
        "/queues/default/pause/",
        "/queues/default/resume/",
        "/maintenance/",
        "/maintenance/end/",
    ],
)
def test_the_standard_cases(leads, worker, path):
    assert leads.post(path, {"reason": "x"}).status_code == 403
    assert Client().post(path).status_code == 302
    assert not PausedQueue.objects.exists()
    assert not Maintenance.objects.exists()


@pytest.mark.parametrize("path", ["/workers/w1/drain/", "/queues/default/resume/"])
def test_nothing_changes_by_looking(operators, worker, path):
    assert operators.get(path).status_code == 405
