"""Undoing what an execution changed: what it would do, and the launch of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction

from jobs.control import overlap as overlaps
from jobs.control.launching import new_execution, store_unless_open
from jobs.control.operations import refuse_in_maintenance
from jobs.control.refusals import Refused
from jobs.definition import find
from jobs.models import JobExecution
from jobs.models.base import database_now
from jobs.permissions import require
from jobs.recipes.undo_conflicts import Planned
from jobs.recipes.undo_plan import ACTS, UndoPlan
from jobs.states import FINISHED, OPEN, Status
from jobs.undo import UNDO, chain_of, changes_of

EXAMPLES = 10  # of each kind that a preview shows


@dataclass(frozen=True, slots=True)
class UndoPreview:
    """What an undo would do now: rows by verdict, and the first of each.

    Verdicts are restore, delete and recreate, and those of conflicts: changed_since, referenced,
    gone, exists.
    """

    counts: dict[str, int]
    examples: dict[str, list[Planned]]

    @property
    def undone(self) -> int:
        return sum(self.counts.get(act, 0) for act in ACTS)

    @property
    def conflicts(self) -> int:
        return sum(self.counts.values()) - self.undone


def undo(execution: JobExecution, *, by: User | None = None, chain: bool = False) -> JobExecution:
    """Launch an execution that undoes what this one changed; with `chain`, all that it continues.

    Raises Denied, Refused, Overlapping, UnderMaintenance.
    """
    require(by, "undo", execution)
    if reason := cannot_undo(execution):
        raise Refused(reason)
    refuse_in_maintenance()
    definition = find(UNDO)
    made = new_execution(definition, None, {"execution": str(execution.pk), "chain": chain})
    made.name = f"Undo {execution.name}"[:200]
    made.undoes, made.trigger, made.queue = execution, "undo", execution.queue
    made.user, made.username = by, by.get_username() if by else ""
    return store_unless_open(made, overlaps.policy_of(definition, None), {})


def undo_preview(execution: JobExecution, *, chain: bool = False) -> UndoPreview:
    """What an undo would do now, counted exactly. It reads every line of the ledger.

    Raises Refused when it cannot be undone.
    """
    if reason := cannot_undo(execution):
        raise Refused(reason)
    model = execution.ledger_model
    assert model is not None
    undone = [one.pk for one in chain_of(execution, whole=chain)]
    plan = UndoPlan(model, undone)
    with transaction.atomic(), connection.cursor() as wrapped:
        cursor = wrapped.cursor
        plan.prepare(cursor)
        plan.plan(cursor, 0, plan.stage_all(cursor))
        counts = plan.counts(cursor)
        examples = {each: list(plan.planned(cursor, each, EXAMPLES)) for each in counts}
        plan.forget(cursor)
    return UndoPreview(counts, examples)


def cannot_undo(execution: JobExecution) -> str:
    """Why what it changed cannot be undone, or nothing."""
    said = execution.get_status_display().lower()
    if execution.status not in FINISHED:
        return f"“{execution.name}” is {said}; it can be undone when it has ended."
    if execution.partition is not None:
        return "It is a part of another execution: undo that one."
    if execution.dry_run:
        return "It was a dry run: nothing was written."
    if execution.definition is None:
        return f"The job {execution.job!r} is no longer installed."
    if execution.ledger_model is None:
        return "No ledger was kept. Switch on “Keep a ledger” before the next launch."
    return _undone_before(execution) or _nothing_left(execution)


def _undone_before(execution: JobExecution) -> str:
    """What was undone can be undone again only when its undo was undone."""
    for undo in execution.undone_by.all():
        if undo.status in OPEN:
            return "It is being undone."
        if undo.status == Status.COMPLETED and not _undone_before(undo):
            return "It has been undone."
    return ""


def _nothing_left(execution: JobExecution) -> str:
    if changes_of([execution]).exists():
        return ""
    days = settings.JOBS_KEEP_LEDGER_DAYS
    ended = execution.finished_at
    if days and ended and ended < database_now() - timedelta(days=days):
        return f"Its ledger was kept for {days:g} days, which are over."
    return "It has changed no rows."
