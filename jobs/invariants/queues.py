"""What waits goes on when its moment has come; what may run at once is limited."""

from __future__ import annotations

from jobs.invariants.base import Invariant, Violation
from jobs.models import JobExecution
from jobs.waiting import waiting_for


def _about_to_start(found: list[Violation]) -> list[Violation]:
    """Those that nothing holds back by their own words."""
    executions = JobExecution.objects.filter(pk__in=[row.execution for row in found])
    reasons = waiting_for(executions)
    return [
        row
        for row in found
        if row.execution in reasons and reasons[row.execution].reason == "starting"
    ]


# In a queue where a place became free a moment ago something may be about to start; so may be
# whatever waits for a place under a limit, which any queue may have given free.
NOT_STARTED = Invariant(
    code="not_started",
    sentence="A queued execution starts while its queue has free slots, or says what it waits for.",
    sql="""
WITH freed AS MATERIALIZED (
  SELECT DISTINCT e.queue FROM (
    SELECT execution_id, before, at FROM jobs_statuschange ORDER BY id DESC LIMIT 10000) h
  JOIN jobs_jobexecution e ON e.id = h.execution_id
  WHERE h.at > clock_timestamp() - make_interval(secs => %(again)s + %(late)s)
    AND h.before = ANY(%(held)s)
), standing AS (
  SELECT DISTINCT queue FROM jobs_worker w, unnest(w.queues) queue
  WHERE w.kind = 'worker' AND w.slots > 0
    AND w.started_at < clock_timestamp() - make_interval(secs => %(again)s + %(late)s)
  EXCEPT SELECT queue FROM freed
)
SELECT * FROM (
  SELECT id AS execution, queue AS subject,
    extract(epoch FROM clock_timestamp() - greatest(queued_at, retry_at)) AS seconds
  FROM jobs_jobexecution
  WHERE status = 'queued' AND queue IN (SELECT queue FROM standing)
    AND greatest(queued_at, retry_at)
      < clock_timestamp() - make_interval(secs => %(again)s + %(late)s)
    AND (dispatched_at < clock_timestamp()
           - make_interval(secs => least(600, %(again)s * 2 ^ least(dispatch_count, 10)) + %(late)s)
         OR dispatched_at IS NULL)
    AND (limits = '{}' OR NOT EXISTS (SELECT FROM freed))
  ORDER BY queue, priority, id LIMIT 50) heads""",
    wrong="has been next in line of “{subject}” for {seconds:.0f} s, beside free slots.",
    repair="Sends its message again.",
    narrow=_about_to_start,
)

DEFERRED_PAST_TIME = Invariant(
    code="deferred_past_time",
    sentence="What is held until a moment is queued then.",
    sql="""
SELECT id AS execution, extract(epoch FROM clock_timestamp() - not_before) AS seconds
FROM jobs_jobexecution
WHERE status = 'deferred'
  AND not_before < clock_timestamp() - make_interval(secs => %(late)s)
ORDER BY id""",
    wrong="is deferred, {seconds:.0f} s after its time had come.",
    repair="Queues it.",
)

NOT_EXPIRED = Invariant(
    code="not_expired",
    sentence="What was not started before its deadline expires.",
    sql="""
SELECT id AS execution, status, extract(epoch FROM clock_timestamp() - expires_at) AS seconds
FROM jobs_jobexecution
WHERE status IN ('deferred', 'queued') AND started_at IS NULL
  AND expires_at < clock_timestamp() - make_interval(secs => %(late)s)
ORDER BY id""",
    wrong="is {status}, {seconds:.0f} s after its deadline.",
    repair="Ends it as expired.",
)

JOINING_ALONE = Invariant(
    code="joining_alone",
    sentence="What waits for its children goes on when the last of them has ended.",
    sql="""
SELECT e.id AS execution
FROM jobs_jobexecution e
WHERE e.status = 'joining' AND NOT EXISTS (
  SELECT FROM jobs_jobexecution c WHERE c.parent_id = e.id AND (c.finished_at IS NULL
    OR c.finished_at > clock_timestamp() - make_interval(secs => %(late)s)))
  AND NOT EXISTS (SELECT FROM jobs_statuschange h WHERE h.execution_id = e.id
    AND h.at > clock_timestamp() - make_interval(secs => %(late)s))
ORDER BY e.id""",
    wrong="waits for children, but none of its children is open.",
    repair="Queues it; it goes on behind its children.",
)

CHILD_LEFT_OPEN = Invariant(
    code="child_left_open",
    sentence="Children end with their parent.",
    sql="""
SELECT c.id AS execution, p.id AS subject, c.status,
  extract(epoch FROM clock_timestamp() - p.finished_at) AS seconds
FROM jobs_jobexecution c JOIN jobs_jobexecution p ON p.id = c.parent_id
WHERE c.status = ANY(%(open)s) AND c.parent_id IS NOT NULL AND p.finished_at < clock_timestamp()
  - make_interval(secs => %(grace)s + %(kill_after)s + %(lease)s + %(late)s)
  AND coalesce(c.stop_deadline_at, '-infinity') < clock_timestamp()
    - make_interval(secs => %(kill_after)s + %(lease)s + %(late)s)
ORDER BY c.id""",
    wrong="is {status}, but its parent {subject} ended {seconds:.0f} s ago.",
    repair="Aborts it.",
)

SLOT_KEPT = Invariant(
    code="slot_kept",
    sentence="What is finished, paused or has not begun holds no place under a limit.",
    sql="""
SELECT e.id AS execution, s.key AS subject, s.number, e.status
FROM jobs_slot s JOIN jobs_jobexecution e ON e.id = s.execution_id
WHERE e.status = ANY(%(finished)s) OR e.status IN ('paused', 'deferred')
  OR (e.status = 'queued' AND e.attempt = 0)
ORDER BY s.id""",
    wrong="is {status}, but holds place {number} under “{subject}”.",
    repair="Gives the place back; the next in line may start.",
)

SLOT_BEYOND_LIMIT = Invariant(
    code="slot_beyond_limit",
    sentence="Places under a limit are numbered below it.",
    sql="""
SELECT e.id AS execution, s.key AS subject, s.number, e.limits ->> s.key AS allowed
FROM jobs_slot s JOIN jobs_jobexecution e ON e.id = s.execution_id
WHERE e.status = ANY(%(held)s) AND s.number >= coalesce((e.limits ->> s.key)::int, 0)
ORDER BY s.id""",
    wrong="holds place {number} under “{subject}”, where {allowed} may run at once.",
    look="More may run at once than is allowed. Stop one of those that hold a place under the key.",
)

HELD_BEYOND_LIMIT = Invariant(
    code="held_beyond_limit",
    sentence="Under each limit no more executions run at once than it allows.",
    sql="""
SELECT NULL::uuid AS execution, key AS subject, count(*) AS running, max(value::int) AS allowed
FROM jobs_jobexecution e, jsonb_each_text(e.limits)
WHERE e.status = ANY(%(held)s)
GROUP BY key HAVING count(*) > max(value::int)
ORDER BY key""",
    wrong="has {running} executions running at once, where {allowed} may.",
    look="Work that excludes other work ran beside it. Stop one of them and compare what they did.",
)

INVARIANTS = (
    NOT_STARTED,
    DEFERRED_PAST_TIME,
    NOT_EXPIRED,
    JOINING_ALONE,
    CHILD_LEFT_OPEN,
    SLOT_KEPT,
    SLOT_BEYOND_LIMIT,
    HELD_BEYOND_LIMIT,
)
