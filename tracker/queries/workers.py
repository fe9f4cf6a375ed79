"""The page of workers and queues, for those who operate them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.utils import timezone

from jobs.control.fleet import Fleet, QueueState, WorkerState
from jobs.models import Worker
from tracker.queries import words
from tracker.queries.look import digest
from tracker.queries.rows import Badge

BADGES = {
    "idle": Badge("Idle", "moon", "idle"),
    "working": Badge("Working", "arrow-path", "run"),
    "draining": Badge("Draining", "arrow-down-on-square", "warn"),
    "drained": Badge("Drained", "check-circle", "ok"),
    "silent": Badge("Silent", "signal-slash", "bad"),
}
OPEN = Badge("Open", "play-circle", "ok")
PAUSED = Badge("Paused", "pause-circle", "warn")
SEEN_NOW = 15  # seconds; who reports is seen every two


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """A worker or controller as it is shown."""

    worker: Worker
    badge: Badge
    text: str
    busy: int
    queues: str
    roles: str
    seen: str
    is_heard: bool


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A queue as it is shown."""

    queue: QueueState
    badge: Badge
    text: str
    wait: str


class WorkersPage:
    """Workers, controllers and queues as they are now."""

    @cached_property
    def fleet(self) -> Fleet:
        return Fleet()

    @cached_property
    def workers(self) -> list[WorkerLine]:
        return [_worker(state) for state in self.fleet.workers]

    @cached_property
    def controllers(self) -> list[WorkerLine]:
        return [_worker(state) for state in self.fleet.controllers]

    @cached_property
    def queues(self) -> list[QueueLine]:
        return [_queue(state) for state in self.fleet.queues]

    @property
    def token(self) -> str:
        """Changes with what is shown."""
        workers = [
            (
                line.worker.name,
                line.badge.word,
                line.busy,
                line.worker.slots,
                line.queues,
                line.seen,
            )
            for line in (*self.workers, *self.controllers)
        ]
        queues = [
            (line.queue.name, line.queue.depth, line.queue.running, line.text, line.wait)
            for line in self.queues
        ]
        return digest(workers, queues)

    @property
    def live_address(self) -> str:
        return f"?since={self.token}"


def _worker(state: WorkerState) -> WorkerLine:
    worker = state.worker
    return WorkerLine(
        worker=worker,
        badge=BADGES[state.state],
        text=_left(state),
        busy=state.busy,
        queues=", ".join(worker.queues),
        roles=", ".join(worker.roles),
        seen=_seen(worker),
        is_heard=state.state != "silent",
    )


def _left(state: WorkerState) -> str:
    """What the badge does not say."""
    if state.state == "draining":
        return f"{state.busy} {'job' if state.busy == 1 else 'jobs'} left" if state.busy else ""
    return "Safe to restart" if state.state == "drained" else ""


def _seen(worker: Worker) -> str:
    ago = (timezone.now() - worker.seen_at).total_seconds()
    return "just now" if ago < SEEN_NOW else f"{words.duration(ago)} ago"


def _queue(queue: QueueState) -> QueueLine:
    waits = (timezone.now() - queue.oldest_at) if queue.oldest_at else None
    return QueueLine(
        queue=queue,
        badge=PAUSED if queue.paused else OPEN,
        text=_why(queue),
        wait=words.duration(waits),
    )


def _why(queue: QueueState) -> str:
    """Who paused it and why; or that nobody works on it although something waits."""
    if queue.paused:
        who = queue.paused.by.get_username() if queue.paused.by else "the platform"
        return f"By {who}: {queue.paused.reason}" if queue.paused.reason else f"By {who}."
    if queue.depth and not queue.workers:
        return "No worker is on it."
    return ""
