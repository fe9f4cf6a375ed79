"""Schedules, the outbox and those who work."""

from __future__ import annotations

from jobs.invariants.base import Invariant

SCHEDULE_LATE = Invariant(
    code="schedule_late",
    sentence="A schedule fires when its time has come.",
    sql="""
SELECT NULL::uuid AS execution, 'Schedule ' || code AS subject,
  extract(epoch FROM clock_timestamp() - next_at) AS seconds
FROM jobs_schedule
WHERE enabled AND next_at < clock_timestamp() - make_interval(secs => 60 + %(late)s)
ORDER BY code""",
    wrong="has not fired, {seconds:.0f} s after its time.",
    repair="Fires what is due now, as each schedule says of times that were missed.",
)

FIRED_TWICE = Invariant(
    code="fired_twice",
    sentence="Each time of a schedule launches at most once.",
    sql="""
WITH {scope}
SELECT max(e.id::text)::uuid AS execution, e.scheduled_for AS subject, count(*) AS launches
FROM scope JOIN jobs_jobexecution e USING (id)
WHERE e.schedule_id IS NOT NULL AND e.trigger = 'schedule'
GROUP BY e.schedule_id, e.scheduled_for HAVING count(*) > 1
ORDER BY e.scheduled_for""",
    wrong="is one of {launches} that were launched for {subject}.",
    look="Work was done twice. Stop the later one, and find out who launched it.",
)

OUTBOX_LATE = Invariant(
    code="outbox_late",
    sentence="A message that is due is sent within ten minutes, tried again later, or given up.",
    sql="""
SELECT execution_id AS execution, 'Message ' || dedupe_key AS subject,
  extract(epoch FROM clock_timestamp() - due_at) AS seconds
FROM jobs_outboxmessage
WHERE sent_at IS NULL AND given_up_at IS NULL
  AND due_at < clock_timestamp() - make_interval(secs => 600 + %(late)s)
ORDER BY due_at""",
    wrong="has a message that was due {seconds:.0f} s ago: {subject}.",
    look="The controller sends messages: see that one runs, and what its log says of this one.",
)

WORKER_FORGOTTEN = Invariant(
    code="worker_forgotten",
    sentence="A worker that has not been heard of for an hour is forgotten.",
    sql="""
SELECT NULL::uuid AS execution, name AS subject,
  extract(epoch FROM clock_timestamp() - seen_at) / 60 AS minutes
FROM jobs_worker
WHERE seen_at < clock_timestamp() - make_interval(hours => 1, secs => 60 + %(late)s)
ORDER BY name""",
    wrong="is listed as a worker, but was last heard of {minutes:.0f} minutes ago.",
    repair="Forgets the worker; if it is alive, it reports itself again.",
)

INVARIANTS = (SCHEDULE_LATE, FIRED_TWICE, OUTBOX_LATE, WORKER_FORGOTTEN)
