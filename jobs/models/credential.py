"""Accounts on other systems, by which jobs read and write files there."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse

from jobs.models.base import ClockNow, UUIDv7


class Credential(models.Model):
    """How to reach one place where files lie, and the secret for it.

    `options` may be seen by those who may use it; `secret` is ciphertext, made with the key named
    by `key_id`, and is never shown to anybody.
    """

    class Kind(models.TextChoices):
        S3 = "s3", "Amazon S3 or compatible"
        SFTP = "sftp", "SFTP"
        AZURE = "azure", "Azure Blob Storage"
        GCS = "gcs", "Google Cloud Storage"
        HTTPS = "https", "HTTPS"

    id = models.UUIDField(primary_key=True, db_default=UUIDv7(), editable=False)
    name = models.SlugField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind)
    options = models.JSONField(default=dict, blank=True)
    secret = models.BinaryField(blank=True, default=b"")
    key_id = models.CharField(max_length=20, blank=True)
    created_at = models.DateTimeField(db_default=ClockNow())
    updated_at = models.DateTimeField(db_default=ClockNow())
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        ordering = ("name",)
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("tracker:credential", args=[self.name])
