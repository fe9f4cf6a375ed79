"""Whether one more may start now: slots under the limits of an execution, and start rates."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from jobs.models import JobExecution
from jobs.models.limits import Rate, too_early

# Under each key a claim has its turn; so of two that come at once both see what is really free.
# The constraints of jobs_slot hold even if somebody did not ask for his turn.
TURNS = """
SELECT pg_advisory_xact_lock(hashtextextended('slot ' || key, 0))
FROM (SELECT jsonb_object_keys(limits) AS key FROM jobs_jobexecution WHERE id = %(id)s ORDER BY 1) k
"""
# The lowest free number under each key of which it has none yet; returns how many it still lacks.
TAKE = """
WITH lacking AS (
  SELECT l.key, l.value::int AS most
  FROM jobs_jobexecution e, jsonb_each_text(e.limits) l
  WHERE e.id = %(id)s
    AND NOT EXISTS (SELECT FROM jobs_slot s WHERE s.execution_id = e.id AND s.key = l.key)
), taken AS (
  INSERT INTO jobs_slot (key, number, execution_id)
  SELECT lacking.key, free.number, %(id)s FROM lacking, LATERAL (
    SELECT min(n) AS number FROM generate_series(0, lacking.most - 1) n
    WHERE NOT EXISTS (SELECT FROM jobs_slot s WHERE s.key = lacking.key AND s.number = n)
  ) free
  WHERE (SELECT count(*) FROM jobs_slot s WHERE s.key = lacking.key) < lacking.most
  ORDER BY lacking.key
  ON CONFLICT DO NOTHING
  RETURNING key
)
SELECT (SELECT count(*) FROM lacking) - (SELECT count(*) FROM taken)
"""
# One start takes the turn of the next; nothing is returned when it comes too early.
START = """
INSERT INTO jobs_startrate AS r (key, next_at)
VALUES (%(key)s, clock_timestamp() + %(interval)s)
ON CONFLICT (key) DO UPDATE SET next_at = excluded.next_at WHERE r.next_at <= clock_timestamp()
RETURNING next_at
"""


@dataclass
class NotYet(Exception):
    """It cannot start now; `until` and `why` are known where a start rate holds it back."""

    until: dt.datetime | None = None
    why: str = ""


def admit(row: JobExecution) -> None:
    """Take a slot under each of its limits and, at its first start, the turn of each start rate.

    Raises NotYet, with nothing taken. What it has from an earlier attempt it keeps.
    """
    with transaction.atomic():
        if row.limits:
            _take_slots(row)
        if not row.attempt:
            for key, text in sorted(row.start_rates.items()):
                _start(row, key, Rate.parse(text))


def _take_slots(row: JobExecution) -> None:
    with connection.cursor() as cursor:
        cursor.execute(TURNS, {"id": row.pk})
        cursor.execute(TAKE, {"id": row.pk})
        if cursor.fetchone()[0]:
            raise NotYet


def _start(row: JobExecution, key: str, rate: Rate) -> None:
    with connection.cursor() as cursor:
        interval = dt.timedelta(seconds=rate.interval_seconds)
        values: dict[str, Any] = {"key": key, "interval": interval}
        cursor.execute(START, values)
        if cursor.fetchone():
            return
        cursor.execute("SELECT next_at FROM jobs_startrate WHERE key = %s", [key])
        next_at = cursor.fetchone()[0]
    raise NotYet(next_at, too_early(row, key, rate, next_at))
