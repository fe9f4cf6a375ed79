"""How much may run at once and how often: enforced by unique rows, whatever the workers believe."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from dataclasses import dataclass

from django.db import models
from django.utils import timezone

from jobs.models.execution import JobExecution

LONGEST_KEY = 200
UNITS = {"s": (1, "second"), "m": (60, "minute"), "h": (3600, "hour"), "d": (86_400, "day")}
RATE = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})?([smhd])", re.ASCII)


class Slot(models.Model):
    """A place among those that may run at once under one key, such as a profile or a job.

    An execution takes a place under each of its keys when it first starts, and gives them back when
    it ends or is paused: not between its attempts, so that of two never half is done.
    """

    key = models.CharField(max_length=LONGEST_KEY)
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

    key = models.CharField(max_length=LONGEST_KEY, primary_key=True)
    next_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many starts in a time. They are spread evenly: ten a minute is one in 6 s."""

    starts: int
    times: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Rate:
        """The rate that `text` says, such as "10/m" or "1/10s"; raises ValueError."""
        found = RATE.fullmatch(text)
        if not found:
            raise ValueError(
                f"{text!r} is no start rate; write it as '10/m' (ten a minute) or '1/10s'"
                " (one in ten seconds), with s, m, h or d."
            )
        return cls(int(found[1]), int(found[2] or 1), found[3])

    @property
    def interval_seconds(self) -> float:
        """From one start to the next."""
        return self.times * UNITS[self.unit][0] / self.starts

    def __str__(self) -> str:
        starts = f"{self.starts:,} start{'s' if self.starts > 1 else ''}"
        unit = UNITS[self.unit][1]
        if self.times > 1:
            return f"{starts} in {self.times:,} {unit}s"
        return f"{starts} {'an' if unit == 'hour' else 'a'} {unit}"


def limit_key(kind: str, *names: str) -> str:
    """The key of a limit, such as `profile:nightly`. What is too long ends in a fingerprint."""
    key = ":".join((kind, *names))
    if len(key) <= LONGEST_KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:24]
    return f"{key[: LONGEST_KEY - len(digest) - 1]}~{digest}"


def limited(execution: JobExecution, key: str) -> str:
    """What a key of this execution limits, as people call it: the profile, or the job."""
    kind, _, rest = key.partition(":")
    if kind in {"profile", "schedule"}:
        return f"“{execution.profile.label if execution.profile else execution.name}”"
    label = execution.definition.label if execution.definition else execution.job
    if kind == "key":
        return f"“{label}” for “{rest.partition(':')[2]}”"
    return f"“{label}”"


def too_early(execution: JobExecution, key: str, rate: Rate, next_at: dt.datetime) -> str:
    """Why it does not start before its start rate comes round."""
    at = f"{timezone.localtime(next_at):%H:%M:%S}"
    return f"At most {rate} of {limited(execution, key)}; the next at {at}."
