"""Files that were uploaded, and files of executions. Without its row a file does not exist."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from pathlib import PurePath

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import models
from django.utils import timezone

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
        indexes = (models.Index(fields=("file",), name="upload_file_idx"),)

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
        indexes = (models.Index(fields=("file",), name="execution_file_idx"),)

    def __str__(self) -> str:
        return self.name


def orphans(names: Iterable[str], *, older_than: dt.timedelta) -> list[str]:
    """Those of the stored files that no row names and that are older than that."""
    wanted, before = list(names), timezone.now() - older_than
    named = set(Upload.objects.filter(file__in=wanted).values_list("file", flat=True))
    named.update(ExecutionFile.objects.filter(file__in=wanted).values_list("file", flat=True))
    return [name for name in wanted if name not in named and _is_from(name, before)]


def _is_from(name: str, before: dt.datetime) -> bool:
    try:
        return default_storage.get_modified_time(name) <= before
    except FileNotFoundError:
        return False  # somebody else was faster


def discard_files(names: Iterable[str], *, older_than: dt.timedelta = dt.timedelta()) -> int:
    """Delete those of the stored files that no row names; returns how many.

    The rows go first and are committed: a file without a row does no harm, and is found again.
    """
    going = orphans(names, older_than=older_than)
    for name in going:
        default_storage.delete(name)
    return len(going)
