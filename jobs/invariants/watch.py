"""Look at every invariant: for the command, and every minute in a controller."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import connection

from jobs.invariants import fleet, history, queues, steps, work
from jobs.invariants.base import Result, look_at
from jobs.models import InvariantCheck
from jobs.models.base import ClockNow

log = logging.getLogger(__name__)

INVARIANTS = {
    invariant.code: invariant
    for module in (work, history, steps, queues, fleet)
    for invariant in module.INVARIANTS
}
EXAMPLES = 20  # of each invariant that are kept
# A look must not hold up what else a controller does.
MOST_SECONDS = 5.0
MOST_SECONDS_EACH = 2.0

# One controller wins: it moves `began_at` on, and nobody else does before the time is over.
CLAIM = """
INSERT INTO jobs_invariantcheck AS c (id, seconds, found, unchecked) VALUES (1, 0, '{}', '{}')
ON CONFLICT (id) DO UPDATE SET began_at = clock_timestamp()
WHERE c.began_at < clock_timestamp() - make_interval(secs => %s)
RETURNING id
"""


def look_at_all(*, everything: bool = True) -> list[Result]:
    """Look at each invariant among all executions."""
    return [look_at(invariant, everything=everything) for invariant in INVARIANTS.values()]


def watch_invariants() -> None:
    """Look every JOBS_INVARIANTS_SECONDS, in one controller; log what is new and keep the result.

    0 seconds is never.
    """
    if settings.JOBS_INVARIANTS_SECONDS and _is_ours():
        look_and_keep()


def look_and_keep() -> InvariantCheck:
    """Look at what is open or changed last, log new breaches as errors, and keep what was found."""
    before, _ = InvariantCheck.objects.get_or_create(pk=1)
    began = time.monotonic()
    results = list(_within(MOST_SECONDS))
    found = {result.invariant.code: _summary(result) for result in results if result.violations}
    _tell_new(before.found, found)
    before.found = found
    before.unchecked = {result.invariant.code: result.error for result in results if result.error}
    for code, reason in before.unchecked.items():
        log.warning("The invariant %s could not be looked at: %s", code, reason)
    before.seconds = time.monotonic() - began
    before.checked_at = ClockNow()
    before.save(update_fields=["found", "unchecked", "seconds", "checked_at"])
    before.refresh_from_db()
    return before


def _is_ours() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [settings.JOBS_INVARIANTS_SECONDS])
        return cursor.fetchone() is not None


def _within(seconds: float) -> Iterable[Result]:
    end = time.monotonic() + seconds
    for invariant in INVARIANTS.values():
        left = min(MOST_SECONDS_EACH, end - time.monotonic())
        if left > 0:
            yield look_at(invariant, seconds=left)
        else:
            yield Result(invariant, [], f"the others took {seconds:g} s")


def _summary(result: Result) -> dict[str, Any]:
    examples = [
        {"execution": row.execution, "subject": row.subject, "wrong": row.wrong}
        for row in result.violations[:EXAMPLES]
    ]
    return {"count": len(result.violations), "examples": examples}


def _tell_new(before: dict[str, Any], now: dict[str, Any]) -> None:
    for code, summary in now.items():
        known = {_key(row) for row in before.get(code, {}).get("examples", ())}
        for row in summary["examples"]:
            if _key(row) not in known:
                named = f"execution {row['execution']}" if row["execution"] else row["subject"]
                log.error("Invariant %s is violated: %s %s", code, named, row["wrong"])


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return str(row["execution"]), row["subject"]
