"""The order in which queued executions start, as SQL that dispatch and `waiting` share.

A lower priority goes first. Then it is fair between people: who has the fewest at work or on their
way in the queue goes first, and each further one of a person's counts on top. Then who has waited
longest. The platform counts as one person.

Nothing here looks at every queued row. People are found by leaping from one to the next in
`execution_line_idx`, and of each only the first rows are read; so somebody's 10,000 cost no more
than their first ones, unless these have to be passed over because they cannot start.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from jobs.models.fleet import SEEN_WITHIN
from jobs.states import HELD

# `sent` are the messages under way: a row counts until it is claimed, or until its message is
# taken for lost: after JOBS_REDISPATCH_SECONDS, doubled with every repetition, up to ten minutes.
# `workers` are those that take something now. Their `aimed` says whether they take another message
# for them alone: no more of these wait at a node than it has slots, so that they fill no queue.
FLEET = """
sent AS MATERIALIZED (
  SELECT id, queue, dispatched_at, coalesce(user_id, 0) AS person, limits, aimed_node, aimed_roles,
    aimed_node <> '' OR aimed_roles <> '{}' AS aimed
  FROM jobs_jobexecution
  WHERE status = 'queued' AND queue = ANY(%(queues)s) AND dispatched_at IS NOT NULL
    AND dispatched_at > clock_timestamp() - make_interval(
      secs => least(600, %(again)s * 2 ^ least(dispatch_count, 10)))
), workers AS MATERIALIZED (
  SELECT q.queue, w.name, w.node, w.roles, w.slots, w.definitions, w.slots > (
      SELECT count(*) FROM sent s
      WHERE s.aimed AND s.aimed_node IN ('', w.node) AND s.aimed_roles <@ w.roles) AS aimed
  FROM jobs_worker w JOIN unnest(%(queues)s::text[]) q(queue) ON q.queue = ANY(w.queues)
  WHERE w.kind = 'worker' AND w.slots > 0 AND w.drain_requested_at IS NULL
    AND w.seen_at > clock_timestamp() - %(seen)s
)"""

# From `room` (queue, n): `line` has the first n of every person and priority that could start now,
# with their `turn`. `closed` are the keys of limits under which nothing more may start, `early`
# those of start rates. An execution that holds slots already goes on whatever else is closed.
LINE = """
busy AS MATERIALIZED (
  SELECT queue, person, count(*) AS n FROM (
    SELECT queue, person FROM sent
    UNION ALL
    SELECT queue, coalesce(user_id, 0) FROM jobs_jobexecution
    WHERE status = ANY(%(held)s) AND queue = ANY(%(queues)s)
  ) at_work GROUP BY queue, person
), taken AS MATERIALIZED (
  SELECT key, count(*) AS n, min(most) AS most FROM (
    SELECT s.key, e.id, (e.limits ->> s.key)::int AS most
    FROM jobs_slot s JOIN jobs_jobexecution e ON e.id = s.execution_id
    UNION
    SELECT l.key, sent.id, l.value::int FROM sent, jsonb_each_text(sent.limits) l
  ) takers GROUP BY key
), closed AS MATERIALIZED (
  SELECT coalesce(array_agg(key::text), '{}') AS keys FROM taken WHERE n >= most
), early AS MATERIALIZED (
  SELECT coalesce(array_agg(key::text), '{}') AS keys FROM jobs_startrate
  WHERE next_at > clock_timestamp()
), people AS (
  (SELECT room.queue, room.n, first.* FROM room, LATERAL (
     SELECT priority, coalesce(user_id, 0) AS person FROM jobs_jobexecution e
     WHERE e.status = 'queued' AND e.queue = room.queue
     ORDER BY e.priority, coalesce(e.user_id, 0) LIMIT 1
   ) first WHERE room.n > 0)
  UNION ALL
  SELECT people.queue, people.n, next.* FROM people, LATERAL (
    SELECT priority, coalesce(user_id, 0) AS person FROM jobs_jobexecution e
    WHERE e.status = 'queued' AND e.queue = people.queue
      AND (e.priority, coalesce(e.user_id, 0)) > (people.priority, people.person)
    ORDER BY e.priority, coalesce(e.user_id, 0) LIMIT 1
  ) next
), line AS MATERIALIZED (
  SELECT own.*, people.queue, people.priority, coalesce(busy.n, 0) + row_number() OVER (
      PARTITION BY people.queue, people.person
      ORDER BY people.priority, own.queued_at, own.id) AS turn
  FROM people LEFT JOIN busy USING (queue, person), LATERAL (
    SELECT e.id, e.queued_at, e.dispatched_at, h.holds,
      CASE WHEN h.holds THEN '{}' ELSE e.limits END AS wants
    FROM jobs_jobexecution e, LATERAL (
      SELECT e.attempt > 0 AND EXISTS (SELECT FROM jobs_slot s WHERE s.execution_id = e.id) AS holds
    ) h
    WHERE e.status = 'queued' AND e.queue = people.queue
      AND e.priority = people.priority AND coalesce(e.user_id, 0) = people.person
      AND (e.retry_at IS NULL OR e.retry_at <= clock_timestamp())
      AND (e.dispatched_at IS NULL OR NOT EXISTS (SELECT FROM sent WHERE sent.id = e.id))
      AND (NOT e.limits ?| (SELECT keys FROM closed) OR h.holds)
      AND (e.attempt > 0 OR NOT e.start_rates ?| (SELECT keys FROM early))
      AND EXISTS (
        SELECT FROM workers w WHERE w.queue = people.queue AND w.definitions ? e.job
          AND (e.attempt = 0 OR w.definitions ->> e.job = e.job_version)
          AND (e.aimed_node = '' AND e.aimed_roles = '{}'
               OR w.aimed AND e.aimed_node IN ('', w.node) AND e.aimed_roles <@ w.roles))
    ORDER BY e.queued_at, e.id LIMIT people.n
  ) own
)"""


def values(queues: list[str]) -> dict[str, Any]:
    """What the statements are told."""
    return {
        "queues": queues,
        "again": settings.JOBS_REDISPATCH_SECONDS,
        "seen": SEEN_WITHIN,
        "held": sorted(HELD),
    }
