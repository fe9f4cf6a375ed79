"""Steps, their counters, and files."""

from __future__ import annotations

from django.core.files.storage import default_storage

from jobs.definition import COUNTERS
from jobs.invariants.base import Invariant, Violation

FILES = 50  # the newest ones, whose presence is asked of the storage
PROCESSED = " + ".join(f"s.{name}" for name in COUNTERS)


def _missing(found: list[Violation]) -> list[Violation]:
    return [file for file in found if not default_storage.exists(file.subject)]


STEP_LEFT_RUNNING = Invariant(
    code="step_left_running",
    sentence="Nothing of a finished execution still runs: its steps have ended with it.",
    sql="""
SELECT e.id AS execution, s.id AS subject, e.status, s.label
FROM jobs_stepexecution s JOIN jobs_jobexecution e ON e.id = s.execution_id
WHERE s.status = 'running' AND e.status = ANY(%(finished)s) AND e.status <> 'completed'
ORDER BY s.id""",
    wrong="is {status}, but its step “{label}” is running.",
    repair="Ends the step as the execution ended.",
)

STEP_LEFT_OUT = Invariant(
    code="step_left_out",
    sentence="A completed execution has done all its steps, but for those that are optional.",
    sql="""
WITH {scope}
SELECT e.id AS execution, s.id AS subject, s.label, s.status
FROM scope JOIN jobs_jobexecution e USING (id) JOIN jobs_stepexecution s ON s.execution_id = e.id
WHERE e.status = 'completed' AND s.status NOT IN ('completed', 'skipped') AND NOT s.optional
ORDER BY s.id""",
    wrong="is completed, but its step “{label}” is {status}.",
    look="Part of the work may be missing. Compare with what it should have written.",
)

STEP_OVER_TOTAL = Invariant(
    code="step_over_total",
    sentence="A step processes no more items than there are.",
    sql=f"""
WITH {{scope}}
SELECT s.execution_id AS execution, s.id AS subject, s.label, s.total,
  s.carried + {PROCESSED} AS processed
FROM scope JOIN jobs_stepexecution s ON s.execution_id = scope.id
WHERE s.carried + {PROCESSED} > s.total
ORDER BY s.id""",  # noqa: S608 (names of our own)
    wrong="has processed {processed} of {total} items in its step “{label}”.",
    repair="Raises the total to what was processed: the source grew after it was counted.",
)

WARNINGS_MISCOUNTED = Invariant(
    code="warnings_miscounted",
    sentence="An execution has as many warnings as its steps.",
    sql="""
WITH {scope}
SELECT e.id AS execution, e.warnings_count AS told, sum(s.warnings_count) AS counted
FROM scope JOIN jobs_jobexecution e USING (id) JOIN jobs_stepexecution s ON s.execution_id = e.id
WHERE NOT EXISTS (SELECT FROM jobs_jobexecution c WHERE c.parent_id = e.id)
GROUP BY e.id HAVING e.warnings_count <> sum(s.warnings_count)
ORDER BY e.id""",
    wrong="tells of {told} warnings, its steps of {counted}.",
    look="A chunk and its counters commit together. Find out who wrote one of them alone.",
)

PART_MISCOUNTED = Invariant(
    code="part_miscounted",
    sentence="A step that was done in parts tells what its parts tell together.",
    sql=f"""
WITH {{scope}}
SELECT s.execution_id AS execution, s.id AS subject, s.label, {PROCESSED} AS told,
  parts.processed AS counted
FROM scope JOIN jobs_jobexecution e USING (id) JOIN jobs_stepexecution s ON s.execution_id = e.id,
LATERAL (
  SELECT sum({PROCESSED.replace("s.", "t.")}) AS processed, sum(t.warnings_count) AS warnings
  FROM jobs_jobexecution c JOIN jobs_stepexecution t ON t.execution_id = c.id AND t.name = s.name
  WHERE c.parent_id = e.id AND c.parent_step = s.name
) parts
WHERE e.status = 'completed' AND ({PROCESSED}, s.warnings_count)
  <> (parts.processed, parts.warnings)
ORDER BY s.id""",  # noqa: S608 (names of our own)
    wrong="tells of {told} items in its step “{label}”, its parts of {counted}.",
    repair="Adds the parts up again.",
)

FILE_MISSING = Invariant(
    code="file_missing",
    sentence=f"The file of a row exists; the newest {FILES} are looked for.",
    sql=f"""
SELECT * FROM (
  SELECT execution_id AS execution, file AS subject, name FROM jobs_executionfile
  WHERE created_at < clock_timestamp() - make_interval(secs => %(late)s)
  ORDER BY id DESC LIMIT {FILES}) newest""",  # noqa: S608 (a number of our own)
    wrong="has a file “{name}” that is not in the storage as {subject}.",
    narrow=_missing,
    look="Restore it from a backup of the storage, or see that all processes share one storage.",
)

INVARIANTS = (
    STEP_LEFT_RUNNING,
    STEP_LEFT_OUT,
    STEP_OVER_TOTAL,
    WARNINGS_MISCOUNTED,
    PART_MISCOUNTED,
    FILE_MISSING,
)
