"""Stopping many executions or one step: what a scope reaches, what would happen, and doing it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet, TextChoices
from django.utils import timezone
from django.utils.formats import date_format

from jobs.control.refusals import NothingThere, Refused
from jobs.control.requests import stop
from jobs.control.steps import stop_step
from jobs.definition import REGISTRY
from jobs.models import JobExecution, NotAllowed, StepExecution, Worker
from jobs.permissions import Decision, Denied, may, visible_profiles, visible_to
from jobs.states import HELD, OPEN, Status, StepStatus, StopLevel

AT_MOST = 1_000  # executions that one call stops


class Kind(TextChoices):
    """What a scope is named by."""

    EXECUTION = "execution", "One execution with its children, or one of its steps"
    PROFILE = "profile", "All open executions of a profile"
    JOB = "job", "All open executions of a job"
    STEP = "step", "One step of a job, wherever it runs"
    WORKER = "worker", "All executions that a worker has"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is to be stopped. `id` is an execution's id, a profile's code, or a job's or worker's
    name; `step` is the name of a step, for the kind *step* and, if wanted, for *execution*."""

    kind: str
    id: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One execution within a scope: what a stop would do to it, or why it is left out."""

    execution: JobExecution
    allowed: bool
    text: str
    resumable: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stop would do; `more` says that the scope reaches beyond the first 1,000."""

    items: list[Item]
    more: bool

    @property
    def stopped(self) -> list[Item]:
        return [item for item in self.items if item.allowed]

    @property
    def left_out(self) -> list[Item]:
        return [item for item in self.items if not item.allowed]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one execution: asked to stop, or why not."""

    execution: JobExecution
    asked: bool
    text: str


def reach(by: User | None, scope: Scope) -> QuerySet[JobExecution]:
    """The open executions within the scope that `by` may see.

    Raises NothingThere when there is no such execution, profile, job or worker.
    """
    found = visible_to(by).filter(status__in=sorted(OPEN)).order_by("pk")
    match scope.kind:
        case Kind.EXECUTION:
            found = found.filter(pk=_id_of(by, scope.id))
        case Kind.PROFILE:
            found = found.filter(profile__code=scope.id)
        case Kind.JOB | Kind.STEP:
            found = found.filter(job=scope.id)
        case Kind.WORKER:
            found = found.filter(worker=scope.id, status__in=sorted(HELD))
    if scope.step:
        at_work = StepExecution.objects.filter(name=scope.step, status=StepStatus.RUNNING)
        found = found.filter(pk__in=at_work.values("execution"))
    if not found.exists():
        _require_known(by, scope)
    return found


def _id_of(by: User | None, text: str) -> uuid.UUID:
    try:
        pk = uuid.UUID(text)
    except ValueError:
        raise NothingThere(f"{text!r} is not the id of an execution, which is a UUID.") from None
    if not visible_to(by).filter(pk=pk).exists():
        raise NothingThere(f"There is no execution {text} that you may see.")
    return pk


def _require_known(by: User | None, scope: Scope) -> None:
    """Raise NothingThere for a name that is wrong; that nothing is open is no fault."""
    known = {
        Kind.PROFILE: lambda: visible_profiles(by).filter(code=scope.id).exists(),
        Kind.JOB: lambda: scope.id in REGISTRY,
        Kind.STEP: lambda: scope.id in REGISTRY,
        Kind.WORKER: lambda: Worker.objects.filter(name=scope.id).exists(),
    }
    if scope.kind in known and not known[Kind(scope.kind)]():
        word = "job" if scope.kind == Kind.STEP else scope.kind
        raise NothingThere(f"There is no {word} {scope.id!r}.")


def plan(by: User | None, scope: Scope, *, level: StopLevel | str = StopLevel.GRACEFUL) -> Plan:
    """What a stop of all within the scope would do, without doing it."""
    rows = reach(by, scope).select_related("profile", "user").prefetch_related("steps")
    found = list(rows[: AT_MOST + 1])
    items = [foresee(by, one, step=scope.step, level=level) for one in found[:AT_MOST]]
    return Plan(items, more=len(found) > AT_MOST)


def foresee(
    by: User | None,
    execution: JobExecution,
    *,
    step: str = "",
    level: StopLevel | str = StopLevel.GRACEFUL,
) -> Item:
    """What a stop of one open execution, or of the named step of it, would do."""
    steps = list(execution.steps.all())
    resumable = execution.started_at is not None and any(step.cursor for step in steps)
    right = _right(by, execution, level)
    if not right:
        return Item(execution, False, right.reason, resumable)
    found = next((one for one in steps if one.name == step), None)
    if found and found.optional:
        if level != StopLevel.GRACEFUL:
            return Item(execution, False, "One step alone cannot be stopped by force.", resumable)
        return Item(execution, True, f"“{found}” alone ends; the execution goes on.", resumable)
    return Item(execution, True, effect(execution, level), resumable)


def _right(by: User | None, execution: JobExecution, level: StopLevel | str) -> Decision:
    right = may(by, "stop", execution)
    if right and level != StopLevel.GRACEFUL:
        return may(by, "abort", execution)
    return right


def effect(execution: JobExecution, level: StopLevel | str = StopLevel.GRACEFUL) -> str:
    """What a stop of this level does to an open execution, in a sentence."""
    if execution.status in {Status.DEFERRED, Status.QUEUED, Status.PAUSED}:
        return "Stops at once."
    if level == StopLevel.KILL:
        return "Its process is ended at once."
    if level == StopLevel.INTERRUPT:
        return "Its SQL is cancelled and its process asked to end."
    if execution.status == Status.JOINING:
        return "Stops when its children have stopped."
    if execution.section and execution.section_until:
        until = date_format(timezone.localtime(execution.section_until), "H:i:s")
        return f"Stops when “{execution.section}” is done, at the latest at {until}."
    if execution.status == Status.STOPPING:
        return "It is stopping already."
    return "Stops at its next checkpoint."


def stop_all(
    scope: Scope,
    *,
    by: User | None = None,
    level: StopLevel | str = StopLevel.GRACEFUL,
    grace_seconds: float | None = None,
    reason: str = "",
) -> list[Result]:
    """Stop what is within the scope, each in a transaction of its own, 1,000 at most.

    Nothing that is refused keeps the others from being stopped. Raises NothingThere.
    """
    how: dict[str, Any] = {"by": by, "level": level, "reason": reason}
    how["grace_seconds"] = grace_seconds
    results = []
    for execution in reach(by, scope).select_related("profile", "user")[:AT_MOST]:
        try:
            if scope.step:
                stop_step(execution, scope.step, **how)
            else:
                stop(execution, **how)
        except (Denied, NotAllowed, Refused) as error:
            results.append(Result(execution, False, str(error)))
        else:
            results.append(Result(execution, True, _outcome(execution)))
    return results


def _outcome(execution: JobExecution) -> str:
    if execution.is_finished:
        return f"{execution.get_status_display()}."
    if execution.status == Status.STOPPING:
        return effect(execution, execution.stop_level or StopLevel.GRACEFUL)
    return "The step alone ends at its next checkpoint."
