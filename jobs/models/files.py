"""Files that were uploaded, and files of executions. Without its row a file does not exist."""

from __future__ import annotations

import uuid
from pathlib import PurePath

from django.conf import settings
from django.db import models

from jobs.models.base import ClockNow, UUIDv7
from jobs.models.execution import JobExecution


def _generated_name(folder: str, name: str) -> str:
    """A storage key of our own: no name that a person chose ever reaches the file system."""
    suffix = PurePath(name).suffix.lower()
    safe = suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 10 else ""
    key = uuid.uuid4().hex
    return f"{folder}/{key[:2]}/{key}{safe}"


def upload_key(instance: Upload, name: str) -> str:
    return _generated_name("uploads", name)


def file_key(instance: ExecutionFile, name: str) -> str:
    return _generated_name("executions", name)


class Upload(models.Model):
    """A file somebody sent, to be named in the parameters of a launch by its id."""

    id = models.UUIDField(primary_key=True, db_default=UUIDv7(), editable=False)
    file = models.FileField(upload_to=upload_key, max_length=200)
    name = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True)
    created_at = models.DateTimeField(db_default=ClockNow())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class ExecutionFile(models.Model):
    """A file given to an execution, or made by it."""

    class Role(models.TextChoices):
        INPUT = "input", "Read file"
        OUTPUT = "output", "Generated file"
        REJECTED = "rejected", "Rejected rows"

    execution = models.ForeignKey(JobExecution, models.CASCADE, related_name="files")
    role = models.CharField(max_length=10, choices=Role)
    field = models.CharField(max_length=100, blank=True)  # of the parameter form, for inputs
    name = models.CharField(max_length=255)
    file = models.FileField(upload_to=file_key, max_length=200)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=ClockNow())

    class Meta:
        ordering = ("id",)
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(
                fields=("execution", "role", "field", "name"), name="file_once_per_execution"
            ),
        )

    def __str__(self) -> str:
        return self.name
