"""Rows as they must not be, planted past everything that would refuse them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from jobs import control
from jobs.invariants import INVARIANTS
from jobs.models import JobExecution, JobProfile, OutboxMessage, Schedule, Slot, Worker
from jobs.models.base import ClockNow, seconds
from jobs.states import Event

LONG = timedelta(hours=2)


def launched(**fields) -> JobExecution:
    """A queued execution; fields are written past everything that would refuse them."""
    execution = control.launch(job="samples.function")
    return written(execution, **fields)


def written(execution: JobExecution, **fields) -> JobExecution:
    if fields:
        JobExecution.objects.filter(pk=execution.pk).update(**fields)
    execution.refresh_from_db()
    return execution


def running(**fields) -> JobExecution:
    execution = launched()
    execution.attempts.create(number=1, worker="w@test", node="test")
    execution.transition(
        Event.START, attempt=1, lease_expires_at=ClockNow() + seconds(60), started_at=ClockNow()
    )
    return written(execution, **fields)


def stepping(**fields) -> JobExecution:
    execution = running()
    execution.steps.create(order=0, name="rows", label="Rows", **fields)
    return execution


def ended(event: Event = Event.FAIL, execution: JobExecution | None = None) -> JobExecution:
    execution = execution or running()
    execution.transition(event, why="It is a test.")
    return execution


def ago(span: timedelta = LONG):
    return timezone.now() - span


# --- What is planted, by the code of the invariant that must find it -------------------------


def lease_expired():
    return running(lease_expires_at=ago())


def stop_overdue():
    return written(control.stop(running()), stop_deadline_at=ago())


def time_overdue():
    return running(deadline_at=ago())


def attempt_open():
    execution = ended()
    execution.attempts.update(ended_at=None)
    return execution


def attempt_missing():
    execution = running()
    execution.attempts.all().delete()
    return execution


def attempts_overlap():
    execution = ended()
    execution.attempts.create(number=2, worker="w", node="n", started_at=ago(), ended_at=ago())
    return written(execution, attempt=2)


def console_open():
    execution = ended()
    execution.history.update(at=ago())
    return written(execution, console_open=True, finished_at=ago(), progress_at=None)


def step_left_running():
    execution = ended(execution=stepping(status="completed"))
    execution.steps.update(status="running")
    return execution


def step_left_out():
    return ended(Event.COMPLETE, stepping(status="pending"))


def step_over_total():
    return ended(execution=stepping(total=2, created=1, failed=1, carried=1, warnings_count=0))


def warnings_miscounted():
    return written(stepping(warnings_count=2), warnings_count=3)


def part_miscounted():
    parent = stepping(status="completed", created=5)
    part = launched(parent=parent, parent_step="rows", partition=0, partitions=1)
    part.steps.create(order=0, name="rows", label="Rows", created=4)
    return ended(Event.COMPLETE, written(parent))


def file_missing():
    execution = running()
    execution.files.create(
        role="output", name="out.csv", file="executions/none", size=1, sha256="x", created_at=ago()
    )
    return execution


def status_untold():
    return launched(status="paused")


def launch_untold():
    execution = launched()
    execution.history.all().delete()
    return execution


def history_gap():
    execution = launched()
    execution.history.create(event="resume", before="paused", after="queued")
    return execution


def finished_changed():
    return written(ended(), finished_at=ago())


def request_untold():
    return running(stop_requested_at=timezone.now())


def a_worker() -> Worker:
    return Worker.objects.create(
        name="w@test", kind="worker", node="test", pid=1, queues=["default"], slots=2,
        definitions={"samples.function": "any"}, started_at=ago(),
    )  # fmt: skip


def not_started():
    a_worker()
    return launched(queued_at=ago(), dispatched_at=ago(), dispatch_count=1)


def deferred_past_time():
    return written(control.launch(job="samples.function", deferred=True), not_before=ago())


def not_expired():
    return launched(expires_at=ago())


def joining_alone():
    execution = running()
    execution.transition(Event.JOIN)
    execution.history.update(at=ago())
    return execution


def child_left_open():
    parent = written(ended(), finished_at=ago())
    parent.history.update(at=ago())
    return launched(parent=parent)


def slot_kept():
    execution = launched(limits={"job:x": 1})
    control.pause(execution)
    Slot.objects.create(execution=execution, key="job:x", number=0)
    return execution


def slot_beyond_limit():
    execution = running(limits={"job:x": 1})
    Slot.objects.create(execution=execution, key="job:x", number=1)
    return execution


def held_beyond_limit():
    running(limits={"job:x": 1})
    running(limits={"job:x": 1})


def schedule_late():
    profile = JobProfile.objects.create(code="p", label="P", job="samples.function")
    Schedule.objects.create(
        code="hourly", label="H", profile=profile, cron="@hourly", next_at=ago()
    )


def fired_twice():
    schedule_late()
    schedule = Schedule.objects.get(code="hourly")
    Schedule.objects.update(next_at=None)
    for _ in range(2):
        last = launched(schedule=schedule, scheduled_for=ago(), trigger="schedule")
    JobExecution.objects.update(scheduled_for=ago())
    return last


def outbox_late():
    OutboxMessage.objects.create(dedupe_key="x:mail", kind="mail", payload={}, due_at=ago())


def worker_forgotten():
    Worker.objects.filter(pk=a_worker().pk).update(seen_at=ago())


# What only real sessions and processes violate has tests of its own below.
OUTSIDE = {"session_left", "process_left"}
PLANTS: dict[str, Callable] = {code: globals()[code] for code in INVARIANTS if code not in OUTSIDE}
