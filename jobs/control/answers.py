"""What can be asked of an execution now, and what a stop did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.contrib.auth.models import User

from jobs.models import JobExecution, NotAllowed
from jobs.permissions import may
from jobs.states import REQUESTS, Status, allowed


def actions(user: User | None, execution: JobExecution) -> dict[str, dict[str, Any]]:
    """For each request: whether `user` may make it now, and if not, why."""
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
    """What a stop did, in words and as data."""

    text: str
    status: str
    seconds: float | None
    processed: int
    kept: int
    total: int | None
    resumable: bool


def receipt(execution: JobExecution) -> dict[str, Any] | None:
    """The receipt of a stop that has been asked for, or None."""
    if execution.stop_requested_at is None:
        return None
    steps = list(execution.steps.all())
    processed = sum(step.processed for step in steps)
    totals = [step.total for step in steps]
    known = [total for total in totals if total is not None]
    total = sum(known) if totals and len(known) == len(totals) else None
    took = None
    if execution.finished_at:
        took = (execution.finished_at - execution.stop_requested_at).total_seconds()
    kept = sum(step.kept for step in steps)
    written = f"{kept:,}{f' of {total:,}' if total else ''} items are done and stay"
    if execution.status in {Status.STOPPED, Status.ABORTED}:
        word = "Stopped" if execution.status == Status.STOPPED else "Aborted"
        began = execution.started_at is not None
        text = f"{word} in {took:.1f} s: {written}." if began else f"{word} before it began."
    elif execution.status == Status.STOPPING:
        text = f"Stopping: {written}."
    else:
        text = f"It was {execution.get_status_display().lower()} before the stop took effect."
    resumable = execution.started_at is not None and any(step.cursor for step in steps)
    return asdict(Receipt(text, execution.status, took, processed, kept, total, resumable))
