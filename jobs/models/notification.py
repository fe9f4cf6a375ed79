"""What people are told, and what other systems are told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from jobs.models.base import ClockNow
from jobs.states import Status

OPERATORS_TOLD = 50  # at most so many are told of what nobody launched
WORTH_TELLING_SECONDS = 10  # who launched something shorter is still looking at it


class NotificationQuerySet(models.QuerySet):
    def unread(self) -> NotificationQuerySet:
        return self.filter(read_at=None)

    def mark_read(self) -> int:
        """Mark them read; returns how many were not."""
        return self.unread().update(read_at=ClockNow())

    def acknowledge(self) -> int:
        """Mark them as taken care of, and read; returns how many were not."""
        open_ones = self.filter(acknowledged_at=None)
        return open_ones.update(acknowledged_at=ClockNow(), read_at=Coalesce("read_at", ClockNow()))

    def tell(self, users: Iterable[int], kind: str, text: str, **about: Any) -> None:
        """Tell people, each once; `about` names the execution or the schedule."""
        told = [self.model(user_id=pk, kind=kind, text=text[:1000], **about) for pk in users]
        self.bulk_create(told, ignore_conflicts=True)


def operators() -> list[int]:
    """Those who are told of what runs in nobody's name: active, with `operate_queues`."""
    backend = "django.contrib.auth.backends.ModelBackend"
    found = User.objects.with_perm("jobs.operate_queues", backend=backend)
    return list(found.order_by("pk").values_list("pk", flat=True)[:OPERATORS_TOLD])


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
    execution = models.ForeignKey("JobExecution", models.CASCADE, null=True, related_name="+")
    schedule = models.ForeignKey("Schedule", models.CASCADE, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=ClockNow())
    read_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)

    objects = NotificationQuerySet.as_manager()

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


# How an execution ended, and how that is said of it; a completed one may have warnings besides.
ENDS: dict[str, tuple[str, str]] = {
    Status.COMPLETED: (Notification.Kind.FINISHED, "is completed"),
    Status.FAILED: (Notification.Kind.FAILED, "failed"),
    Status.LOST: (Notification.Kind.LOST, "is lost"),
    Status.TIMED_OUT: (Notification.Kind.TIMED_OUT, "timed out"),
    Status.EXPIRED: (Notification.Kind.TIMED_OUT, "expired"),
    Status.STOPPED: (Notification.Kind.STOPPED, "was stopped"),
    Status.ABORTED: (Notification.Kind.STOPPED, "was aborted"),
}
GRAVE = {Notification.Kind.FAILED, Notification.Kind.LOST, Notification.Kind.TIMED_OUT}


def tell_of_end(execution: Any, change: Any, why: str) -> None:
    """Tell who launched it how it ended, in the transaction of the move that ends it.

    `execution` is locked, `change` its new line of history. Of what nobody launched, operators
    are told when it went wrong; of the parts of a divided step nobody is, but of their parent.
    """
    if execution.partition is not None:
        return
    kind, said = ENDS[change.after]
    if kind == Notification.Kind.FINISHED and (count := execution.warnings_count):
        kind = Notification.Kind.WARNED
        said += f" with {count:,} {'warning' if count == 1 else 'warnings'}"
    if execution.user_id and _is_news(execution, change, kind):
        people = [execution.user_id]
    elif execution.user_id is None and kind in GRAVE:
        people = operators()
    else:
        return
    if kind == Notification.Kind.STOPPED and (who := change.by or execution.stop_requested_by):
        said += f" by {who}"
    text = f"“{execution.name}” {said}{f': {why}' if why else '.'}"
    Notification.objects.tell(people, kind, text, execution=execution)


def _is_news(execution: Any, change: Any, kind: str) -> bool:
    """Not what ended before its launcher looked away, nor what they have stopped themselves."""
    if kind == Notification.Kind.STOPPED:
        return execution.user_id != (change.by_id or execution.stop_requested_by_id)
    if kind == Notification.Kind.FINISHED:
        began = execution.started_at or change.at
        return (change.at - began).total_seconds() > WORTH_TELLING_SECONDS
    return True


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
    execution = models.ForeignKey(
        "JobExecution", models.SET_NULL, null=True, related_name="messages"
    )
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
