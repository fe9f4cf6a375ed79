"""Why an execution is not running, as one sentence from data."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.formats import date_format

from jobs.line import FLEET, LINE, values
from jobs.models import JobExecution
from jobs.models.fleet import SEEN_WITHIN
from jobs.models.limits import Rate, limited, too_early
from jobs.states import Status

MANY = 100  # nobody counts how many more of a person's own are ahead


@dataclass(frozen=True, slots=True)
class Waiting:
    """`reason` is a code for programs, `text` the sentence for people.

    `holder` is the execution that has the slot it waits for.
    """

    reason: str
    text: str
    holder: uuid.UUID | None = None


def waiting(execution: JobExecution) -> Waiting | None:
    """Why `execution` waits, or None when it does not."""
    return waiting_for([execution]).get(execution.pk)


def waiting_for(executions: Iterable[JobExecution]) -> dict[uuid.UUID, Waiting]:
    """Why each of these waits, by id; those that do not wait are left out. At most two queries."""
    answers: dict[uuid.UUID, Waiting] = {}
    asked: dict[uuid.UUID, JobExecution] = {}
    for execution in executions:
        if reason := _by_itself(execution):
            answers[execution.pk] = reason
        elif execution.status in {Status.QUEUED, Status.JOINING}:
            asked[execution.pk] = execution
    facts = _facts(asked)
    for pk, found in facts.items():
        if reason := _held_back(asked[pk], found):
            answers[pk] = reason
    in_line = {pk: execution for pk, execution in asked.items() if pk not in answers}
    places = _places(in_line)
    return answers | {pk: _turn(places.get(pk), facts[pk]) for pk in in_line if pk in facts}


def _by_itself(execution: JobExecution) -> Waiting | None:
    """What the row alone says."""
    match execution.status:
        case Status.DEFERRED if execution.not_before:
            return Waiting("not_before", f"Held until {_at(execution.not_before)}.")
        case Status.DEFERRED:
            return Waiting("deferred", "Held until somebody activates it.")
        case Status.PAUSED:
            return Waiting("paused", "Paused until somebody resumes it.")
        case Status.PAUSING | Status.STOPPING if execution.section:
            word = "Stops" if execution.status == Status.STOPPING else "Pauses"
            latest = execution.section_until
            until = f", at the latest {timezone.localtime(latest):%H:%M:%S}" if latest else ""
            return Waiting("section", f"{word} when “{execution.section}” is done{until}.")
        case Status.QUEUED if execution.retry_at and execution.retry_at > timezone.now():
            if not execution.attempt:
                return Waiting("start_rate", execution.reason)
            said = execution.reason or "Its worker was lost."
            return Waiting("retry", f"{said} It goes on at {_at(execution.retry_at)}.")
    return None


# For each execution: who holds back everything; its queue's workers and when one was last heard of;
# which of them it fits; how far its children are; who has the slots it needs, and whose start rate
# has not come round.
FACTS = f"""
WITH {FLEET}
SELECT e.id, maintenance.reason AS maintenance, paused.name IS NOT NULL AS is_paused,
  paused.reason AS why_paused, people.username AS paused_by, fleet.*, children.*, held.*, rate.*,
  e.id IN (SELECT id FROM sent) AS is_sent,
  (SELECT count(*) FROM jobs_jobexecution h WHERE h.status = ANY(%(held)s) AND h.queue = e.queue)
    AS running
FROM jobs_jobexecution e
LEFT JOIN jobs_maintenance maintenance ON true
LEFT JOIN jobs_pausedqueue paused ON paused.name = e.queue
LEFT JOIN auth_user people ON people.id = paused.by_id
CROSS JOIN LATERAL (
  SELECT coalesce(sum(w.slots), 0) AS slots, count(*) AS workers,
    bool_or(w.definitions ? e.job) AS knows,
    bool_or(w.definitions ->> e.job = e.job_version) AS same,
    bool_or(e.aimed_node IN ('', w.node) AND e.aimed_roles <@ w.roles) AS fits,
    (SELECT max(seen_at) FROM jobs_worker l WHERE e.queue = ANY(l.queues)) AS last_seen
  FROM workers w WHERE w.queue = e.queue
) fleet
CROSS JOIN LATERAL (
  SELECT count(*) AS children, count(finished_at) AS ended
  FROM jobs_jobexecution c WHERE c.parent_id = e.id AND e.status = 'joining'
) children
LEFT JOIN LATERAL (
  SELECT l.key AS limit_key, l.value::int AS most, h.id AS holder, h.started_at AS held_since
  FROM jsonb_each_text(e.limits) l, LATERAL (
    SELECT count(*) OVER () AS n, o.id, o.started_at
    FROM jobs_slot s JOIN jobs_jobexecution o ON o.id = s.execution_id
    WHERE s.key = l.key ORDER BY o.started_at LIMIT 1
  ) h
  WHERE h.n >= l.value::int AND NOT EXISTS (SELECT FROM jobs_slot s WHERE s.execution_id = e.id)
  LIMIT 1
) held ON true
LEFT JOIN LATERAL (
  SELECT r.key AS rate_key, l.value AS rate, r.next_at FROM jsonb_each_text(e.start_rates) l
  JOIN jobs_startrate r ON r.key = l.key
  WHERE e.attempt = 0 AND r.next_at > clock_timestamp() ORDER BY r.next_at DESC LIMIT 1
) rate ON true
WHERE e.id = ANY(%(ids)s)
"""  # noqa: S608 (the parts are our own)

PLACES = f"""
WITH RECURSIVE {FLEET}, room AS (SELECT unnest(%(queues)s::text[]) AS queue, {MANY} AS n), {LINE},
places AS (
  SELECT id, row_number() OVER (PARTITION BY queue ORDER BY dispatched_at, id) AS place FROM sent
  UNION ALL
  SELECT id, row_number() OVER (PARTITION BY queue ORDER BY priority, turn, queued_at, id)
    + (SELECT count(*) FROM sent WHERE sent.queue = line.queue)
  FROM line
)
SELECT id, place FROM places WHERE id = ANY(%(ids)s)
"""  # noqa: S608


def _facts(asked: Mapping[uuid.UUID, JobExecution]) -> dict[uuid.UUID, dict[str, Any]]:
    return {row["id"]: row for row in _rows(FACTS, asked)}


def _places(in_line: Mapping[uuid.UUID, JobExecution]) -> dict[uuid.UUID, int]:
    return {row["id"]: row["place"] for row in _rows(PLACES, in_line)}


def _rows(statement: str, about: Mapping[uuid.UUID, JobExecution]) -> list[dict[str, Any]]:
    if not about:
        return []
    queues = sorted({execution.queue for execution in about.values()})
    with connection.cursor() as cursor:
        cursor.execute(statement, values(queues) | {"ids": list(about)})
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _held_back(execution: JobExecution, facts: dict[str, Any]) -> Waiting | None:
    """Why it could not start now, whatever its place in line."""
    if execution.status == Status.JOINING:
        ended, children = facts["ended"], facts["children"]
        return Waiting("children", f"Waiting for {children - ended} of {children} children.")
    if facts["maintenance"] is not None:
        return Waiting("maintenance", f"Maintenance: {facts['maintenance']}")
    if facts["is_paused"]:
        return Waiting("queue_paused", _pause(execution, facts))
    return (
        _unable(execution, facts) or _slot_taken(execution, facts) or _too_early(execution, facts)
    )


def _pause(execution: JobExecution, facts: dict[str, Any]) -> str:
    by = f" by {facts['paused_by']}" if facts["paused_by"] else ""
    why = f": {facts['why_paused']}" if facts["why_paused"] else "."
    return f"The queue “{execution.queue}” is paused{by}{why}"


def _unable(execution: JobExecution, facts: dict[str, Any]) -> Waiting | None:
    """Why no worker of its queue could take it, however long it waits."""
    queue = f"the queue “{execution.queue}”"
    if not facts["workers"]:
        return Waiting("no_worker", _nobody(queue, facts["last_seen"]))
    if not facts["knows"]:
        return Waiting("unknown_job", f"No live worker has the code of the job {execution.job!r}.")
    if execution.attempt and not facts["same"]:
        return Waiting("other_version", "No live worker has the version that it began with.")
    if not facts["fits"]:
        aims = [f"is on the node “{execution.aimed_node}”"] if execution.aimed_node else []
        if roles := execution.aimed_roles:
            aims.append(f"has the role{'s' if len(roles) > 1 else ''} {', '.join(roles)}")
        return Waiting("no_node", f"No live worker of {queue} {' and '.join(aims)}.")
    return None


def _nobody(queue: str, last_seen: dt.datetime | None) -> str:
    if last_seen is None:
        return f"No worker is on {queue}."
    if timezone.now() - last_seen < SEEN_WITHIN:
        return f"The workers of {queue} are told to take nothing more."
    return f"No worker is on {queue} since {_since(last_seen)}."


def _slot_taken(execution: JobExecution, facts: dict[str, Any]) -> Waiting | None:
    if facts["limit_key"] is None:
        return None
    since = f" (running since {_since(facts['held_since'])})" if facts["held_since"] else ""
    most = "one" if facts["most"] == 1 else facts["most"]
    return Waiting(
        "limit",
        f"Waits for {limited(execution, facts['limit_key'])}{since}, {most} at a time.",
        facts["holder"],
    )


def _too_early(execution: JobExecution, facts: dict[str, Any]) -> Waiting | None:
    if facts["rate_key"] is None:
        return None
    said = too_early(execution, facts["rate_key"], Rate.parse(facts["rate"]), facts["next_at"])
    return Waiting("start_rate", said)


def _turn(place: int | None, facts: dict[str, Any]) -> Waiting:
    """Where it stands in line; `place` is None far behind."""
    running, slots = facts["running"], facts["slots"]
    busy = (
        f"all {slots} slots are busy"
        if running >= slots
        else f"{running} of {slots} slots are busy"
    )
    if place is None:
        return Waiting("queue", f"{MANY} or more are ahead of it; {busy}.")
    if place > 1:
        return Waiting("queue", f"{_ordinal(place)} in line; {busy}.")
    if running >= slots:
        return Waiting("slots", f"Next in line; {busy}.")
    return Waiting("starting", "Next in line; a worker is about to take it.")


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{'th' if number % 100 in {11, 12, 13} else ending}"


def _since(moment: dt.datetime) -> str:
    local = timezone.localtime(moment)
    return f"{local:%H:%M}" if local.date() == timezone.localdate() else _at(moment)


def _at(moment: dt.datetime) -> str:
    local = timezone.localtime(moment)
    return f"{date_format(local, 'j M Y, H:i')} {local.tzname()}"
