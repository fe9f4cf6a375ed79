"""Leases, stops, time limits, attempts, and what they leave behind."""

from __future__ import annotations

from jobs.invariants.base import Invariant
from jobs.invariants.processes import still_without_execution

LEASE_EXPIRED = Invariant(
    code="lease_expired",
    sentence="What runs holds a live lease; when the lease runs out, it is taken back.",
    sql="""
SELECT id AS execution, attempt AS subject, status,
  extract(epoch FROM clock_timestamp() - lease_expires_at) AS seconds
FROM jobs_jobexecution
WHERE status = ANY(%(held)s)
  AND lease_expires_at < clock_timestamp() - make_interval(secs => %(late)s)
  AND pg_postmaster_start_time()
    < clock_timestamp() - make_interval(secs => %(lease)s + %(late)s)
ORDER BY id""",
    wrong="is {status}, but its lease ran out {seconds:.0f} s ago and nobody took it back.",
    repair="Takes it back from its worker: it goes on from its checkpoint, or ends as was asked.",
)

STOP_OVERDUE = Invariant(
    code="stop_overdue",
    sentence="A stop takes effect: by force, when its deadline is over.",
    sql="""
SELECT id AS execution, attempt AS subject,
  extract(epoch FROM clock_timestamp() - greatest(stop_deadline_at, section_until)) AS seconds
FROM jobs_jobexecution e
WHERE status = 'stopping' AND greatest(stop_deadline_at, section_until)
  < clock_timestamp() - make_interval(secs => %(kill_after)s + %(lease)s + %(late)s)
  AND NOT EXISTS (SELECT FROM jobs_jobexecution c
                  WHERE c.parent_id = e.id AND c.status = ANY(%(open)s))
ORDER BY id""",
    wrong="is stopping, {seconds:.0f} s after the deadline of its stop.",
    repair="Ends it as aborted; its process, if there still is one, can write nothing any more.",
)

TIME_OVERDUE = Invariant(
    code="time_overdue",
    sentence="What ran past its time limit is ended as timed out.",
    sql="""
SELECT id AS execution, attempt AS subject,
  extract(epoch FROM clock_timestamp() - deadline_at) AS seconds
FROM jobs_jobexecution
WHERE (status = ANY(%(held)s) OR status = 'joining') AND greatest(deadline_at, section_until)
  < clock_timestamp() - make_interval(secs => %(grace)s + %(kill_after)s + %(lease)s + %(late)s)
ORDER BY id""",
    wrong="still runs, {seconds:.0f} s after its time was up.",
    repair="Ends it as timed out; its process, if there still is one, can write nothing any more.",
)

ATTEMPT_OPEN = Invariant(
    code="attempt_open",
    sentence="Of an execution's attempts only the last is open, and only while a worker holds it.",
    sql="""
SELECT a.execution_id AS execution, a.number AS subject, e.status, e.attempt
FROM jobs_attempt a JOIN jobs_jobexecution e ON e.id = a.execution_id
WHERE a.ended_at IS NULL AND (e.status <> ALL(%(held)s) OR a.number <> e.attempt)
ORDER BY a.id""",
    wrong="is {status} in its attempt {attempt}, but attempt {subject} has not ended.",
    repair="Closes the attempt at the moment when the next one began or the execution ended.",
)

ATTEMPT_MISSING = Invariant(
    code="attempt_missing",
    sentence="The attempts of an execution are numbered from 1 without a gap.",
    sql="""
WITH {scope}
SELECT e.id AS execution, e.attempt, count(a.id) AS rows, coalesce(max(a.number), 0) AS last
FROM scope JOIN jobs_jobexecution e USING (id) LEFT JOIN jobs_attempt a ON a.execution_id = e.id
GROUP BY e.id HAVING count(a.id) <> e.attempt OR coalesce(max(a.number), 0) <> e.attempt
ORDER BY e.id""",
    wrong="is in its attempt {attempt}, but has {rows} attempts, the last with number {last}.",
    look="Nobody knows any more when and where a missing attempt ran. Find out who deleted it.",
)

ATTEMPTS_OVERLAP = Invariant(
    code="attempts_overlap",
    sentence="An attempt begins when the one before has ended: never do two work at once.",
    sql="""
WITH {scope}, turns AS (
  SELECT execution_id, number, started_at,
    lag(ended_at) OVER (PARTITION BY execution_id ORDER BY number) AS before_ended_at
  FROM jobs_attempt JOIN scope ON scope.id = execution_id
)
SELECT execution_id AS execution, number AS subject,
  extract(epoch FROM before_ended_at - started_at) AS seconds
FROM turns WHERE before_ended_at > started_at + interval '1 second'
ORDER BY execution_id""",
    wrong="began its attempt {subject} {seconds:.0f} s before the one before it had ended.",
    look="Two workers may have held it at once. Compare what both wrote, and the server's clock.",
)

CONSOLE_OPEN = Invariant(
    code="console_open",
    sentence="The log of a finished execution is complete.",
    sql="""
SELECT id AS execution, attempt AS subject,
  extract(epoch FROM clock_timestamp() - finished_at) AS seconds
FROM jobs_jobexecution
WHERE console_open AND status = ANY(%(finished)s)
  AND finished_at < clock_timestamp() - make_interval(secs => %(lease)s + %(late)s)
ORDER BY id""",
    wrong="ended {seconds:.0f} s ago, but its pages still wait for the end of its log.",
    repair="Marks the log as complete; its pages stop asking for more.",
)

SESSION_LEFT = Invariant(
    code="session_left",
    sentence="A job's database sessions end with its attempt.",
    sql="""
WITH sessions AS MATERIALIZED (
  SELECT pid, state, state_change, substring(application_name FROM 10 FOR 36) AS execution,
    substring(application_name FROM 47) AS attempt
  FROM pg_stat_activity
  WHERE datname = current_database() AND application_name ~ '^millrace [0-9a-f-]{36}[.][0-9]+$'
    AND state_change < clock_timestamp() - make_interval(secs => %(kill_after)s + %(late)s)
)
SELECT s.execution::uuid AS execution, s.pid AS subject, s.attempt, s.state
FROM sessions s
WHERE NOT EXISTS (SELECT FROM jobs_jobexecution e WHERE e.id = s.execution::uuid
                  AND e.attempt = s.attempt::int AND e.status = ANY(%(held)s))
ORDER BY s.pid""",
    wrong="has left attempt {attempt}, whose database session {subject} is still there ({state}).",
    repair="Ends the session; what it has not committed is rolled back.",
)

PROCESS_LEFT = Invariant(
    code="process_left",
    sentence="A job's processes end with its attempt; looked for on the machine of the command.",
    sql="SELECT NULL::uuid AS execution, 'This machine' AS subject",
    wrong="",
    narrow=still_without_execution,
    look="SIGKILL should have ended it. See what it is stuck in; it can write nothing any more.",
)

INVARIANTS = (
    LEASE_EXPIRED,
    STOP_OVERDUE,
    TIME_OVERDUE,
    ATTEMPT_OPEN,
    ATTEMPT_MISSING,
    ATTEMPTS_OVERLAP,
    CONSOLE_OPEN,
    SESSION_LEFT,
    PROCESS_LEFT,
)
