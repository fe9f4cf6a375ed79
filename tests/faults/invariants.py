"""What must hold when all is quiet again, asked from the rows and the process list."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection

from jobs.invariants import look_at_all
from jobs.models import ExecutionFile, JobExecution, StatusChange
from jobs.states import HELD, MOVES, Event, Status

if TYPE_CHECKING:
    from tests.faults.campaign import Campaign

# Each finds the rows that break a rule.
RULES = {
    "a completed execution has every row, once": """
        SELECT e.id, r FROM jobs_jobexecution e
        CROSS JOIN generate_series(0, (e.parameters ->> 'rows')::int - 1) r
        WHERE e.status = 'completed' AND e.job IN ('faults.rows', 'faults.function')
          AND NOT (e.job = 'faults.rows' AND r = 13)
          AND (SELECT count(*) FROM samples_effect f WHERE f.execution = e.id
               AND f.row = r + CASE e.job WHEN 'faults.function' THEN 100 ELSE 0 END) <> 1""",
    "children have every row of their completed parent, once": """
        SELECT e.id, count(f.row), count(DISTINCT f.row) FROM jobs_jobexecution e
        LEFT JOIN jobs_jobexecution c ON c.parent_id = e.id
        LEFT JOIN samples_effect f ON f.execution = c.id
        WHERE e.job = 'faults.parts' AND e.parent_id IS NULL AND e.status = 'completed'
        GROUP BY e.id HAVING count(f.row) <> (e.parameters ->> 'rows')::int - 1
          OR count(DISTINCT f.row) <> count(f.row)""",
    "no row is written twice": """
        SELECT execution, row, count(*) FROM samples_effect GROUP BY 1, 2 HAVING count(*) > 1""",
    "counters are the number of effects": """
        SELECT e.id, s.done, (SELECT count(*) FROM samples_effect f WHERE f.execution = e.id)
        FROM jobs_jobexecution e JOIN jobs_stepexecution s ON s.execution_id = e.id
        WHERE (e.job IN ('faults.rows', 'faults.function') OR e.parent_id IS NOT NULL)
          AND s.done <> (SELECT count(*) FROM samples_effect f WHERE f.execution = e.id)""",
    "chunks have no gap up to the cursor": """
        SELECT e.id, s.cursor, s.done FROM jobs_jobexecution e
        JOIN jobs_stepexecution s ON s.execution_id = e.id
        WHERE e.job = 'faults.rows' AND CASE jsonb_typeof(s.cursor) WHEN 'number'
          THEN s.done <> s.cursor::int + 1 - (s.cursor::int >= 13)::int END""",
    "an import's counters are its rows": """
        SELECT e.id, s.created, s.updated, s.unchanged FROM jobs_jobexecution e
        JOIN jobs_stepexecution s ON s.execution_id = e.id
        WHERE e.job = 'catalog.product.import' AND e.parent_id IS NULL
          AND (s.updated + s.unchanged > 0 OR s.created <>
            (SELECT count(*) FROM catalog_product p WHERE p.sku LIKE e.note || '-%'))""",
    "warnings are counted": """
        SELECT e.id FROM jobs_jobexecution e WHERE e.parent_id IS NULL AND e.warnings_count <>
          (SELECT count(*) FROM jobs_stepwarning w WHERE w.execution_id = e.id)""",
    "attempts are numbered without gap, and ended": """
        SELECT e.id, e.attempt, count(a.id), max(a.number), count(a.ended_at)
        FROM jobs_jobexecution e LEFT JOIN jobs_attempt a ON a.execution_id = e.id GROUP BY e.id
        HAVING count(a.id) <> e.attempt OR coalesce(max(a.number), 0) <> e.attempt
          OR count(a.ended_at) <> e.attempt""",
    "attempts of one execution do not overlap": """
        SELECT a.execution_id, a.number, b.number FROM jobs_attempt a
        JOIN jobs_attempt b ON b.execution_id = a.execution_id AND b.number > a.number
        WHERE b.started_at < a.ended_at""",
    "no attempt commits after the next has begun": """
        SELECT f.execution, f.row, f.attempt, b.number FROM samples_effect f
        JOIN jobs_attempt b ON b.execution_id = f.execution AND b.number > f.attempt
        WHERE pg_xact_commit_timestamp(f.xmin) > b.started_at""",
    "a stop is true in time": """
        SELECT id, status, finished_at - stop_deadline_at FROM jobs_jobexecution
        WHERE stop_requested_at IS NOT NULL AND (finished_at IS NULL
          OR finished_at > coalesce(stop_deadline_at, stop_requested_at) + interval '16 s')""",
    "a finished row never changes": "SELECT * FROM campaign_change",
    "what is lost has crashed as often as allowed": f"""
        SELECT id, crashes FROM jobs_jobexecution
        WHERE status = 'lost' AND crashes <> {settings.JOBS_MAX_CRASHES}""",
    # Frozen between two checkpoints, a function is told that it held its transaction too long. A
    # part that used up its crashes is lost (the rule above), and fails what it is a part of.
    "nothing fails": """
        SELECT id, job, error FROM jobs_jobexecution e WHERE status = 'failed'
          AND NOT (job = 'faults.function' AND error LIKE 'It held a transaction open%')
          AND NOT EXISTS (SELECT FROM jobs_jobexecution part
            WHERE part.parent_id = e.id AND part.status = 'lost')""",
}

# Notes every change of a finished execution.
WATCH = """
CREATE TABLE IF NOT EXISTS campaign_change (id uuid, before text, after text, at timestamptz);
CREATE OR REPLACE FUNCTION campaign_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO campaign_change VALUES (OLD.id, OLD.status, NEW.status, clock_timestamp());
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER campaign_note BEFORE UPDATE ON jobs_jobexecution FOR EACH ROW
WHEN (OLD.finished_at IS NOT NULL AND (OLD.status, OLD.attempt, OLD.checkpoints, OLD.finished_at)
  IS DISTINCT FROM (NEW.status, NEW.attempt, NEW.checkpoints, NEW.finished_at))
EXECUTE FUNCTION campaign_note();
"""


def violations(campaign: Campaign) -> list[str]:
    """Every rule that is broken, with the first rows that break it."""
    found = []
    with connection.cursor() as cursor:
        for rule, statement in RULES.items():
            cursor.execute(statement)
            if broken := cursor.fetchall():
                found.append(f"{rule}: {len(broken)} do not, {broken[:3]}")
    for rule in (_ended, _histories, _launches, _requests, _files, _processes):
        found += rule(campaign)
    for result in look_at_all():
        found += [f"{result.invariant.sentence} {each}" for each in result.violations[:3]]
    return found


def _ended(campaign: Campaign) -> list[str]:
    return [
        f"nothing is left open: {row.name} {row.pk} is {row.status}, console {row.console_open}"
        for row in JobExecution.objects.all()
        if row.is_live
    ]


def _histories(campaign: Campaign) -> list[str]:
    """Every history begins with a launch, has no gap, follows the table, and ends where it is."""
    found = []
    for row in JobExecution.objects.prefetch_related("history"):
        changes = list(row.history.all())
        if not changes or changes[0].event != StatusChange.LAUNCH:
            found.append(f"a history begins with a launch: not that of {row.pk}")
            continue
        found += [
            f"a history has no gap: {row.pk} {first} then {second}"
            for first, second in pairwise(changes)
            if first.after != second.before
        ]
        found += [
            f"a history follows the table: {row.pk} {change.event} {change}"
            for change in changes[1:]
            if not _legal(change)
        ]
        if changes[-1].after != row.status:
            found.append(f"a history ends where the execution is: {row.pk} {changes[-1]}")
    return found


def _legal(change: StatusChange) -> bool:
    if change.before == change.after == Status.STOPPING and change.event == Event.STOP:
        return True  # a stop that became harder
    return MOVES[Event(change.event)].get(Status(change.before)) == change.after


def _launches(campaign: Campaign) -> list[str]:
    """Every accepted launch is one execution; every execution was launched."""
    there = Counter(JobExecution.objects.filter(parent=None).values_list("note", flat=True))
    accepted, tried = campaign.tokens("accepted"), campaign.tokens("accepted", "unknown")
    found = [f"a launch is one execution: {token} is {there[token]}" for token in accepted
             if there[token] != 1]  # fmt: skip
    return found + [f"an execution was launched: {token}" for token in there if token not in tried]


def _requests(campaign: Campaign) -> list[str]:
    """Every accepted request stands in the history, and none that nobody made."""
    found = []
    for event in ("pause", "resume"):
        there = StatusChange.objects.filter(event=event).count()
        least = campaign.outcomes[event, "accepted"]
        most = least + campaign.outcomes[event, "unknown"]
        if not least <= there <= most:
            found.append(f"a {event} stands in the history: {there}, not {least} to {most}")
    stopped = {pk for (event, pk) in campaign.accepted if event in {"stop", "abort"}}
    rows = JobExecution.objects.filter(pk__in=stopped)
    return found + [
        f"a stop stands in the history: not that of {row.pk}"
        for row in rows
        if not row.history.filter(event__in=("stop", "abort")).exists()
    ]


def _files(campaign: Campaign) -> list[str]:
    """A file's row and its content agree."""
    found = []
    for row in ExecutionFile.objects.filter(role=ExecutionFile.Role.OUTPUT):
        with row.file.open("rb") as content:
            if hashlib.sha256(content.read()).hexdigest() != row.sha256:
                found.append(f"a file is what its row says: {row.pk} is not")
    return found


def _processes(campaign: Campaign) -> list[str]:
    """No job process outlives its execution."""
    held = JobExecution.objects.filter(status__in=HELD).count()
    jobs = campaign.jobs()
    return [f"no job outlives its execution: {jobs}"] if len(jobs) > held else []
