"""`/metrics`: what a Prometheus server asks for every few seconds, in its text format.

Everything is read from rows at that moment, so each web process answers alike. What has ended is
counted over the last minute only, whatever the size of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from jobs.invariants import INVARIANTS
from jobs.models import InvariantCheck
from jobs.models.fleet import SEEN_WITHIN
from jobs.states import OPEN

BY_STATUS = """
SELECT status, count(*) FROM jobs_jobexecution WHERE status = ANY(%(open)s) GROUP BY status
"""
QUEUES = """
SELECT queue, count(*), extract(epoch FROM clock_timestamp() - min(queued_at))
FROM jobs_jobexecution WHERE status = 'queued' GROUP BY queue
"""
EVENTS = """
SELECT event, count(*)
FROM (SELECT event, at FROM jobs_statuschange ORDER BY id DESC LIMIT 10000) newest
WHERE at > clock_timestamp() - interval '1 minute' GROUP BY event
"""
FLEET = """
SELECT kind, count(*) FILTER (WHERE live), coalesce(sum(slots) FILTER (WHERE live), 0),
  extract(epoch FROM max(seen_at))
FROM (SELECT *, seen_at > clock_timestamp() - %(seen)s AS live FROM jobs_worker) w GROUP BY kind
"""
OUTBOX = """
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0)
FROM jobs_outboxmessage
WHERE sent_at IS NULL AND given_up_at IS NULL AND due_at <= clock_timestamp()
"""


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer who has the token; without METRICS_TOKEN there is nothing here."""
    if not settings.METRICS_TOKEN:
        raise Http404
    given = request.headers.get("Authorization", "")
    if not constant_time_compare(given, f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse(
            "Metrics need the header “Authorization: Bearer” with the token METRICS_TOKEN.\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return HttpResponse(generate_latest(_registry()), content_type=CONTENT_TYPE_LATEST)


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Rows())
    return registry


class Rows(Collector):
    """All metrics; they are read when they are collected."""

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from _executions()
        yield from _fleet()
        yield from _invariants()


def _executions() -> Iterator[Metric]:
    counts = dict.fromkeys(sorted(OPEN), 0) | dict(_ask(BY_STATUS))
    yield _gauge("executions", "Open executions.", ["status"], counts.items())
    queues = list(_ask(QUEUES))
    yield _gauge(
        "queued", "Executions that wait in a queue.", ["queue"], [row[:2] for row in queues]
    )
    yield _gauge(
        "queue_oldest_seconds",
        "How long the oldest of them has waited.",
        ["queue"],
        [(queue, age or 0) for queue, _, age in queues],
    )
    yield _gauge(
        "events_last_minute",
        "Launches, starts, ends and other events, up to 10,000.",
        ["event"],
        _ask(EVENTS),
    )


def _fleet() -> Iterator[Metric]:
    fleet = {kind: rest for kind, *rest in _ask(FLEET)}
    workers, slots, _ = fleet.get("worker", (0, 0, 0))
    controllers, _, seen = fleet.get("controller", (0, 0, 0))
    yield _gauge("workers", "Workers heard of within 15 seconds.", [], [(workers,)])
    yield _gauge("worker_slots", "Jobs that they can run at once.", [], [(slots,)])
    yield _gauge("controllers", "Controllers heard of within 15 seconds.", [], [(controllers,)])
    yield _gauge(
        "controller_seen_timestamp_seconds", "When one was last heard of.", [], [(seen or 0,)]
    )
    due, age = next(iter(_ask(OUTBOX)))
    yield _gauge("outbox_due", "Messages that are due and not sent.", [], [(due,)])
    yield _gauge(
        "outbox_oldest_seconds", "For how long the oldest of them has been due.", [], [(age,)]
    )


def _invariants() -> Iterator[Metric]:
    kept = InvariantCheck.objects.filter(pk=1).exclude(checked_at=None).first()
    if kept is None:
        return
    counts = [
        (code, kept.found.get(code, {}).get("count", 0))
        for code in INVARIANTS
        if code not in kept.unchecked
    ]
    yield _gauge("invariant_violations", "What violates each invariant.", ["invariant"], counts)
    assert kept.checked_at
    checked = kept.checked_at.timestamp()
    yield _gauge(
        "invariants_checked_timestamp_seconds",
        "When a controller last looked at the invariants.",
        [],
        [(checked,)],
    )


def _ask(sql: str) -> list[tuple[Any, ...]]:
    values: dict[str, Any] = {"open": sorted(OPEN), "seen": SEEN_WITHIN}
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def _gauge(name: str, what: str, labels: list[str], rows: Iterable[tuple[Any, ...]]) -> Metric:
    """A metric `millrace_<name>`; each row is its labels and, last, its value."""
    family = GaugeMetricFamily(f"millrace_{name}", what, labels=labels)
    for *values, number in rows:
        family.add_metric(values, float(number))
    return family
