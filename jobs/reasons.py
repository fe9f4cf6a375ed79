"""The warnings of an execution by reason: how often each was met, with examples.

Warnings of one code, column and outcome are a group; within it those of one sentence are counted
together: “612 × There is no family 'shoez'.”
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from django.db import connection
from django.db.models import QuerySet

from jobs.models import JobExecution, StepWarning

COUNTED = 10_000  # so many warnings are looked at, the first ones: what that costs is bounded
GROUPS, SENTENCES = 20, 3

# The most frequent groups, and the most frequent sentences of each with their first warning.
GROUPED = """
WITH said AS MATERIALIZED (
  SELECT code, "column", outcome, message, count(*) AS times, min(id) AS first, min("row") AS "row"
  FROM (
    SELECT id, "row", code, "column", outcome, message FROM jobs_stepwarning
    WHERE execution_id = %s ORDER BY id LIMIT %s
  ) seen GROUP BY code, "column", outcome, message
), reason AS (
  SELECT code, "column", outcome, sum(times)::bigint AS total, count(*) AS kinds,
    min(first) AS earliest
  FROM said GROUP BY code, "column", outcome ORDER BY total DESC, earliest LIMIT %s
)
SELECT code, "column", outcome, total, kinds, top.*
FROM reason CROSS JOIN LATERAL (
  SELECT message, times, first, "row" FROM said
  WHERE (said.code, said."column", said.outcome) = (reason.code, reason."column", reason.outcome)
  ORDER BY times DESC, first LIMIT %s
) top ORDER BY total DESC, earliest, times DESC, first
"""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What `count` warnings of a group say, word for word; `row` is the first that it is of."""

    message: str
    count: int
    like: int  # the id of the first warning that says it
    row: int | None


@dataclass(frozen=True, slots=True)
class Reason:
    """Warnings of one code, column and outcome; `sentences` are the most frequent of `kinds`."""

    code: str
    column: str
    outcome: str
    count: int
    kinds: int
    sentences: list[Sentence]


def reasons(execution: JobExecution) -> list[Reason]:
    """The most frequent reasons of its first COUNTED warnings, by one query."""
    with connection.cursor() as cursor:
        cursor.execute(GROUPED, [execution.pk, COUNTED, GROUPS, SENTENCES])
        found = cursor.fetchall()
    return [_reason([*lines]) for _, lines in groupby(found, key=lambda line: line[:5])]


def _reason(lines: list[tuple]) -> Reason:
    code, column, outcome, count, kinds, *_ = lines[0]
    sentences = [Sentence(*line[5:]) for line in lines]
    return Reason(code, column, outcome, count, kinds, sentences)


def alike(warnings: QuerySet[StepWarning], pk: int) -> QuerySet[StepWarning]:
    """Those that say the same as the warning with this id, which must be one of them."""
    one = warnings.filter(pk=pk).values("code", "column", "outcome", "message").first()
    return warnings.filter(**one) if one else warnings.none()
