"""Workers and queues as they are now, for pages, API and command line alike."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, Q
from django.utils import timezone

from jobs.dispatch import node_queue
from jobs.models import JobExecution, PausedQueue, Worker
from jobs.models.fleet import SEEN_WITHIN
from jobs.states import HELD, Status


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker and what it is doing; `state` is idle, working, draining, drained or silent."""

    worker: Worker
    busy: int

    @property
    def state(self) -> str:
        if self.worker.seen_at < timezone.now() - SEEN_WITHIN:
            return "silent"
        if self.worker.drain_requested_at:
            heard = self.worker.slots == 0
            return "drained" if heard and not self.busy else "draining"
        return "working" if self.busy else "idle"

    @property
    def text(self) -> str:
        jobs = f"{self.busy} {'job' if self.busy == 1 else 'jobs'}"
        return {
            "silent": "Not heard of any more",
            "drained": "Drained: safe to restart",
            "draining": f"Draining: {jobs} left" if self.busy else "Draining",
            "working": f"Working on {jobs}",
            "idle": "Idle",
        }[self.state]


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue: how many executions wait in it and since when, and who works on it."""

    name: str
    depth: int
    oldest_at: dt.datetime | None
    running: int
    workers: int
    slots: int
    paused: PausedQueue | None


class Fleet:
    """All workers, controllers and queues, by three statements."""

    @cached_property
    def _seen(self) -> list[Worker]:
        return list(Worker.objects.defer("definitions"))

    @cached_property
    def _counts(self) -> list[Any]:
        """How many executions wait and run, by queue and worker; what waits has no worker."""
        at_hand = JobExecution.objects.filter(status__in=sorted({Status.QUEUED, *HELD}))
        return list(
            at_hand.order_by()
            .values("queue", "worker")
            .annotate(
                queued=Count("pk", filter=Q(status=Status.QUEUED)),
                held=Count("pk", filter=Q(status__in=sorted(HELD))),
                oldest=Min("queued_at", filter=Q(status=Status.QUEUED)),
            )
        )

    @cached_property
    def paused(self) -> dict[str, PausedQueue]:
        return {found.name: found for found in PausedQueue.objects.select_related("by")}

    @property
    def workers(self) -> list[WorkerState]:
        busy: Counter[str] = Counter()
        for count in self._counts:
            busy[count["worker"]] += count["held"]
        workers = [found for found in self._seen if found.kind == Worker.Kind.WORKER]
        return [WorkerState(worker, busy[worker.name]) for worker in workers]

    @property
    def controllers(self) -> list[WorkerState]:
        found = [one for one in self._seen if one.kind == Worker.Kind.CONTROLLER]
        return [WorkerState(one, 0) for one in found]

    @property
    def queues(self) -> list[QueueState]:
        """Those that are set, served, paused or in use; not the ways to single nodes."""
        served = {queue for worker in self._seen for queue in worker.queues}
        served -= {node_queue(worker.node) for worker in self._seen}
        used = {count["queue"] for count in self._counts}
        names = {*settings.JOBS_QUEUES, *served, *used, *self.paused}
        return [self._queue(name) for name in sorted(names)]

    def queue(self, name: str) -> QueueState | None:
        return next((found for found in self.queues if found.name == name), None)

    def _queue(self, name: str) -> QueueState:
        counts = [count for count in self._counts if count["queue"] == name]
        moments = [count["oldest"] for count in counts if count["oldest"]]
        living = [
            state.worker
            for state in self.workers
            if name in state.worker.queues and state.state != "silent"
        ]
        return QueueState(
            name=name,
            depth=sum(count["queued"] for count in counts),
            oldest_at=min(moments, default=None),
            running=sum(count["held"] for count in counts),
            workers=len(living),
            slots=sum(worker.slots for worker in living),
            paused=self.paused.get(name),
        )
