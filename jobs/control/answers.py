"""What can be asked of an execution now, and what a stop did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.contrib.auth.models import User

from jobs.control.again import (
    cannot_continue,
    cannot_relaunch,
    cannot_retry_failed,
    cannot_run_for_real,
)
from jobs.control.undo import cannot_undo
from jobs.models import ExecutionFile, JobExecution, NotAllowed
from jobs.permissions import may
from jobs.states import REQUESTS, Status, allowed, what_it_did

AGAIN = {
    "continue": cannot_continue,
    "relaunch": cannot_relaunch,
    "for_real": cannot_run_for_real,
    "retry_failed": cannot_retry_failed,
    "undo": cannot_undo,
}


def actions(user: User | None, execution: JobExecution) -> dict[str, dict[str, Any]]:
    """For each request: whether `user` may make it now, and if not, why."""
    answers = moves(user, execution)
    for name, cannot in AGAIN.items():
        reason = cannot(execution) or may(user, name, execution).reason
        answers[name] = {"allowed": not reason, "reason": reason}
    return answers


def moves(user: User | None, execution: JobExecution) -> dict[str, dict[str, Any]]:
    """The same for what moves this execution itself: for lists, as it asks no further rows."""
    possible = allowed(execution.status)
    answers = {}
    for event in REQUESTS:
        decision = may(user, str(event), execution)
        reason = decision.reason
        if decision and event not in possible:
            reason = str(NotAllowed(execution, event, execution.status))
        answers[str(event)] = {"allowed": not reason, "reason": reason}
    if execution.status == Status.STOPPING:  # asked again, a stop can only become harder
        harder = may(user, "abort", execution)
        answers["stop"] = {"allowed": False, "reason": "It is stopping already."}
        answers["abort"] = {"allowed": bool(harder), "reason": harder.reason}
    return answers


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a stop did, in words and as data.

    `processed` items were looked at, of them the work on `kept` stays, out of `total` if that is
    known. `forced` says that its process was ended; `children` that many were stopped with it.
    """

    text: str
    status: str
    seconds: float | None
    processed: int
    kept: int
    total: int | None
    forced: bool
    children: int
    files: int
    resumable: bool


def receipt(execution: JobExecution) -> dict[str, Any] | None:
    """The receipt of a stop that has been asked for, or None."""
    if execution.stop_requested_at is None:
        return None
    steps = list(execution.steps.all())
    totals = [step.total for step in steps]
    known = [total for total in totals if total is not None]
    took = None
    if execution.finished_at:
        took = (execution.finished_at - execution.stop_requested_at).total_seconds()
    kept = 0 if execution.dry_run else sum(step.kept for step in steps)
    total = sum(known) if totals and len(known) == len(totals) else None
    children = execution.children.count()
    resumable = not cannot_continue(execution) and any(step.cursor for step in steps)
    return asdict(
        Receipt(
            text=_words(execution, took, kept, total, children, resumable=resumable),
            status=execution.status,
            seconds=took,
            processed=sum(step.processed for step in steps),
            kept=kept,
            total=total,
            forced=execution.status == Status.ABORTED and execution.started_at is not None,
            children=children,
            files=execution.files.exclude(role=ExecutionFile.Role.INPUT).count(),
            resumable=resumable,
        )
    )


def _words(
    execution: JobExecution,
    took: float | None,
    kept: int,
    total: int | None,
    children: int,
    *,
    resumable: bool,
) -> str:
    written = f"{kept:,}{f' of {total:,}' if total else ''} items are done and stay"
    if execution.dry_run:
        written = "it was a dry run, and nothing was written"
    if children:
        written += f", with those of {children:,} {'child' if children == 1 else 'children'}"
    if execution.status in {Status.STOPPED, Status.ABORTED}:
        word = "Stopped" if execution.status == Status.STOPPED else "Aborted"
        if execution.started_at is None:
            return f"{word} before it began."
        behind = " Continue goes on from there." if resumable else ""
        return f"{word} in {took:.1f} s: {written}.{behind}"
    if execution.status == Status.STOPPING:
        waits = f" It stops when “{execution.section}” is done." if execution.section else ""
        return f"Stopping: {written}.{waits}"
    return f"It {what_it_did(execution.status)} before the stop took effect."
