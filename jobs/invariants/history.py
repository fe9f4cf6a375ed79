"""The history tells what happened: all of it, in order, and nothing after the end."""

from __future__ import annotations

from jobs.invariants.base import Invariant

LOOK = "Somebody wrote rows without transition(). Find out who: nothing may be invented here."

STATUS_UNTOLD = Invariant(
    code="status_untold",
    sentence="The status of an execution is the one its history ends with.",
    sql="""
WITH {scope}, last AS (
  SELECT DISTINCT ON (execution_id) execution_id, after
  FROM jobs_statuschange h JOIN scope ON scope.id = execution_id ORDER BY execution_id, h.id DESC
)
SELECT e.id AS execution, e.status, last.after
FROM last JOIN jobs_jobexecution e ON e.id = execution_id
WHERE last.after <> e.status
ORDER BY e.id""",
    wrong="is {status}, but its history ends with {after}.",
    look=LOOK,
)

LAUNCH_UNTOLD = Invariant(
    code="launch_untold",
    sentence="The history of every execution begins with its launch.",
    sql="""
WITH {scope}, first AS (
  SELECT DISTINCT ON (execution_id) execution_id, event
  FROM jobs_statuschange h JOIN scope ON scope.id = execution_id ORDER BY execution_id, h.id
)
SELECT e.id AS execution, e.status
FROM scope JOIN jobs_jobexecution e USING (id) LEFT JOIN first ON execution_id = e.id
WHERE first.event IS DISTINCT FROM 'launch'
ORDER BY e.id""",
    wrong="is {status}, but its history does not begin with a launch.",
    look=LOOK,
)

HISTORY_GAP = Invariant(
    code="history_gap",
    sentence="Each line of a history begins with the status that the line before led to.",
    sql="""
WITH {scope}, lines AS (
  SELECT h.id, execution_id, event, before, after,
    lag(after) OVER (PARTITION BY execution_id ORDER BY h.id) AS earlier
  FROM jobs_statuschange h JOIN scope ON scope.id = execution_id
)
SELECT execution_id AS execution, id AS subject, event, before, earlier
FROM lines WHERE before <> coalesce(earlier, '')
ORDER BY id""",
    wrong="has a line “{event}” from “{before}” in its history, behind one to “{earlier}”.",
    look=LOOK,
)

FINISHED_CHANGED = Invariant(
    code="finished_changed",
    sentence="A finished execution never changes again.",
    sql="""
WITH {scope}
SELECT e.id AS execution, e.status,
  CASE WHEN h.before = ANY(%(finished)s) THEN 'was moved from ' || h.before || ' to ' || h.after
       WHEN e.progress_at > e.finished_at + interval '1 second' THEN 'made progress'
       ELSE 'got another time of its end' END AS what
FROM scope JOIN jobs_jobexecution e USING (id)
JOIN jobs_statuschange h ON h.execution_id = e.id AND h.before <> h.after
WHERE h.before = ANY(%(finished)s)
  OR (h.after = ANY(%(finished)s) AND h.after = e.status AND (
    e.progress_at > e.finished_at + interval '1 second'
    OR e.finished_at NOT BETWEEN h.at - make_interval(secs => %(late)s)
                             AND h.at + make_interval(secs => %(late)s)))
ORDER BY e.id""",
    wrong="is {status}, and {what} after it had ended.",
    look=LOOK,
)

REQUEST_UNTOLD = Invariant(
    code="request_untold",
    sentence="Every stop that was asked for stands in the history.",
    sql="""
WITH {scope}
SELECT e.id AS execution, e.status
FROM scope JOIN jobs_jobexecution e USING (id)
WHERE e.stop_requested_at IS NOT NULL AND NOT EXISTS (
  SELECT FROM jobs_statuschange h WHERE h.execution_id = e.id AND h.event IN ('stop', 'abort'))
ORDER BY e.id""",
    wrong="is {status} and was asked to stop, but its history does not say by whom.",
    look=LOOK,
)

INVARIANTS = (STATUS_UNTOLD, LAUNCH_UNTOLD, HISTORY_GAP, FINISHED_CHANGED, REQUEST_UNTOLD)
