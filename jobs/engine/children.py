"""Executions that belong to another: parts of a step and what a job launches.

A parent that waits is *joining* and holds no worker. The controller looks after the rest: it
queues the parent again when the last child has ended, and stops children whose parent is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from jobs import control
from jobs.definition import COUNTERS, ChunkStep, ItemWarning, JobError, StagedStep, UnknownJob
from jobs.dispatch import dispatch
from jobs.engine import checkpoint
from jobs.engine.database import raw_cursor
from jobs.engine.lease import Lease
from jobs.models import (
    ExecutionFile,
    JobExecution,
    JobProfile,
    NotAllowed,
    StatusChange,
    StepExecution,
)
from jobs.models.base import ClockNow
from jobs.states import FINISHED, OPEN, Event, Status, StopLevel, what_it_did

AT_ONCE = 500  # rows that one look handles; the rest waits for the next
NOT_COMPLETED = "child_not_completed"

# A step done in parts has come as far as its parts together, each of which reads the whole source.
SUMS = (*COUNTERS, "warnings_count")
ROLL_UP = f"""
WITH parts AS (
  SELECT e.parent_id, e.parent_step, {", ".join(f"sum({name}) AS {name}" for name in SUMS)},
    sum(position) / count(*) AS position
  FROM (SELECT id, parent_id, parent_step FROM jobs_jobexecution
        WHERE parent_id = ANY(%s) AND parent_step <> '') e
  JOIN jobs_stepexecution s ON s.execution_id = e.id AND s.name = e.parent_step
  GROUP BY 1, 2
)
UPDATE jobs_stepexecution s SET
  {", ".join(f"{name} = p.{name}" for name in (*SUMS, "position"))}
FROM parts p WHERE s.execution_id = p.parent_id AND s.name = p.parent_step
  AND ({", ".join(f"s.{name}" for name in (*SUMS, "position"))})
    IS DISTINCT FROM ({", ".join(f"p.{name}" for name in (*SUMS, "position"))})
RETURNING s.execution_id
"""  # noqa: S608 (the names are our own)
TELL = """
UPDATE jobs_jobexecution e SET version = version + 1, warnings_count = (
  SELECT sum(warnings_count) FROM jobs_stepexecution s WHERE s.execution_id = e.id)
WHERE id = ANY(%s)
"""


class Join(BaseException):
    """The job can go on only when its children have ended."""


# --- In the job process of the parent ------------------------------------------------------------


def do_in_parts(step: ChunkStep | StagedStep, record: StepExecution, lease: Lease) -> None:
    """Have children do the step side by side; raises Join until the last of them has ended.

    Raises JobError when one of them did not complete.
    """
    execution = lease.execution
    parts = list(execution.children.filter(parent_step=step.name).order_by("partition"))
    if not parts:
        parts = _launch_parts(step, record, lease)
    if any(part.status in OPEN for part in parts):
        raise Join
    roll_up([execution.pk])
    for part in parts:
        if part.status != Status.COMPLETED:
            said = part.error or part.reason
            raise JobError(f"“{part.name}” {what_it_did(part.status)}. {said}".strip())


def _launch_parts(
    step: ChunkStep | StagedStep, record: StepExecution, lease: Lease
) -> list[JobExecution]:
    """Make the children in one transaction; asked to stop meanwhile, there are none."""
    execution = lease.execution
    with transaction.atomic(), raw_cursor() as cursor:
        parts = [
            _part(execution, record, number, step.partitions) for number in range(step.partitions)
        ]
        lease.fence(cursor, progress=True)
        lease.check()
        transaction.on_commit(partial(dispatch, execution.queue), robust=True)
    return parts


def _part(parent: JobExecution, record: StepExecution, number: int, of: int) -> JobExecution:
    part = JobExecution.objects.create(
        name=f"{parent.name} · {record} {number + 1}/{of}"[:200],
        parent=parent,
        parent_step=record.name,
        partition=number,
        partitions=of,
        queued_at=ClockNow(),
        trigger="parent",
        **{
            name: getattr(parent, name)
            for name in (
                "job", "job_version", "type", "profile", "profile_version", "parameters", "takes",
                "user", "username", "queue", "priority", "aimed_node", "aimed_roles",
            )
        },
    )  # fmt: skip
    for file in parent.files.filter(role=ExecutionFile.Role.INPUT):
        file.pk, file.execution = None, part
        file.save(force_insert=True)
    StatusChange.objects.create(execution=part, event=StatusChange.LAUNCH, after=part.status)
    if parent.continues_id and not parent.takes:
        _go_on_behind(part, parent.continues)
    return part


def _go_on_behind(part: JobExecution, before: JobExecution | None) -> None:
    """Take over the checkpoint of the same part of the execution that the parent continues."""
    same = (
        before
        and before.children.filter(
            parent_step=part.parent_step, partition=part.partition, partitions=part.partitions
        ).first()
    )
    if same:
        JobExecution.objects.filter(pk=part.pk).update(continues=same)
        control.take_over_steps(part, same)


def launch_child(
    parent: JobExecution,
    *,
    job: str | None,
    profile: str | None,
    parameters: dict[str, Any] | None,
    name: str,
) -> JobExecution:
    """Launch an execution that belongs to `parent`, with the rights of whoever launched that."""
    found = JobProfile.objects.filter(code=profile).first() if profile else None
    if profile and found is None:
        raise JobError(f"There is no profile {profile!r} to launch.")
    what = f"“{found.label}”" if found else f"“{job}”"
    try:
        child = control.launch(
            profile=found,
            job=job,
            parameters=parameters,
            name=name,
            user=parent.user,
            parent=parent,
            trigger="parent",
        )
    except (control.Denied, control.Refused, control.InvalidParameters, UnknownJob) as error:
        raise JobError(f"{what} could not be launched: {error}") from error
    if alone := sorted(key for key in child.limits if parent.limits.get(key) == 1):
        raise JobError(
            f"{what} would wait for the execution that launches it: of both only one may run at"
            f" once ({', '.join(alone)})."
        )
    return child


def wait(lease: Lease) -> None:
    """Raise Join while children are open; note those that did not complete."""
    children = lease.execution.children.filter(parent_step="").exclude(status=Status.COMPLETED)
    others = list(children.order_by("pk")[:AT_ONCE])
    if any(child.status in OPEN for child in others):
        raise Join
    if others:
        _note(others, lease)


def _note(others: list[JobExecution], lease: Lease) -> None:
    """A warning for each child that did not complete, once, with the last step."""
    warnings = [
        ItemWarning(
            code=NOT_COMPLETED,
            message=f"“{child.name}” {what_it_did(child.status)}. {_why(child)}".strip(),
            key=str(child.pk),
            outcome="kept",
        )
        for child in others
    ]
    record = lease.execution.steps.last()
    with transaction.atomic(), raw_cursor() as cursor:
        if record and not lease.execution.warnings.filter(code=NOT_COMPLETED).exists():
            checkpoint.warn(cursor, record, warnings)
            lease.fence(cursor, progress=True, warnings=len(warnings))


def _why(child: JobExecution) -> str:
    return child.error or child.reason


# --- In controllers and supervisors --------------------------------------------------------------


def look_after() -> None:
    """Everything that children and parents wait for. Called by the controller."""
    waiting = JobExecution.objects.filter(status=Status.JOINING)
    roll_up(list(waiting.values_list("pk", flat=True)[:AT_ONCE]))
    _end_in_time(waiting)
    rejoin(waiting)
    _end_stopped()
    _stop_orphans()


def rejoin(parents: QuerySet[JobExecution]) -> None:
    """Queue the parents again whose last child has ended."""
    for parent in _without_open_children(parents.filter(status=Status.JOINING)):
        roll_up([parent.pk])
        with suppress(NotAllowed):  # another controller was faster
            parent.transition(Event.REJOIN, why="its children have ended")
            dispatch(parent.queue)


def roll_up(parents: Iterable[UUID]) -> None:
    """Add up what the children have done in the step of their parent that they do."""
    if not (ids := list(parents)):
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ROLL_UP, [ids])
        changed = sorted({pk for (pk,) in cursor.fetchall()})
        if changed:
            cursor.execute(TELL, [changed])


def _without_open_children(parents: QuerySet[JobExecution]) -> QuerySet[JobExecution]:
    children = JobExecution.objects.filter(parent=OuterRef("pk"), status__in=OPEN)
    return parents.filter(~Exists(children)).order_by("pk")[:AT_ONCE]


def _end_in_time(waiting: QuerySet[JobExecution]) -> None:
    """A parent's time goes on while it waits."""
    for parent in waiting.filter(deadline_at__lte=ClockNow()):
        with suppress(NotAllowed):
            parent.transition(Event.TIME_OUT, why="its time was up")


def _end_stopped() -> None:
    """A parent that was stopped while it waited has ended with the last of its children."""
    stopping = JobExecution.objects.filter(
        status=Status.STOPPING,
        attempts__number=F("attempt"),
        attempts__ended_at__isnull=False,
    )
    for parent in _without_open_children(stopping):
        roll_up([parent.pk])
        event = Event.ABORT if parent.stop_level == StopLevel.KILL else Event.RELEASE
        with suppress(NotAllowed):
            parent.transition(event, why="its children have ended")


def _stop_orphans() -> None:
    """Nobody waits for the children of what has ended."""
    orphans = JobExecution.objects.filter(
        status__in=OPEN - {Status.STOPPING}, parent__status__in=FINISHED
    ).select_related("parent")
    for orphan in orphans.order_by("pk")[:AT_ONCE]:
        parent = orphan.parent
        by_force = parent is not None and parent.status == Status.ABORTED
        with suppress(control.Refused, JobExecution.DoesNotExist):
            control.stop(
                orphan,
                level=StopLevel.KILL if by_force else StopLevel.GRACEFUL,
                reason="The execution that launched it has ended.",
            )
