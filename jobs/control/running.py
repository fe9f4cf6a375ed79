"""What runs now, as a tree: jobs with their steps, executions, steps of executions, workers."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.models import User

from jobs.control.scopes import Kind, Scope
from jobs.models import JobExecution, StepExecution
from jobs.permissions import Decision, may, visible_to
from jobs.states import HELD, Status, StepStatus

AT_MOST = 1_000
AT_WORK = HELD | {Status.JOINING}


@dataclass(frozen=True, slots=True)
class RunningStep:
    """A step of an execution that is being worked on."""

    name: str
    label: str
    started_at: dt.datetime | None
    share: float | None
    optional: bool
    stop: Scope


@dataclass(frozen=True, slots=True)
class Running:
    """An execution that is being worked on, or waits for its children."""

    execution: JobExecution
    steps: list[RunningStep]
    may_stop: Decision
    stop: Scope


@dataclass(frozen=True, slots=True)
class StepOfJob:
    """A step of a job, wherever it runs."""

    name: str
    label: str
    count: int
    stop: Scope


@dataclass(frozen=True, slots=True)
class Group:
    """A job or a worker with its executions; `steps` only for a job."""

    id: str
    label: str
    executions: list[Running]
    steps: list[StepOfJob]
    stop: Scope


def running(by: User | None) -> list[Running]:
    """What runs and `by` may see, the longest first, 1,000 at most."""
    found = visible_to(by).filter(status__in=sorted(AT_WORK)).order_by("started_at", "pk")
    rows = found.select_related("profile", "user").prefetch_related("steps")[:AT_MOST]
    return [_running(by, execution) for execution in rows]


def _running(by: User | None, execution: JobExecution) -> Running:
    pk = str(execution.pk)
    steps = [_step(pk, step) for step in execution.steps.all() if step.status == StepStatus.RUNNING]
    scope = Scope(kind=Kind.EXECUTION, id=pk)
    return Running(execution, steps, may(by, "stop", execution), scope)


def _step(pk: str, step: StepExecution) -> RunningStep:
    scope = Scope(kind=Kind.EXECUTION, id=pk, step=step.name)
    return RunningStep(step.name, str(step), step.started_at, step.share, step.optional, scope)


def by_job(found: list[Running]) -> list[Group]:
    """The executions under their jobs, with the steps that run there."""
    return [
        Group(job, _label(of), of, _steps(job, of), Scope(kind=Kind.JOB, id=job))
        for job, of in _grouped(found, lambda one: one.execution.job).items()
    ]


def _label(found: list[Running]) -> str:
    execution = found[0].execution
    return execution.definition.label if execution.definition else execution.job


def _steps(job: str, found: list[Running]) -> list[StepOfJob]:
    at_work = [step for one in found for step in one.steps]
    counts = Counter(step.name for step in at_work)
    labels = {step.name: step.label for step in at_work}
    return [
        StepOfJob(name, labels[name], count, Scope(kind=Kind.STEP, id=job, step=name))
        for name, count in counts.items()
    ]


def by_worker(found: list[Running]) -> list[Group]:
    """The executions under the workers that have them; who waits for children has none."""
    held = [one for one in found if one.execution.worker]
    return [
        Group(worker, worker, of, [], Scope(kind=Kind.WORKER, id=worker))
        for worker, of in _grouped(held, lambda one: one.execution.worker).items()
    ]


def _grouped(found: list[Running], key: Callable[[Running], str]) -> dict[str, list[Running]]:
    groups: dict[str, list[Running]] = {}
    for one in found:
        groups.setdefault(key(one), []).append(one)
    return dict(sorted(groups.items()))
