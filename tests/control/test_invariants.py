"""Each invariant finds what violates it, says it in a sentence, and is repaired where it may be."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from jobs import control
from jobs.invariants import (
    INVARIANTS,
    Violation,
    late_seconds,
    look_at,
    look_at_all,
    watch_invariants,
)
from jobs.models import (
    InvariantCheck,
    JobExecution,
    NotAllowed,
    OutboxMessage,
    Schedule,
    Slot,
    Worker,
)
from jobs.models.base import ClockNow, seconds
from jobs.permissions import Denied
from jobs.repairs import REPAIRS, repair
from jobs.states import Event, Status
from tests.fleet import eventually, is_alive

pytestmark = pytest.mark.django_db

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
    from jobs.models import JobProfile

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
TELLS = {
    "lease_expired": "is running, but its lease ran out 7200 s ago and nobody took it back.",
    "stop_overdue": "is stopping, 7200 s after the deadline of its stop.",
    "time_overdue": "still runs, 7200 s after its time was up.",
    "attempt_open": "is failed in its attempt 1, but attempt 1 has not ended.",
    "attempt_missing": "is in its attempt 1, but has 0 attempts, the last with number 0.",
    "attempts_overlap": "began its attempt 2 7200 s before the one before it had ended.",
    "console_open": "ended 7200 s ago, but its pages still wait for the end of its log.",
    "step_left_running": "is failed, but its step “Rows” is running.",
    "step_left_out": "is completed, but its step “Rows” is pending.",
    "step_over_total": "has processed 3 of 2 items in its step “Rows”.",
    "warnings_miscounted": "tells of 3 warnings, its steps of 2.",
    "part_miscounted": "tells of 5 items in its step “Rows”, its parts of 4.",
    "file_missing": "has a file “out.csv” that is not in the storage as executions/none.",
    "status_untold": "is paused, but its history ends with queued.",
    "launch_untold": "is queued, but its history does not begin with a launch.",
    "history_gap": "has a line “resume” from “paused” in its history, behind one to “queued”.",
    "finished_changed": "is failed, and got another time of its end after it had ended.",
    "request_untold": "is running and was asked to stop, but its history does not say by whom.",
    "not_started": "has been next in line of “default” for 7200 s, beside free slots.",
    "deferred_past_time": "is deferred, 7200 s after its time had come.",
    "not_expired": "is queued, 7200 s after its deadline.",
    "joining_alone": "waits for children, but none of its children is open.",
    "child_left_open": "ended 7200 s ago.",
    "slot_kept": "is paused, but holds place 0 under “job:x”.",
    "slot_beyond_limit": "holds place 1 under “job:x”, where 1 may run at once.",
    "held_beyond_limit": "job:x has 2 executions running at once, where 1 may.",
    "schedule_late": "Schedule hourly has not fired, 7200 s after its time.",
    "fired_twice": "is one of 2 that were launched for",
    "outbox_late": "has a message that was due 7200 s ago: Message x:mail.",
    "worker_forgotten": "w@test is listed as a worker, but was last heard of 120 minutes ago.",
}


@pytest.fixture(autouse=True)
def _server_is_not_new(settings) -> None:
    """Nothing is taken back soon after the server's start, and the test's server is new."""
    settings.JOBS_LEASE_SECONDS = 0.0

    def old() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %s)",
                [late_seconds()],
            )
            return cursor.fetchone()[0]

    eventually(old, "the server is older than the tolerance", 30)


def test_every_invariant_is_planted_and_told():
    assert set(PLANTS) == set(TELLS)


def test_an_invariant_is_repaired_or_says_why_a_person_must_look():
    assert {code for code, each in INVARIANTS.items() if each.repair} == set(REPAIRS)
    assert all(bool(each.repair) != bool(each.look) for each in INVARIANTS.values())


@pytest.mark.parametrize("everything", [True, False], ids=["everything", "recent"])
@pytest.mark.parametrize("code", PLANTS)
def test_a_violation_is_found_and_said_in_a_sentence(code, everything):
    assert look_at(INVARIANTS[code], everything=everything).holds
    planted = PLANTS[code]()
    result = look_at(INVARIANTS[code], everything=everything)
    assert not result.error
    assert len(result.violations) == 1, result.violations
    assert TELLS[code] in _rounded(result.violations[0])
    if planted:
        assert result.violations[0].execution == planted.pk


def _rounded(violation: Violation) -> str:
    """As if the test had taken no time."""
    return re.sub(r"72\d\d s", "7200 s", str(violation))


@pytest.mark.parametrize("code", sorted(set(REPAIRS) - OUTSIDE))
def test_a_repair_puts_it_right_and_is_logged(code, caplog, django_capture_on_commit_callbacks):
    operator = User.objects.create_user("olga")
    operator.groups.add(Group.objects.get(name="Operator"))
    PLANTS[code]()
    with caplog.at_level(logging.WARNING), django_capture_on_commit_callbacks():
        assert repair(INVARIANTS[code], by=operator) == 1
    assert look_at(INVARIANTS[code], everything=True).holds
    assert f"Repaired {code} for olga:" in caplog.text
    others = [result for result in look_at_all() if result.violations]
    assert not others, "The repair has broken something else."


@pytest.mark.parametrize(
    ("code", "event", "after"),
    [
        ("lease_expired", "release", Status.QUEUED),
        ("stop_overdue", "abort", Status.ABORTED),
        ("time_overdue", "time_out", Status.TIMED_OUT),
        ("deferred_past_time", "activate", Status.QUEUED),
        ("not_expired", "expire", Status.EXPIRED),
        ("joining_alone", "rejoin", Status.QUEUED),
        ("child_left_open", "abort", Status.ABORTED),
    ],
)
def test_a_repair_moves_a_status_by_the_table_with_its_line_of_history(code, event, after):
    planted = PLANTS[code]()
    repair(INVARIANTS[code])
    planted.refresh_from_db()
    line = planted.history.last()
    assert (line.event, line.after, planted.status) == (event, after, after)
    assert line.reason


def begun_again(planted: JobExecution) -> None:
    """It has a worker and a new attempt, by now."""
    planted.transition(Event.RELEASE)
    planted.attempts.create(number=2, worker="w@test", node="test")
    planted.transition(Event.START, attempt=2, lease_expires_at=ClockNow() + seconds(60))


@pytest.mark.parametrize("code", ["lease_expired", "time_overdue", "attempt_open"])
def test_what_has_moved_on_since_it_was_found_is_left_alone(code):
    planted = running(lease_expires_at=ago(), deadline_at=ago())
    found = look_at(INVARIANTS["time_overdue"]).violations[0]
    begun_again(planted)
    with suppress(NotAllowed):
        REPAIRS[code](replace(found, subject="2" if code == "attempt_open" else "1"), None)
    planted.refresh_from_db()
    assert (planted.status, planted.attempt) == (Status.RUNNING, 2)
    assert planted.attempts.get(number=2).ended_at is None


def test_a_slot_that_is_in_use_by_now_is_left_alone():
    planted = slot_kept()
    found = look_at(INVARIANTS["slot_kept"]).violations[0]
    control.resume(planted)
    planted.transition(Event.START, attempt=1, lease_expires_at=ClockNow() + seconds(60))
    REPAIRS["slot_kept"](found, None)
    assert planted.slots.exists()


def test_who_may_not_operate_queues_repairs_nothing():
    planted = deferred_past_time()
    with pytest.raises(Denied):
        repair(INVARIANTS["deferred_past_time"], by=User.objects.create_user("bob"))
    planted.refresh_from_db()
    assert planted.status == Status.DEFERRED


def test_what_is_late_but_within_the_tolerance_is_no_violation():
    soon = timezone.now() - timedelta(seconds=late_seconds() - 5)
    running(lease_expires_at=soon, deadline_at=soon)
    written(control.stop(running()), stop_deadline_at=soon)
    launched(expires_at=soon)
    written(control.launch(job="samples.function", deferred=True), not_before=soon)
    a_worker()
    launched(queued_at=soon)
    assert [result.violations for result in look_at_all() if not result.holds] == []


def test_what_says_what_it_waits_for_is_no_violation():
    launched(queued_at=ago())  # no worker is on its queue
    assert look_at(INVARIANTS["not_started"]).holds
    a_worker()
    launched(queued_at=ago(), retry_at=timezone.now() + LONG)
    assert len(look_at(INVARIANTS["not_started"]).violations) == 1


def test_a_queue_where_a_place_became_free_a_moment_ago_stands_not_still():
    a_worker()
    ended()
    launched(queued_at=ago())
    assert look_at(INVARIANTS["not_started"]).holds


def test_the_command_tells_and_repairs():
    planted = not_expired()
    status_untold()
    out = StringIO()
    with pytest.raises(SystemExit) as exit_:
        call_command("check_invariants", stdout=out)
    assert exit_.value.code == 1
    assert f"  Execution {planted.pk} is queued, 72" in out.getvalue()
    assert "  Repair: Ends it as expired.\n" in out.getvalue()
    assert "  A person must look: Somebody wrote rows" in out.getvalue()
    assert f"{len(INVARIANTS)} invariants looked at: 2 not kept." in out.getvalue()

    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("check_invariants", "--repair", "--json", stdout=out)
    told = {each["code"]: each["violations"] for each in json.loads(out.getvalue())["invariants"]}
    assert (len(told["status_untold"]), told["not_expired"]) == (1, [])


def test_the_command_is_silent_about_what_holds():
    running()
    out = StringIO()
    call_command("check_invariants", stdout=out)
    assert out.getvalue() == f"{len(INVARIANTS)} invariants looked at: all of them hold.\n"


def test_what_cannot_be_looked_at_is_no_proof(monkeypatch):
    monkeypatch.setitem(INVARIANTS, "slow", _slow())
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("check_invariants", stdout=out)
    assert "slow: could not be looked at: canceling statement" in out.getvalue()


def _slow():
    from jobs.invariants import Invariant

    class Slow(Invariant):
        def check(self, **_):
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = '10ms'")
                cursor.execute("SELECT pg_sleep(5)")
            return []

    return Slow(code="slow", sentence="S.", sql="", wrong="", look="L.")


def test_a_controller_keeps_what_it_found_and_tells_what_is_new(caplog, settings):
    settings.JOBS_INVARIANTS_SECONDS = 60.0
    planted = not_expired()
    watch_invariants()
    kept = InvariantCheck.objects.get()
    assert kept.checked_at
    assert kept.unchecked == {}
    assert list(kept.found) == ["not_expired"]
    assert kept.found["not_expired"]["count"] == 1
    told = f"Invariant not_expired is violated: execution {planted.pk} is queued"
    assert caplog.text.count(told) == 1

    _due_again()
    watch_invariants()
    assert caplog.text.count(told) == 1, "It is not new any more."
    written(planted, expires_at=None)
    _due_again()
    watch_invariants()
    assert InvariantCheck.objects.get().found == {}


def test_one_controller_looks_at_a_time(settings):
    settings.JOBS_INVARIANTS_SECONDS = 60.0
    watch_invariants()
    first = InvariantCheck.objects.get()
    watch_invariants()
    assert InvariantCheck.objects.get().checked_at == first.checked_at
    settings.JOBS_INVARIANTS_SECONDS = 0.0
    _due_again()
    watch_invariants()
    assert InvariantCheck.objects.get().checked_at == first.checked_at


def _due_again() -> None:
    InvariantCheck.objects.update(began_at=ago())


def test_a_session_that_outlives_its_attempt_is_found_and_ended(settings):
    settings.JOBS_CONTROLLER_SECONDS = -0.5  # no tolerance
    settings.JOBS_KILL_AFTER_SECONDS = 0.0
    execution = ended()
    parameters = connection.get_connection_params() | {
        "application_name": f"millrace {execution.pk}.1"
    }
    parameters.pop("cursor_factory")
    with psycopg.connect(**parameters, autocommit=True) as left:
        found = eventually(lambda: _sessions_left().violations, "it is found")
        assert found[0].execution == execution.pk
        assert f"database session {left.info.backend_pid} is still there (idle)" in str(found[0])
        repair(INVARIANTS["session_left"])
        eventually(lambda: _sessions_left().holds, "it is gone")


def _sessions_left():
    with connection.cursor() as cursor:  # a transaction sees the sessions of its first look only
        cursor.execute("SELECT pg_stat_clear_snapshot()")
    return look_at(INVARIANTS["session_left"])


@pytest.fixture
def left_process(settings) -> Iterator[subprocess.Popen]:
    """A process that looks like a job's of this database, and that no execution knows."""
    become = (
        "import pathlib, time;"
        "pathlib.Path('/proc/self/oom_score_adj').write_text('800'); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", become],
        env={"DATABASE_URL": settings.DATABASE_URL},
        start_new_session=True,
    )
    eventually(
        lambda: Path(f"/proc/{process.pid}/oom_score_adj").read_text() == "800\n", "it is marked"
    )
    yield process
    process.kill()
    process.wait()


def test_a_process_that_no_execution_knows_is_found(left_process):
    found = {row.subject for row in look_at(INVARIANTS["process_left"]).violations}
    assert f"Process {left_process.pid}" in found
    assert is_alive(left_process.pid)


def test_the_process_of_a_running_execution_is_known(left_process):
    import socket

    running(pid=left_process.pid, node=socket.gethostname())
    began = time.monotonic()
    found = {row.subject for row in look_at(INVARIANTS["process_left"]).violations}
    assert f"Process {left_process.pid}" not in found
    assert time.monotonic() - began < 10
