"""Random faults from a seed on a whole installation, and a record of all that was accepted."""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis
from django.core.files.base import ContentFile
from django.db import DatabaseError, InterfaceError, connection
from kombu.exceptions import OperationalError as BrokerAway

from jobs import control
from jobs.models import JobExecution, NotAllowed
from jobs.states import FINISHED, OPEN, Status
from tests.faults import invariants
from tests.faults.site import Site
from tests.fleet import Process, is_alive, parent_of

WORKERS, SLOTS, CONTROLLERS = 2, 2, 2
BACKLOG = 12  # executions that are open at any time
FREEZE_SECONDS = (0.5, 9)  # a lease lasts five
FROZEN_AT_ONCE = 2
DRAIN_SECONDS = 120

# How often each happens, among all.
FAULTS = {
    "kill_job": 6, "kill_supervisor": 4, "kill_worker": 2, "end_worker": 2, "kill_controller": 2,
    "freeze_job": 3, "freeze_supervisor": 3, "freeze_both": 3, "flush_broker": 2,
    "restart_broker": 1, "restart_database": 1, "end_sessions": 3, "double_messages": 4,
    "pause": 4, "resume": 4, "stop": 4, "abort": 2,
}  # fmt: skip
SHAPES = {"rows": 12, "function": 3, "import": 2, "parts": 2, "file": 1, "poison": 1, "stuck": 1}


class Campaign:
    """Breaks a site for a while, lets it come to rest, and asks what was broken."""

    def __init__(
        self,
        site: Site,
        seed: int,
        *,
        faults: dict[str, int] = FAULTS,
        shapes: dict[str, int] = SHAPES,
        patience: float = DRAIN_SECONDS,
        freeze_seconds: tuple[float, float] = FREEZE_SECONDS,
        backlog: int = BACKLOG,
    ):
        self.site, self.seed, self.random = site, seed, random.Random(seed)
        self.faults, self.shapes, self.patience = faults, shapes, patience
        self.freeze_seconds, self.backlog = freeze_seconds, backlog
        self.workers: list[Process] = []
        self.controllers: list[Process] = []
        self.frozen: list[tuple[float, int]] = []  # until when, which process
        self.done: Counter[str] = Counter()
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.accepted: set[tuple[str, Any]] = set()
        self.launches: dict[str, str] = {}

    # --- a life -------------------------------------------------------------------------------

    def run(self, seconds: float) -> list[str]:
        """Faults for these seconds, then rest; returns what is broken."""
        self.site.sql(invariants.WATCH)
        self._staff()
        for worker in self.workers:
            self.site.reported(worker)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._keep_busy()
            self._fault()
            self._thaw()
            time.sleep(self.random.random() * 0.5)
        self.rest()
        return invariants.violations(self)

    def rest(self) -> None:
        """No more faults: whatever waits goes on, until nothing is open."""
        for _, pid in self.frozen:
            self._signal(pid, signal.SIGCONT)
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            with suppress(DatabaseError, InterfaceError):
                self._staff()
                if not self._let_go_on():
                    break
            time.sleep(0.2)
        end = time.monotonic() + 3
        while self.jobs() and time.monotonic() < end:
            time.sleep(0.1)

    def _let_go_on(self) -> int:
        """Resume what is paused and stop what never ends; how many are still live."""
        still_open = list(JobExecution.objects.exclude(status__in=FINISHED))
        for row in still_open:
            if row.status == Status.PAUSED:
                self._ask("resume", row, control.resume)
            elif row.job == "faults.stuck" and row.status == Status.RUNNING:
                self._ask("stop", row, lambda row: control.stop(row, grace_seconds=0.5))
        return len(still_open) or JobExecution.objects.filter(console_open=True).count()

    def _staff(self) -> None:
        """Whoever is gone is replaced."""
        self.workers = [one for one in self.workers if one.popen.poll() is None]
        while len(self.workers) < WORKERS:
            self.workers.append(self.site.worker(slots=SLOTS, ready=False))
        self.controllers = [one for one in self.controllers if one.popen.poll() is None]
        while len(self.controllers) < CONTROLLERS:
            self.controllers.append(self.site.controller())

    def _fault(self) -> None:
        name = self.random.choices(list(self.faults), list(self.faults.values()))[0]
        self.done[name] += 1
        with suppress(redis.RedisError, BrokerAway, OSError):
            try:
                getattr(self, name)()
            except (DatabaseError, InterfaceError):
                connection.close()

    # --- launches and requests ----------------------------------------------------------------

    def _keep_busy(self) -> None:
        with suppress(DatabaseError, InterfaceError):
            for _ in range(
                self.backlog - JobExecution.objects.exclude(status__in=FINISHED).count()
            ):
                self.launch()
            return
        connection.close()

    def launch(self) -> None:
        shape = self.random.choices(list(self.shapes), list(self.shapes.values()))[0]
        token = f"t{uuid.UUID(int=self.random.getrandbits(128)).hex[:12]}"
        self.launches[token] = "refused"
        try:
            self.launches[token] = "unknown"
            job, parameters = self._shape(shape, token)
            control.launch(job=job, parameters=parameters, note=token)
            self.launches[token] = "accepted"
        except (DatabaseError, InterfaceError):
            connection.close()

    def _shape(self, shape: str, token: str) -> tuple[str, dict[str, Any]]:
        rows = {"rows": self.random.choice((100, 200, 400)), "pause": 0.05}
        if shape == "import":
            lines = ["sku;name;enabled", *(f"{token}-{row};Name {row};1" for row in range(4000))]
            upload = control.upload(ContentFile("\n".join(lines).encode(), name="p.csv"), user=None)
            return "catalog.product.import", {"file": str(upload.pk)}
        if shape == "long":
            return "faults.rows", {"rows": 2000, "pause": 0.08, "outside": True}
        if shape == "poison":
            return "faults.rows", rows | {"die_at": 50}
        return f"faults.{shape}", rows

    def tokens(self, *outcomes: str) -> set[str]:
        """The launches that ended so."""
        return {token for token, outcome in self.launches.items() if outcome in outcomes}

    def _ask(self, event: str, row: JobExecution, ask: Callable[[JobExecution], Any]) -> None:
        try:
            ask(row)
            outcome = "accepted"
            self.accepted.add((event, row.pk))
        except (NotAllowed, control.Refused, JobExecution.DoesNotExist):
            outcome = "refused"
        except (DatabaseError, InterfaceError):
            connection.close()
            outcome = "unknown"
        self.outcomes[event, outcome] += 1

    def _any(self, *statuses: Status) -> JobExecution | None:
        rows = JobExecution.objects.filter(status__in=statuses, parent=None).order_by("id")
        return self.random.choice(rows) if rows else None

    def pause(self) -> None:
        if row := self._any(Status.RUNNING, Status.QUEUED):
            self._ask("pause", row, control.pause)

    def resume(self) -> None:
        for row in JobExecution.objects.filter(status__in=(Status.PAUSED, Status.PAUSING)):
            self._ask("resume", row, control.resume)

    def stop(self) -> None:
        if row := self._any(*OPEN):
            grace = self.random.choice((0, 1, 5))
            self._ask("stop", row, lambda row: control.stop(row, grace_seconds=grace))

    def abort(self) -> None:
        if row := self._any(Status.RUNNING, Status.STOPPING, Status.PAUSED):
            self._ask("abort", row, control.abort)

    # --- processes ----------------------------------------------------------------------------

    def supervisors(self) -> list[int]:
        return self._children_of({worker.pid for worker in self.site.processes})

    def jobs(self) -> list[int]:
        return self._children_of(set(self.supervisors()))

    def _children_of(self, parents: set[int]) -> list[int]:
        found = []
        for pid in self.site.living():
            with suppress(OSError):
                if parent_of(pid) in parents:
                    found.append(pid)
        return sorted(found)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        if pid in self.site.living():  # numbers are used again
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _one(self, pids: list[int]) -> list[int]:
        return [self.random.choice(pids)] if pids else []

    def kill_job(self) -> None:
        for pid in self._one(self.jobs()):
            self._signal(pid, signal.SIGKILL)

    def kill_supervisor(self) -> None:
        for pid in self._one(self.supervisors()):
            self._signal(pid, signal.SIGKILL)

    def kill_worker(self) -> None:
        self.random.choice(self.workers).kill(signal.SIGKILL)
        time.sleep(0.05)
        self._staff()

    def end_worker(self) -> None:
        leaving = self.random.choice(self.workers)
        leaving.kill(signal.SIGTERM)
        self.workers.remove(leaving)
        self._staff()

    def kill_controller(self) -> None:
        self.random.choice(self.controllers).kill(signal.SIGKILL)
        time.sleep(0.05)
        self._staff()

    def freeze_job(self) -> None:
        self._freeze(self._one(self.jobs()))

    def freeze_supervisor(self) -> None:
        """Its job goes on, and may lose the lease meanwhile."""
        busy = {parent_of(pid) for pid in self.jobs() if is_alive(pid)}
        self._freeze(self._one(sorted(busy)))

    def freeze_both(self) -> None:
        for job in self._one(self.jobs()):
            with suppress(OSError):
                self._freeze([parent_of(job), job])

    def _freeze(self, pids: list[int]) -> None:
        if len(self.frozen) >= FROZEN_AT_ONCE:
            return
        until = time.monotonic() + self.random.uniform(*self.freeze_seconds)
        for pid in pids:
            self._signal(pid, signal.SIGSTOP)
            self.frozen.append((until, pid))

    def _thaw(self) -> None:
        due = [(until, pid) for until, pid in self.frozen if until < time.monotonic()]
        for frozen in due:
            self.frozen.remove(frozen)
            self._signal(frozen[1], signal.SIGCONT)

    # --- servers ------------------------------------------------------------------------------

    def flush_broker(self) -> None:
        with redis.Redis(port=self.site.valkey.port) as broker:
            broker.flushall()

    def restart_broker(self) -> None:
        self.site.valkey.crash()
        time.sleep(1)
        self.site.valkey.up()

    def restart_database(self) -> None:
        self.site.postgres.crash()
        connection.close()
        self.site.postgres.up()

    def end_sessions(self) -> None:
        self.site.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'millrace %%' AND pid <> pg_backend_pid()"
            " ORDER BY random() LIMIT 3"
        )

    def double_messages(self) -> None:
        rows = JobExecution.objects.order_by("?").values_list("pk", flat=True)
        self.site.send(*rows[:3], *rows.exclude(status__in=FINISHED)[:3])
