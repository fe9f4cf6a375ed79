"""Steps: how far they are, what they left out, and what the job said."""

from __future__ import annotations

from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from jobs.definition import COUNTERS, Counters
from jobs.models.base import ClockNow
from jobs.models.execution import JobExecution
from jobs.states import StepStatus


class StepExecution(models.Model):
    """How far one step of one execution has come, over all attempts.

    `cursor` is where the next chunk begins, saved in the same transaction as the work up to it.
    `position` of `length` bytes measure the source when `total` (items) is not known.
    """

    execution = models.ForeignKey(JobExecution, models.CASCADE, related_name="steps")
    order = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=100)
    label = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=StepStatus, default=StepStatus.PENDING)
    cursor = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    total = models.PositiveBigIntegerField(null=True)
    position = models.PositiveBigIntegerField(default=0)
    length = models.PositiveBigIntegerField(null=True)
    created = models.PositiveBigIntegerField(default=0)
    updated = models.PositiveBigIntegerField(default=0)
    unchanged = models.PositiveBigIntegerField(default=0)
    deleted = models.PositiveBigIntegerField(default=0)
    done = models.PositiveBigIntegerField(default=0)
    skipped = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    warnings_count = models.PositiveBigIntegerField(default=0)
    carried = models.PositiveBigIntegerField(default=0)  # items done by the execution it continues
    columns = models.JSONField(null=True)  # names of the source's columns, for rejected rows
    optional = models.BooleanField(default=False)
    error = models.TextField(blank=True)  # why it failed
    reason = models.TextField(blank=True)  # why it was skipped
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    # The execution and step that keep its warnings, when it does a part of a parent's step.
    told_to: tuple[UUID, int] | None = None

    class Meta:
        ordering = ("order",)
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("execution", "name"), name="step_once_per_execution"),
        )
        indexes = (
            models.Index(
                fields=("id",),
                name="step_running_idx",
                condition=models.Q(status=StepStatus.RUNNING),
            ),
        )

    def __str__(self) -> str:
        return self.label or self.name

    @property
    def counters(self) -> Counters:
        return Counters(*(getattr(self, name) for name in COUNTERS))

    @property
    def processed(self) -> int:
        """Items whose fate is committed."""
        return self.counters.processed

    @property
    def kept(self) -> int:
        """Items whose work is done and stays: processed, and not left out."""
        return self.processed - self.skipped - self.failed

    @property
    def share(self) -> float | None:
        """0.0–1.0 of the step, or None when that cannot be measured."""
        if self.status in {StepStatus.COMPLETED, StepStatus.SKIPPED}:
            return 1.0
        if self.status == StepStatus.PENDING:
            return 0.0
        if self.total:
            return min(1.0, (self.carried + self.processed) / self.total)
        if self.length:
            return min(1.0, self.position / self.length)
        return None


class StepWarning(models.Model):
    """One item, or one value of it, that was left out, and why."""

    class Outcome(models.TextChoices):
        FAILED = "failed", "Failed"
        SKIPPED = "skipped", "Skipped"
        KEPT = "kept", "Written all the same"

    execution = models.ForeignKey(
        JobExecution, models.CASCADE, related_name="warnings", db_index=False
    )
    step = models.ForeignKey(StepExecution, models.CASCADE, related_name="warnings")
    row = models.PositiveBigIntegerField(null=True)
    key = models.CharField(max_length=200, blank=True)
    column = models.CharField(max_length=200, blank=True)
    value = models.CharField(max_length=200, blank=True)
    code = models.CharField(max_length=50)
    message = models.TextField()
    outcome = models.CharField(max_length=10, choices=Outcome, db_default=Outcome.FAILED)

    class Meta:
        ordering = ("id",)
        default_permissions = ()
        indexes = (models.Index(fields=("execution", "id"), name="warning_execution_idx"),)

    def __str__(self) -> str:
        return self.message


class ConsoleText(models.Model):
    """A piece of what a job wrote, at a byte offset of its stream; never rewritten."""

    class Stream(models.TextChoices):
        CONSOLE = "console"  # what the job says to people
        DEBUG = "debug"  # log records, tracebacks, standard error

    execution = models.ForeignKey(JobExecution, models.CASCADE, related_name="console")
    stream = models.CharField(max_length=10, choices=Stream, default=Stream.CONSOLE)
    offset = models.PositiveBigIntegerField()
    text = models.BinaryField()  # UTF-8
    at = models.DateTimeField(db_default=ClockNow())

    class Meta:
        ordering = ("offset",)
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(
                fields=("execution", "stream", "offset"), name="console_text_once_per_offset"
            ),
        )

    def __str__(self) -> str:
        return f"{self.stream} at {self.offset}"
