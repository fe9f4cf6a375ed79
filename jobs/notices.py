"""What people are told besides how an execution ended: that it stalls, or could not be launched."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef

from jobs.models import JobExecution, Notification, Schedule
from jobs.models.base import ClockNow, seconds
from jobs.models.notification import operators
from jobs.states import HELD

AT_ONCE = 100


def tell_of_stalled() -> int:
    """Tell of each that is alive without progress, once a stall; returns of how many."""
    this_stall = Notification.objects.filter(
        kind=Notification.Kind.STALLED,
        execution=OuterRef("pk"),
        created_at__gt=OuterRef("progress_at"),
    )
    limit = ClockNow() - seconds(settings.JOBS_STALLED_SECONDS)
    stalled = JobExecution.objects.filter(status__in=HELD, progress_at__lt=limit, partition=None)
    found = list(stalled.filter(~Exists(this_stall)).order_by("pk")[:AT_ONCE])
    for execution in found:
        _tell_of_stall(execution)
    return len(found)


def _tell_of_stall(execution: JobExecution) -> None:
    minutes = settings.JOBS_STALLED_SECONDS / 60
    text = f"“{execution.name}” is alive, but has made no progress for {minutes:.3g} minutes."
    told = Notification.objects.filter(kind=Notification.Kind.STALLED, execution=execution)
    with transaction.atomic():
        # A stall before this one has been told of already; each person has one of each kind.
        told.filter(created_at__lte=F("execution__progress_at")).delete()
        people = [execution.user_id] if execution.user_id else operators()
        Notification.objects.tell(people, Notification.Kind.STALLED, text, execution=execution)


def tell_not_launched(schedule: Schedule, reason: str) -> None:
    """Tell whom it runs as that it could not be launched; operators when nobody can read that.

    Who has an unread notice of this schedule gets no second one.
    """
    runs_as = schedule.run_as
    people = [runs_as.pk] if runs_as and runs_as.is_active else operators()
    kind = Notification.Kind.NOT_LAUNCHED
    waiting = Notification.objects.unread().filter(schedule=schedule, kind=kind)
    know = set(waiting.values_list("user_id", flat=True))
    text = f"“{schedule.label}” could not be launched: {reason}"
    Notification.objects.tell(
        [pk for pk in people if pk not in know], kind, text, schedule=schedule
    )
