"""What an invariant is, and how one is looked at."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from jobs.states import FINISHED, HELD, OPEN

AT_MOST = 1_000  # violations of one invariant that are counted
# What the controller looks at: about a minute of a busy fleet, and what is still open.
NEWEST_LINES, NEWEST_OPEN = 10_000, 1_000

# `scope` is what an invariant of rows that pile up looks at: all executions, or those that changed
# last. Whatever the size of the tables, the second costs the same.
EVERYTHING = "scope AS (SELECT id FROM jobs_jobexecution)"
RECENT = f"""
scope AS MATERIALIZED (
  SELECT execution_id AS id FROM (
    SELECT execution_id FROM jobs_statuschange ORDER BY id DESC LIMIT {NEWEST_LINES}) changed
  UNION
  SELECT id FROM (
    SELECT id FROM jobs_jobexecution WHERE status = ANY(%(open)s) ORDER BY id DESC
    LIMIT {NEWEST_OPEN}
  ) still_open
)"""  # noqa: S608 (numbers of our own)


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach: `wrong` completes the sentence that begins with the execution or `subject`."""

    execution: uuid.UUID | None
    subject: str
    wrong: str

    def __str__(self) -> str:
        named = f"Execution {self.execution}" if self.execution else self.subject
        return f"{named} {self.wrong}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """What must be true of the rows at every moment.

    `sql` finds the breaches. Its columns `execution` and `subject` name what is concerned; `wrong`
    is a format string over all its columns. With `{scope}` it begins with a WITH that has a table
    `scope` of the executions to look at. `narrow` leaves out what no SQL can judge. Either `repair`
    says what a repair does, or `look` why a person must look.
    """

    code: str
    sentence: str
    sql: str
    wrong: str
    repair: str = ""
    look: str = ""
    narrow: Callable[[list[Violation]], list[Violation]] | None = None

    def check(self, *, everything: bool = False) -> list[Violation]:
        """The breaches, at most AT_MOST; among all executions, or those that changed last."""
        scope = EVERYTHING if everything else RECENT
        statement = f"{self.sql.replace('{scope}', scope)} LIMIT {AT_MOST}"
        with connection.cursor() as cursor:
            cursor.execute(statement, tolerances())
            names = [column.name for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        found = [
            Violation(row.get("execution"), str(row.get("subject", "")), self.wrong.format(**row))
            for row in rows
        ]
        return self.narrow(found) if self.narrow and found else found


@dataclass(frozen=True, slots=True)
class Result:
    """What a look at one invariant found, or why it could not be looked at."""

    invariant: Invariant
    violations: list[Violation]
    error: str = ""

    @property
    def holds(self) -> bool:
        return not self.violations and not self.error


def look_at(invariant: Invariant, *, everything: bool = False, seconds: float = 60) -> Result:
    """Look at one invariant for at most `seconds`."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('statement_timeout', %s, true),"
                    " set_config('jit', 'off', true)",  # costs more than it saves here
                    [f"{seconds}s"],
                )
            return Result(invariant, invariant.check(everything=everything))
    except DatabaseError as error:
        return Result(invariant, [], str(error).split("\n", maxsplit=1)[0])


def late_seconds() -> float:
    """How much later than its moment the controller may act on a busy machine."""
    return 10 + 20 * settings.JOBS_CONTROLLER_SECONDS


def tolerances() -> dict[str, Any]:
    """Times in seconds and sets of statuses, by the names that the SQL uses."""
    return {
        "late": late_seconds(),
        "lease": settings.JOBS_LEASE_SECONDS,
        "kill_after": settings.JOBS_KILL_AFTER_SECONDS,
        "grace": settings.JOBS_STOP_GRACE_SECONDS,
        "again": settings.JOBS_REDISPATCH_SECONDS,
        "held": sorted(HELD),
        "finished": sorted(FINISHED),
        "open": sorted(OPEN),
    }
