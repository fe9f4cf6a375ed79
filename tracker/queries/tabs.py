"""What the tabs of an execution's page show: steps and result, parameters, history."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone

from jobs.definition import COUNTERS
from jobs.models import Attempt, JobExecution, StatusChange, StepExecution
from jobs.states import Event, Status, StepStatus
from tracker.queries import words
from tracker.queries.rows import BADGES, STEP_BADGES, Badge, Row, Segment, rows, segment_of

HAPPENED = {
    StatusChange.LAUNCH: "Launched",
    Event.ACTIVATE: "Activated",
    Event.START: "Taken by a worker",
    Event.PAUSE: "Pause asked for",
    Event.RESUME: "Resumed",
    Event.STOP: "Stop asked for",
    Event.ABORT: "Ended by force",
    Event.RELEASE: "Let go at a checkpoint",
    Event.JOIN: "Waits for its children",
    Event.REJOIN: "Its last child ended",
    Event.COMPLETE: "Completed",
    Event.FAIL: "Failed",
    Event.TIME_OUT: "Ran past its limit",
    Event.EXPIRE: "Was not started in time",
    Event.LOSE: "Given up after too many crashes",
}


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step in the summary's table; `counts` are the counters that the table shows, by name."""

    step: StepExecution
    badge: Badge
    segment: Segment
    counts: list[tuple[str, int]]
    seconds: float | None
    duration: str
    is_running: bool
    speed: str


class Summary:
    """The steps as a table, and the job's return value."""

    def __init__(self, execution: JobExecution):
        self.execution = execution
        self._steps = list(execution.steps.all())
        self.counters = [name for name in COUNTERS if any(getattr(s, name) for s in self._steps)]

    @property
    def steps(self) -> list[StepLine]:
        return [self._line(step) for step in self._steps]

    def _line(self, step: StepExecution) -> StepLine:
        seconds = _seconds(step)
        return StepLine(
            step=step,
            badge=STEP_BADGES[StepStatus(step.status)],
            segment=segment_of(step),
            counts=[(name, getattr(step, name)) for name in self.counters],
            seconds=seconds,
            duration=words.duration(seconds, is_over=step.status != StepStatus.RUNNING),
            is_running=step.status == StepStatus.RUNNING,
            speed=words.speed(step.processed, seconds),
        )

    @property
    def totals(self) -> list[int]:
        """The table's foot, if there is more than one step to add up."""
        if len(self._steps) < 2:
            return []
        return [sum(getattr(step, name) for step in self._steps) for name in self.counters]

    @property
    def warnings(self) -> int:
        return sum(step.warnings_count for step in self._steps)

    @property
    def result(self) -> str | None:
        value = self.execution.result
        return value if value is None or isinstance(value, str) else _as_json(value)


def _seconds(step: StepExecution) -> float | None:
    if step.started_at is None:
        return None
    if step.finished_at is None and step.status != StepStatus.RUNNING:
        return None
    return ((step.finished_at or timezone.now()) - step.started_at).total_seconds()


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


MOST_CHILDREN = 200


def children(user: User, executions: QuerySet[JobExecution]) -> list[Row]:
    """The first children of an execution, as rows of a list, in their order."""
    found = list(executions.select_related("user").prefetch_related("steps")[:MOST_CHILDREN])
    return list(rows(user, found).values())


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    label: str
    value: str


def parameters(execution: JobExecution) -> list[Parameter]:
    """The parameters as it was launched, under the labels of the form; files by their names."""
    definition = execution.definition
    fields: dict[str, forms.Field] = definition.Parameters.base_fields if definition else {}
    files = {file.field: file.name for file in execution.files.all() if file.field}
    return [
        Parameter(name, _label(fields.get(name), name), files.get(name) or _shown(value))
        for name, value in execution.parameters.items()
    ]


def _label(field: forms.Field | None, name: str) -> str:
    return str((field and field.label) or name.replace("_", " ").capitalize())


def _shown(value: Any) -> str:
    match value:
        case None | "" | []:
            return "—"
        case bool():
            return "Yes" if value else "No"
        case str() | int() | float():
            return str(value)
    return _as_json(value)


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of the history."""

    change: StatusChange
    badge: Badge
    what: str


def history(execution: JobExecution) -> list[Moment]:
    return [
        Moment(change, BADGES[Status(change.after)], HAPPENED[change.event])
        for change in execution.history.select_related("by")
    ]


@dataclass(frozen=True, slots=True)
class Turn:
    """An attempt: one worker's turn, and how it ended."""

    attempt: Attempt
    duration: str
    ended: str


def turns(execution: JobExecution) -> list[Turn]:
    return [
        Turn(
            attempt,
            words.duration(
                (attempt.ended_at or timezone.now()) - attempt.started_at,
                is_over=attempt.ended_at is not None,
            ),
            HAPPENED.get(attempt.ended_by, "") if attempt.ended_at else "Working",
        )
        for attempt in execution.attempts.all()
    ]
