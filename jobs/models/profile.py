"""Profiles: jobs with saved parameters, and who may use them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import RegexValidator
from django.db import connection, models, transaction
from django.db.models import F
from django.urls import reverse
from psycopg.types.json import Jsonb

from jobs.definition import REGISTRY, Job, find
from jobs.states import HELD, OPEN, Overlap, Status

CODE = RegexValidator(
    r"^[a-z0-9][a-z0-9_-]*$",
    "A code has lower-case letters, digits, '-' and '_', and begins with a letter or digit.",
)

# A changed limit holds for what has been launched already, too; what runs now takes its slot even
# where that makes more than the new limit allows: then nothing starts until enough have ended.
LIMIT = """
UPDATE jobs_jobexecution SET
  limits = (limits - %(before)s) || %(limits)s,
  start_rates = (start_rates - %(before)s) || %(rates)s
WHERE profile_id = %(profile)s AND status = ANY(%(open)s) AND partition IS NULL
"""
RENAME_SLOTS = "UPDATE jobs_slot SET key = %(key)s WHERE key = %(before)s"
DROP_SLOTS = "DELETE FROM jobs_slot WHERE key = %(key)s"
TAKE_SLOTS = """
INSERT INTO jobs_slot (key, number, execution_id)
SELECT %(key)s, row_number() OVER (ORDER BY id) - 1, id FROM jobs_jobexecution
WHERE profile_id = %(profile)s AND status = ANY(%(busy)s) AND partition IS NULL
ON CONFLICT DO NOTHING
"""
# Whoever has a slot beyond the new limit began by right: its own limit stays wide enough for that.
STAY_WIDE = """
UPDATE jobs_jobexecution e SET limits = e.limits || jsonb_build_object(s.key, s.number + 1)
FROM jobs_slot s WHERE s.execution_id = e.id AND s.key = %(key)s AND s.number >= %(most)s
"""


class JobProfile(models.Model):
    """A job with saved parameters, under a name people know: 'Nightly supplier import'.

    Parameters given at launch overlay `parameters`; those named in `locked` refuse to be overlaid.
    `version` rises with every change that a launch would feel, and each execution keeps the one
    it was launched with. A `sensitive` profile shows its console, warnings and files only to the
    person who launched it and to groups that are granted *view*.
    """

    code = models.CharField(max_length=100, unique=True, validators=[CODE])
    label = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    job = models.CharField(max_length=100, db_index=True)
    parameters = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    locked = models.JSONField(default=list, blank=True)
    queue = models.CharField(max_length=50, blank=True)
    priority = models.SmallIntegerField(default=0)
    concurrency = models.PositiveSmallIntegerField(null=True, blank=True)  # 1 is one at a time
    overlap = models.CharField(max_length=10, choices=Overlap, default=Overlap.QUEUE)
    start_rate = models.CharField(max_length=20, blank=True)  # such as "10/m"
    node = models.CharField(max_length=100, blank=True)  # the only node it may run on
    node_roles = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    timeout_seconds = models.PositiveIntegerField(null=True, blank=True)
    stop_grace_seconds = models.PositiveIntegerField(null=True, blank=True)
    enabled = models.BooleanField(default=True)
    sensitive = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("label",)
        verbose_name = "profile"

    VERSIONED = (
        "job",
        "parameters",
        "locked",
        "queue",
        "priority",
        "concurrency",
        "overlap",
        "start_rate",
        "node",
        "node_roles",
        "timeout_seconds",
        "stop_grace_seconds",
    )
    LIMITING = ("code", "concurrency", "start_rate")

    def __str__(self) -> str:
        return self.label

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; raises `version` when something changed that a launch would feel.

        What has been launched and has not ended follows a changed limit or start rate.
        """
        with transaction.atomic():
            before = JobProfile.objects.filter(pk=self.pk).values("code", *self.VERSIONED).first()
            if before and any(before[name] != getattr(self, name) for name in self.VERSIONED):
                self.version = F("version") + 1
                if fields := kwargs.get("update_fields"):
                    kwargs["update_fields"] = {*fields, "version"}
            super().save(*args, **kwargs)
            if before and any(before[name] != getattr(self, name) for name in self.LIMITING):
                self._limit_the_launched(before)
        if not isinstance(self.version, int):
            self.refresh_from_db(fields=["version"])

    def get_absolute_url(self) -> str:
        return reverse("tracker:profile", args=[self.code])

    def _limit_the_launched(self, before: dict[str, Any]) -> None:
        key = f"profile:{self.code}"
        values: dict[str, Any] = {
            "key": key,
            "before": f"profile:{before['code']}",
            "limits": Jsonb({key: self.concurrency} if self.concurrency else {}),
            "rates": Jsonb({key: self.start_rate} if self.start_rate else {}),
            "most": self.concurrency,
            "profile": self.pk,
            "open": sorted(OPEN),
            "busy": sorted(HELD | {Status.JOINING}),
        }
        with connection.cursor() as cursor:
            cursor.execute(LIMIT, values)
            cursor.execute(RENAME_SLOTS, values)
            if not self.concurrency:
                cursor.execute(DROP_SLOTS, values)
                return
            if not before["concurrency"]:
                cursor.execute(TAKE_SLOTS, values)
            cursor.execute(STAY_WIDE, values)

    @property
    def definition(self) -> type[Job] | None:
        """The installed job, or None when its code is gone."""
        return REGISTRY.get(self.job)

    @property
    def type(self) -> str:
        return self.definition.type if self.definition else "other"

    def effective_queue(self) -> str:
        return self.queue or find(self.job).queue


class ProfileGrant(models.Model):
    """Lets one group see, launch or edit one profile. A profile without grants is open to all
    whose role permits its type; with grants, only to the groups named."""

    profile = models.ForeignKey(JobProfile, models.CASCADE, related_name="grants")
    group = models.ForeignKey(Group, models.CASCADE, related_name="profile_grants")
    view = models.BooleanField(default=True)
    launch = models.BooleanField(default=False)
    edit = models.BooleanField(default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("profile", "group"), name="one_grant_per_group"),
        )

    def __str__(self) -> str:
        return f"{self.group} on {self.profile}"
