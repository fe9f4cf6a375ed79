"""Each invariant finds what violates it and says it in a sentence, and nothing else."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from jobs import control
from jobs.invariants import INVARIANTS, Invariant, Violation, look_at, look_at_all
from jobs.repairs import REPAIRS, repair
from tests.control.planted import (
    LONG,
    PLANTS,
    a_worker,
    ago,
    ended,
    launched,
    not_expired,
    running,
    status_untold,
    written,
)
from tests.fleet import eventually, is_alive

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_server_is_not_new")]

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


def test_what_is_late_but_within_the_tolerance_is_no_violation():
    soon = timezone.now() - timedelta(seconds=5)
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
    class Slow(Invariant):
        def check(self, **_):
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = '10ms'")
                cursor.execute("SELECT pg_sleep(5)")
            return []

    return Slow(code="slow", sentence="S.", sql="", wrong="", look="L.")


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
    running(pid=left_process.pid, node=socket.gethostname())
    began = time.monotonic()
    found = {row.subject for row in look_at(INVARIANTS["process_left"]).violations}
    assert f"Process {left_process.pid}" not in found
    assert time.monotonic() - began < 10
