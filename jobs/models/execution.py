"""Executions: one row is the truth about one launch, from created to finished."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Upper
from django.urls import reverse
from django.utils import timezone

from jobs.definition import REGISTRY, TYPES, JobClass
from jobs.models.base import ClockNow, UUIDv7
from jobs.models.notification import tell_of_end
from jobs.models.profile import JobProfile
from jobs.signals import status_changed
from jobs.states import (
    FINISHED,
    HELD,
    OPEN,
    Event,
    Group,
    Status,
    StepStatus,
    StopLevel,
    group_of,
    move,
    outcome_of,
    what_it_did,
)

# What cannot be, in the passive: "it cannot be stopped".
PARTICIPLES = {
    Event.ACTIVATE: "activated",
    Event.START: "started",
    Event.PAUSE: "paused",
    Event.RESUME: "resumed",
    Event.STOP: "stopped",
    Event.ABORT: "aborted",
    Event.RELEASE: "released",
    Event.JOIN: "made to wait for children",
    Event.REJOIN: "queued again",
    Event.COMPLETE: "completed",
    Event.FAIL: "failed",
    Event.TIME_OUT: "timed out",
    Event.EXPIRE: "expired",
    Event.LOSE: "given up",
}


class Takes(models.TextChoices):
    """What an execution takes of its source; by default all of it."""

    FAILED = "failed", "The failed rows of the execution it continues"


TYPE_LABELS = [(name, name.replace("_", " ").capitalize()) for name in TYPES]

ModelClass = type[models.Model]

END_ATTEMPT = """
WITH ended AS (
  UPDATE jobs_attempt SET ended_at = clock_timestamp(), ended_by = %s, reason = %s
  WHERE execution_id = %s AND number = %s AND ended_at IS NULL
  RETURNING extract(epoch FROM ended_at - started_at) AS spent
)
UPDATE jobs_jobexecution SET running_seconds = running_seconds + spent FROM ended WHERE id = %s
"""
COUNT_WAITING = """
UPDATE jobs_jobexecution e
SET running_seconds = running_seconds + extract(epoch FROM clock_timestamp() - a.ended_at)
FROM jobs_attempt a WHERE a.execution_id = e.id AND a.number = e.attempt AND e.id = %s
"""


class NotAllowed(Exception):
    """The table of moves has no such event for the execution's present status."""

    def __init__(self, execution: JobExecution, event: Event, status: str):
        self.event, self.status = event, Status(status)
        said = self.status.label.lower()
        ending = " any more" if self.status in FINISHED else ""
        super().__init__(
            f"“{execution.name}” is {said}; it cannot be {PARTICIPLES[event]}{ending}."
        )


class JobExecution(models.Model):
    """One launch of a job, over as many attempts as it takes.

    The row is the truth and a Celery message only a hint. `status` is written by `transition()`
    alone. While a worker holds the lease (status in HELD), `attempt` is its fencing token: every
    statement of that worker names it, so a worker that was taken for dead changes nothing.
    `version` rises with every visible change; pages and ETags compare it.
    """

    id = models.UUIDField(primary_key=True, db_default=UUIDv7(), editable=False)
    name = models.CharField(max_length=200)
    job = models.CharField(max_length=100)
    job_version = models.CharField(max_length=12, blank=True)
    type = models.CharField(max_length=20, choices=TYPE_LABELS)
    profile = models.ForeignKey(
        JobProfile,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="executions",
        db_index=False,  # Meta has two that begin with it
    )
    profile_version = models.PositiveIntegerField(null=True)
    parameters = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="executions",
        db_index=False,  # Meta has two that begin with it
    )
    # Who launched it, kept when the account is gone; empty for the platform itself.
    username = models.CharField(max_length=150, blank=True)
    trigger = models.CharField(max_length=20, default="api")
    note = models.TextField(blank=True)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    continues = models.ForeignKey("self", models.SET_NULL, null=True, related_name="continued_by")
    takes = models.CharField(max_length=10, choices=Takes, blank=True)
    undoes = models.ForeignKey("self", models.SET_NULL, null=True, related_name="undone_by")
    dry_run = models.BooleanField(default=False)  # it counts and shows, and writes nothing
    # A child that does one part of a step of its parent.
    parent_step = models.CharField(max_length=100, blank=True)
    partition = models.PositiveSmallIntegerField(null=True)
    partitions = models.PositiveSmallIntegerField(null=True)
    schedule = models.ForeignKey(
        "Schedule", models.SET_NULL, null=True, related_name="executions", db_index=False
    )
    scheduled_for = models.DateTimeField(null=True)
    idempotency_key = models.CharField(max_length=255, null=True)
    fingerprint = models.CharField(max_length=64, blank=True)

    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    queue = models.CharField(max_length=100, default="default")
    priority = models.SmallIntegerField(default=0)  # lower goes first
    aimed_node = models.CharField(max_length=100, blank=True)  # the only node it may run on
    aimed_roles = ArrayField(models.CharField(max_length=50), default=list)
    limits = models.JSONField(default=dict)  # key: how many may hold a slot of it at once
    start_rates = models.JSONField(default=dict)  # key: at most how many starts in a time
    not_before = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    # Not before this moment, after a crash or while it is throttled; `reason` says why.
    retry_at = models.DateTimeField(null=True)
    timeout_seconds = models.PositiveIntegerField(null=True)
    deadline_at = models.DateTimeField(null=True)
    running_seconds = models.FloatField(default=0)  # over finished attempts

    dispatched_at = models.DateTimeField(null=True)
    dispatch_count = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=200, blank=True)
    node = models.CharField(max_length=100, blank=True)
    pid = models.PositiveIntegerField(null=True)
    task_id = models.CharField(max_length=100, blank=True)
    lease_expires_at = models.DateTimeField(null=True)
    console_open = models.BooleanField(default=False)  # the supervisor may still append to it
    progress_at = models.DateTimeField(null=True)
    checkpoints = models.BigIntegerField(default=0)
    crashes = models.PositiveIntegerField(default=0)  # in a row, at checkpoint crashed_at
    crashed_at = models.BigIntegerField(null=True)
    retries = models.PositiveIntegerField(default=0)  # of declared errors, at checkpoint retried_at
    retried_at = models.BigIntegerField(null=True)
    # An unstoppable section that it is in, and the moment until which a stop waits for it.
    section = models.CharField(max_length=200, blank=True)
    section_until = models.DateTimeField(null=True)

    stop_step = models.PositiveSmallIntegerField(null=True)  # order of the one step to stop
    stop_level = models.CharField(max_length=10, choices=StopLevel, blank=True)
    stop_requested_at = models.DateTimeField(null=True)
    stop_deadline_at = models.DateTimeField(null=True)
    stop_grace_seconds = models.PositiveIntegerField(null=True)
    stop_requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )

    reason = models.TextField(blank=True)  # the sentence that says why it is as it is
    error = models.TextField(blank=True)  # what went wrong, for people
    error_detail = models.TextField(blank=True)  # the traceback, for those who may see it
    result = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    warnings_count = models.PositiveIntegerField(default=0)
    version = models.PositiveBigIntegerField(default=1)
    created_at = models.DateTimeField(db_default=ClockNow())
    queued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "execution"
        ordering = ("-id",)
        default_permissions = ("view",)
        permissions = (
            ("view_tracker", "Open the Process Tracker and see own jobs"),
            ("view_all_executions", "View all jobs in Process Tracker"),
            ("launch_import", "Launch imports"),
            ("launch_export", "Launch exports"),
            ("launch_mass_edit", "Launch mass edits"),
            ("launch_rules", "Launch rules"),
            ("launch_command", "Launch commands"),
            ("launch_other", "Launch jobs of other types"),
            ("stop_execution", "Stop, pause and resume own jobs"),
            ("stop_all_executions", "Stop, pause and resume all jobs one may see"),
            ("abort_execution", "Stop jobs by force"),
            ("delete_execution", "Delete jobs that are not active"),
            ("continue_execution", "Continue, relaunch and retry jobs"),
            ("undo_execution", "Undo what a job changed"),
            ("download_files", "Download files of jobs one may see"),
            ("export_raw", "Export without the guard against spreadsheet formulas"),
            ("review_proposals", "Approve and reject proposals"),
            ("manage_rules", "Manage rules"),
            ("manage_schedules", "Manage schedules"),
            ("manage_commands", "Manage command jobs"),
            ("manage_credentials", "Create credentials and use them by name"),
            ("operate_queues", "Operate workers and queues"),
            ("view_audit", "View the audit trail"),
            ("view_debug_log", "View debug logs"),
            ("approve_launch", "Approve launches that need it"),
        )
        constraints = (
            models.CheckConstraint(
                name="execution_status_known", condition=Q(status__in=Status.values)
            ),
            models.CheckConstraint(
                name="execution_held_has_lease",
                condition=Q(status__in=HELD, lease_expires_at__isnull=False)
                | (~Q(status__in=HELD) & Q(lease_expires_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="execution_finished_has_time",
                condition=Q(status__in=FINISHED, finished_at__isnull=False)
                | (~Q(status__in=FINISHED) & Q(finished_at__isnull=True)),
            ),
            models.UniqueConstraint(
                fields=("user", "idempotency_key"), name="execution_once_per_idempotency_key"
            ),
        )
        indexes = (
            # Lists are turned by id; their tabs count every status without looking at the rows,
            # and leave out the parts of steps.
            models.Index(fields=("user", "-id"), name="execution_user_idx"),
            models.Index(
                fields=("user", "status", "-id"),
                name="execution_user_status_idx",
                include=("partition",),
            ),
            models.Index(fields=("profile", "-id"), name="execution_profile_idx"),
            models.Index(
                fields=("profile", "status", "-id"),
                name="execution_profile_status_idx",
                include=("partition",),
            ),
            models.Index(
                fields=("status", "-id"), name="execution_status_idx", include=("partition",)
            ),
            models.Index(fields=("type", "-id"), name="execution_type_idx"),
            models.Index(
                fields=("type", "status", "-id"),
                name="execution_type_status_idx",
                include=("partition",),
            ),
            GinIndex(
                *(OpClass(Upper(name), "gin_trgm_ops") for name in ("name", "job", "node")),
                name="execution_text_idx",
            ),
            models.Index(
                "queue",
                "priority",
                Coalesce("user", 0),
                "queued_at",
                "id",
                name="execution_line_idx",
                condition=Q(status=Status.QUEUED),
            ),
            models.Index(
                fields=("queue", "dispatched_at"),
                name="execution_sent_idx",
                condition=Q(status=Status.QUEUED, dispatched_at__isnull=False),
            ),
            GinIndex(
                fields=("limits",),
                name="execution_limits_idx",
                condition=Q(status__in=OPEN) & ~Q(limits={}),
                fastupdate=False,
            ),
            models.Index(
                fields=("id",),
                name="execution_interrupted_idx",
                condition=Q(status=Status.QUEUED, attempt__gt=0),
            ),
            models.Index(fields=("id",), name="execution_open_idx", condition=Q(status__in=OPEN)),
            models.Index(
                fields=("id",), name="execution_console_idx", condition=Q(console_open=True)
            ),
        )

    replayed = False  # true on what a launch returns when its idempotency key was used before
    skipped = False  # true on the open one that a launch returns because of its overlap policy

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("tracker:execution", args=[self.pk])

    def transition(
        self,
        event: Event,
        *,
        by: User | None = None,
        why: str = "",
        holder: int | None = None,
        **fields: Any,
    ) -> Status:
        """Make the event happen and write its history. The only code that writes `status`.

        With `holder`, only the worker that holds this attempt may do it. `fields` are saved in
        the same statement. Raises NotAllowed when the table has no such move, or when another
        attempt has the execution. The signal `status_changed` is sent after the commit.
        """
        with transaction.atomic():
            row = JobExecution.objects.select_for_update(no_key=True).get(pk=self.pk)
            before = Status(row.status)
            after = move(event, before)
            if after is None or holder not in (None, row.attempt):
                raise NotAllowed(row, event, before)
            fields = _consequences(row, before, after) | fields
            JobExecution.objects.filter(pk=self.pk).update(
                status=after, version=F("version") + 1, **fields
            )
            if after in FINISHED:
                row.close_steps(after)
            if row.limits and after in {*FINISHED, Status.PAUSED}:
                row.slots.all().delete()
            if before in HELD and after not in HELD:
                row.end_attempt(event, why)
            if before == Status.JOINING:
                row.count_waiting_time()
            change = StatusChange.objects.create(
                execution=row, event=event, before=before, after=after, by=by, reason=why
            )
            if after in FINISHED:
                tell_of_end(row, change, fields.get("error") or why)
            tell = partial(status_changed.send_robust, sender=JobExecution, change=change)
            transaction.on_commit(tell, robust=True)
        self.refresh_from_db()
        return after

    def end_attempt(self, event: Event, why: str) -> None:
        """Close the attempt and add its time to the execution's running time."""
        with connection.cursor() as cursor:
            cursor.execute(END_ATTEMPT, [event, why, self.pk, self.attempt, self.pk])

    def count_waiting_time(self) -> None:
        """Add to the running time what its children have taken since its last attempt."""
        with connection.cursor() as cursor:
            cursor.execute(COUNT_WAITING, [self.pk])

    def close_steps(self, after: Status) -> None:
        """A finished execution has no running step; what was never begun stays pending."""
        if after == Status.COMPLETED:
            return
        ended = StepStatus.FAILED if after == Status.FAILED else StepStatus.STOPPED
        self.steps.filter(status=StepStatus.RUNNING).update(status=ended, finished_at=ClockNow())

    @property
    def definition(self) -> JobClass | None:
        """The installed job, or None when its code is gone."""
        return REGISTRY.get(self.job)

    @property
    def ledger_model(self) -> ModelClass | None:
        """The model whose rows its ledger is about; None when it keeps none."""
        if self.undoes:
            return self.undoes.ledger_model
        if self.dry_run or self.definition is None:
            return None
        return self.definition.ledger_model(self.parameters)

    @property
    def group(self) -> Group:
        return group_of(self.status)

    @property
    def outcome(self) -> str | None:
        return outcome_of(self.status, self.warnings_count)

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def is_live(self) -> bool:
        """Something about it may still change: pages keep looking."""
        return not self.is_finished or self.console_open

    @property
    def percent(self) -> int | None:
        """How far all steps have come, 0–100, or None while that cannot be measured.

        Steps count alike. Steps that a job has not begun are known from its first attempt on.
        """
        if self.status == Status.COMPLETED:
            return 100
        shares = [step.share for step in self.steps.all()]
        known = [share for share in shares if share is not None]
        if not shares or len(known) < len(shares):
            return None
        return int(100 * sum(known) / len(known))

    @property
    def running_time(self) -> dt.timedelta | None:
        """From first start to the end, or to now; None before the first start."""
        if self.started_at is None:
            return None
        return (self.finished_at or timezone.now()) - self.started_at

    @property
    def is_stalled(self) -> bool:
        """Alive without progress for longer than JOBS_STALLED_SECONDS."""
        if self.status not in HELD or self.progress_at is None:
            return False
        return (timezone.now() - self.progress_at).total_seconds() > settings.JOBS_STALLED_SECONDS


LATE = (Status.COMPLETED, Status.FAILED, Status.TIMED_OUT, Status.LOST)


def _consequences(row: JobExecution, before: Status, after: Status) -> dict[str, Any]:
    """What follows from a move, whoever asked for it."""
    fields: dict[str, Any] = {}
    if before in HELD and after not in HELD:
        fields |= {"lease_expires_at": None, "pid": None, "section": "", "section_until": None}
    if before in (HELD | {Status.JOINING}) and after not in (HELD | {Status.JOINING}):
        fields["deadline_at"] = None
    if after == Status.QUEUED:
        fields |= {"dispatched_at": None, "worker": ""}
    if after == Status.QUEUED and before in {Status.DEFERRED, Status.PAUSED}:
        fields["queued_at"] = ClockNow()  # whoever comes back from an attempt keeps its place
    if after in {Status.QUEUED, Status.RUNNING}:
        fields["reason"] = ""
    if before == Status.STOPPING and after in LATE:
        fields["reason"] = f"It {what_it_did(after)} before the stop took effect."
    if after in FINISHED:
        fields |= {"finished_at": ClockNow(), "retry_at": None}
    return fields


class Attempt(models.Model):
    """One worker's turn at an execution."""

    execution = models.ForeignKey(JobExecution, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    worker = models.CharField(max_length=200)
    node = models.CharField(max_length=100)
    started_at = models.DateTimeField(db_default=ClockNow())
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=10, choices=Event, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ("number",)
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("execution", "number"), name="attempt_once"),
        )
        indexes = (
            models.Index(fields=("id",), name="attempt_open_idx", condition=Q(ended_at=None)),
        )

    def __str__(self) -> str:
        return f"{self.execution_id} attempt {self.number}"


class StatusChange(models.Model):
    """The history of an execution: written with every change of status, never updated."""

    execution = models.ForeignKey(JobExecution, models.CASCADE, related_name="history")
    LAUNCH = "launch"  # the first row of every history: nothing → queued or deferred

    event = models.CharField(max_length=10, choices=[(LAUNCH, "Launch"), *Event.choices])
    before = models.CharField(max_length=10, choices=Status, blank=True)
    after = models.CharField(max_length=10, choices=Status)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    reason = models.TextField(blank=True)
    at = models.DateTimeField(db_default=ClockNow())

    class Meta:
        ordering = ("id",)
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"
