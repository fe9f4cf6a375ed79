"""What people are told, and what other systems are told."""

from __future__ import annotations

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q

from jobs.models.base import ClockNow
from jobs.models.execution import JobExecution
from jobs.models.schedule import Schedule


class Notification(models.Model):
    """One thing that one person is told, once."""

    class Kind(models.TextChoices):
        FINISHED = "finished", "Completed"
        WARNED = "warned", "Completed with warnings"
        FAILED = "failed", "Failed"
        LOST = "lost", "Lost"
        TIMED_OUT = "timed_out", "Timed out"
        STOPPED = "stopped", "Stopped by somebody else"
        STALLED = "stalled", "Alive without progress"
        NOT_LAUNCHED = "not_launched", "Could not be launched"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="notifications", db_index=False
    )
    kind = models.CharField(max_length=20, choices=Kind)
    text = models.TextField()
    execution = models.ForeignKey(JobExecution, models.CASCADE, null=True, related_name="+")
    schedule = models.ForeignKey(Schedule, models.CASCADE, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=ClockNow())
    read_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(
                fields=("user", "kind", "execution"),
                name="told_once",
                condition=Q(execution__isnull=False),
            ),
        )
        indexes = (
            models.Index(fields=("user", "-id"), name="notification_user_idx"),
            models.Index(
                fields=("user",), name="notification_unread_idx", condition=Q(read_at=None)
            ),
        )

    def __str__(self) -> str:
        return self.text


class OutboxMessage(models.Model):
    """A mail or a call to another system, written with the work that it tells of, sent after it.

    Sent at least once, and always with its `dedupe_key`, by which a receiver knows a repetition.
    """

    class Kind(models.TextChoices):
        MAIL = "mail"
        WEBHOOK = "webhook"

    dedupe_key = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=10, choices=Kind)
    payload = models.JSONField(encoder=DjangoJSONEncoder)
    execution = models.ForeignKey(JobExecution, models.SET_NULL, null=True, related_name="messages")
    created_at = models.DateTimeField(db_default=ClockNow())
    due_at = models.DateTimeField(db_default=ClockNow())
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)  # of the last try

    class Meta:
        ordering = ("id",)
        default_permissions = ()
        indexes = (
            models.Index(
                fields=("due_at",),
                name="outbox_due_idx",
                condition=Q(sent_at=None, given_up_at=None),
            ),
        )

    def __str__(self) -> str:
        return self.dedupe_key
