"""Who works, and with which key automation comes in."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import JSONObject
from django.utils import timezone
from knox.models import AbstractAuthToken

from jobs.models.base import ClockNow

SEEN_WITHIN = dt.timedelta(seconds=15)


class WorkerQuerySet(models.QuerySet):
    def live(self) -> WorkerQuerySet:
        """Those that have reported within the last 15 seconds."""
        return self.filter(seen_at__gt=ClockNow() - SEEN_WITHIN)


class Worker(models.Model):
    """A process that reports itself: a Celery worker with its slots, or a controller.

    `definitions` maps the jobs that its code knows to their versions, `roles` are what its node
    is good for. While `drain_requested_at` is set it takes nothing and hands over what it has.
    """

    class Kind(models.TextChoices):
        WORKER = "worker"
        CONTROLLER = "controller"

    name = models.CharField(max_length=200, primary_key=True)
    kind = models.CharField(max_length=10, choices=Kind)
    node = models.CharField(max_length=100)
    pid = models.PositiveIntegerField()
    queues = ArrayField(models.CharField(max_length=100), default=list)
    slots = models.PositiveSmallIntegerField(default=0)
    definitions = models.JSONField(default=dict)
    roles = ArrayField(models.CharField(max_length=50), default=list)
    drain_requested_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class PausedQueue(models.Model):
    """A queue from which nothing is started until somebody resumes it: this row is the pause."""

    name = models.CharField(max_length=100, primary_key=True)
    reason = models.TextField(blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(db_default=ClockNow())

    class Meta:
        ordering = ("name",)
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class Maintenance(models.Model):
    """Nothing is started anywhere while its one row exists; every page says the reason."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    reason = models.TextField()
    refuses_launches = models.BooleanField(default=False)  # else launches are queued
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    began_at = models.DateTimeField(db_default=ClockNow())

    class Meta:
        default_permissions = ()
        constraints = (models.CheckConstraint(name="one_maintenance", condition=models.Q(id=1)),)

    def __str__(self) -> str:
        return self.reason

    @classmethod
    def subquery(cls) -> models.Subquery:
        """The row as JSON or NULL, to be read with something else."""
        names = ("reason", "refuses_launches", "began_at")
        row = cls.objects.annotate(row=JSONObject(**{name: name for name in names}))
        return models.Subquery(row.values("row")[:1])

    @classmethod
    def read(cls, row: dict[str, Any] | None) -> Maintenance | None:
        """What `subquery()` gave."""
        if row is None:
            return None
        return cls(**row | {"began_at": dt.datetime.fromisoformat(row["began_at"])})


class ApiToken(AbstractAuthToken):
    """A hashed, expiring key for the REST API; its name says what it is for."""

    name = models.CharField(max_length=100, blank=True)
    scopes = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API token"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name or self.token_key
