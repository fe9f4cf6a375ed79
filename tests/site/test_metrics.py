"""What monitoring asks: metrics in the text format of Prometheus, and health."""

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from jobs.invariants import INVARIANTS, look_and_keep
from jobs.models import JobExecution, OutboxMessage, Worker
from jobs.states import Status

pytestmark = pytest.mark.django_db
TOKEN = "a-token-for-the-scraper"


@pytest.fixture
def _token(settings):
    settings.METRICS_TOKEN = TOKEN


def ask(token: str = TOKEN):
    return Client().get("/metrics", headers={"Authorization": f"Bearer {token}"})


def measured() -> dict[str, dict[str, float]]:
    """Values by metric and label."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(ask().content.decode()):
        for sample in family.samples:
            label = next(iter(sample.labels.values()), "")
            found.setdefault(sample.name.removeprefix("millrace_"), {})[label] = sample.value
    return found


def test_without_a_token_in_the_settings_there_is_nothing(settings):
    settings.METRICS_TOKEN = ""
    assert ask("").status_code == 404
    assert ask(TOKEN).status_code == 404


@pytest.mark.usefixtures("_token")
def test_strangers_get_nothing(leads):
    answers = [ask("wrong"), ask(""), ask("ä"), Client().get("/metrics"), leads.get("/metrics")]
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert b"millrace_" not in answer.content


@pytest.mark.usefixtures("_token")
def test_it_is_asked_from_inside_without_tls(settings):
    settings.SECURE_SSL_REDIRECT = True
    assert ask().status_code == 200
    assert Client().get("/").status_code == 301


@pytest.mark.usefixtures("_token")
def test_it_only_reads():
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert Client().post("/metrics", headers=headers).status_code == 405
    assert ask().headers["Content-Type"].startswith("text/plain")
    assert "no-store" in ask().headers["Cache-Control"]


@pytest.mark.usefixtures("_token", "worker")
def test_the_numbers_are_those_of_the_rows(execution):
    for _ in range(3):
        execution(queued_at=timezone.now() - timezone.timedelta(seconds=90))
    execution(queue="io", queued_at=timezone.now())
    execution(status=Status.RUNNING)
    execution(status=Status.COMPLETED)
    Worker.objects.create(name="c", kind="controller", node="n", pid=1)
    Worker.objects.create(
        name="old", kind="worker", node="n", pid=1, slots=9,
        seen_at=timezone.now() - timezone.timedelta(minutes=1),
    )  # fmt: skip
    OutboxMessage.objects.create(dedupe_key="a", kind="mail", payload={})
    OutboxMessage.objects.create(dedupe_key="b", kind="mail", payload={}, sent_at=timezone.now())

    numbers = measured()
    assert numbers["executions"] == {
        "deferred": 0, "joining": 0, "paused": 0, "pausing": 0, "queued": 4, "running": 1,
        "stopping": 0,
    }  # fmt: skip
    assert numbers["queued"] == {"default": 3, "io": 1}
    assert 89 < numbers["queue_oldest_seconds"]["default"] < 120
    assert numbers["queue_oldest_seconds"]["io"] < 30
    assert numbers["events_last_minute"] == {"launch": 6}
    assert (numbers["workers"][""], numbers["worker_slots"][""]) == (1, 4)
    assert numbers["controllers"][""] == 1
    assert abs(numbers["controller_seen_timestamp_seconds"][""] - timezone.now().timestamp()) < 30
    assert numbers["outbox_due"][""] == 1
    assert "invariant_violations" not in numbers, "Nobody has looked yet."


@pytest.mark.usefixtures("_token")
def test_it_tells_what_violates_the_invariants(execution):
    waits = execution(expires_at=timezone.now() - timezone.timedelta(hours=1))
    look_and_keep()
    violations = measured()["invariant_violations"]
    assert set(violations) == set(INVARIANTS)
    assert violations["not_expired"] == 1
    JobExecution.objects.filter(pk=waits.pk).update(expires_at=None)
    look_and_keep()
    assert not any(measured()["invariant_violations"].values())


@pytest.mark.usefixtures("_token", "execution")
def test_it_asks_six_times(django_assert_num_queries):
    with django_assert_num_queries(6):
        ask()


@pytest.mark.usefixtures("worker")
def test_health_tells_of_invariants_and_does_not_judge_by_them(execution):
    Worker.objects.create(name="c", kind="controller", node="n", pid=1)
    told = []
    for look in (lambda: None, look_and_keep):
        look()
        answer = Client().get("/healthz")
        told.append((answer.status_code, answer.json()["invariants"]))
    execution(expires_at=timezone.now() - timezone.timedelta(hours=1))
    look_and_keep()
    answer = Client().get("/healthz")
    told.append((answer.status_code, answer.json()["invariants"]))
    assert told == [(200, "unknown"), (200, "ok"), (200, "violated")]
