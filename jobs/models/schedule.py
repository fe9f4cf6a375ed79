"""Schedules: rows that the controller fires, each time exactly once."""

from __future__ import annotations

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.urls import reverse

from jobs.models.base import ClockNow
from jobs.models.execution import JobExecution
from jobs.models.profile import CODE, JobProfile
from jobs.states import Overlap


class Schedule(models.Model):
    """Launches a profile at the times of a cron expression, in a time zone with daylight saving.

    It launches as `run_as`, whose rights are checked each time; without one, as the platform, which
    only declared schedules do. `next_at` is the next time that has not been fired; a schedule
    that is switched off has none, and what passes meanwhile is not made up for.
    """

    class Missed(models.TextChoices):
        """What becomes of times that passed while no controller ran."""

        SKIP = "skip", "Leave them out"
        ONCE = "once", "Make up for them once"
        ALL = "all", "Make up for each of them"

    code = models.CharField(max_length=100, unique=True, validators=[CODE])
    label = models.CharField(max_length=200)
    profile = models.ForeignKey(JobProfile, models.CASCADE, related_name="schedules")
    parameters = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    cron = models.CharField(max_length=100)
    time_zone = models.CharField(max_length=50, default="UTC")
    missed = models.CharField(max_length=10, choices=Missed, default=Missed.ONCE)
    overlap = models.CharField(max_length=10, choices=Overlap, default=Overlap.SKIP)
    run_as = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="schedules"
    )
    enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField(null=True, editable=False, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("label",)

    def __str__(self) -> str:
        return self.label

    def get_absolute_url(self) -> str:
        return reverse("tracker:schedule", args=[self.code])


class Firing(models.Model):
    """One time of a schedule and what came of it; unique, so that no time is fired twice."""

    class Outcome(models.TextChoices):
        LAUNCHED = "launched", "Launched"
        SKIPPED = "skipped", "Skipped, because the one before is still open"
        MISSED = "missed", "Missed and left out"
        REFUSED = "refused", "Could not be launched"

    schedule = models.ForeignKey(Schedule, models.CASCADE, related_name="firings")
    scheduled_for = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome)
    reason = models.TextField(blank=True)
    execution = models.ForeignKey(JobExecution, models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(db_default=ClockNow())

    class Meta:
        ordering = ("-scheduled_for",)
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("schedule", "scheduled_for"), name="fired_once"),
        )

    def __str__(self) -> str:
        return f"{self.schedule} at {self.scheduled_for}"
