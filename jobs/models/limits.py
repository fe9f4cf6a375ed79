"""How much may run at once and how often: enforced by unique rows, whatever the workers believe."""

from __future__ import annotations

from django.db import models

from jobs.models.execution import JobExecution


class Slot(models.Model):
    """A place among those that may run at once under one key, such as a profile or a job.

    An execution takes a place under each of its keys when it first starts, and gives them back when
    it ends or is paused: not between its attempts, so that of two never half is done.
    """

    key = models.CharField(max_length=200)
    number = models.PositiveSmallIntegerField()
    execution = models.ForeignKey(JobExecution, models.CASCADE, related_name="slots")

    class Meta:
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("key", "number"), name="slot_once"),
            models.UniqueConstraint(fields=("execution", "key"), name="slot_once_per_execution"),
        )

    def __str__(self) -> str:
        return f"{self.key} {self.number}"


class StartRate(models.Model):
    """When the next execution under a key may start, where starts are limited in time."""

    key = models.CharField(max_length=200, primary_key=True)
    next_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.key
