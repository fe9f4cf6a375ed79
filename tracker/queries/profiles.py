"""Profiles: the list with their last executions, and one profile's page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User
from django.db.models import OuterRef, QuerySet, Subquery

from jobs.definition import REGISTRY
from jobs.models import JobExecution, JobProfile
from jobs.parameters import file_fields
from jobs.permissions import Decision, may, visible_profiles, visible_to
from jobs.places import place_fields
from jobs.states import GROUPS, OPEN, Group
from tracker.queries.look import Look, digest, look
from tracker.queries.rows import TYPE_ICONS, Row, rows

LATEST = 10
ALIVE = GROUPS[Group.READY] | GROUPS[Group.ACTIVE] | GROUPS[Group.STOPPING]


@dataclass(frozen=True, slots=True)
class ProfileLine:
    """A profile on the list, with its last execution as far as the reader may see it."""

    profile: JobProfile
    icon: str
    type: str
    last: Row | None
    launch: Decision


def jobs_of_type(kind: str) -> list[str]:
    return [name for name, job in REGISTRY.items() if job.type == kind]


def find(user: User, kind: str, text: str) -> QuerySet[JobProfile]:
    """The profiles that `user` may see, of one type or all, whose label or code has the text."""
    found = visible_profiles(user)
    if kind:
        found = found.filter(job__in=jobs_of_type(kind))
    if text:
        found = found.filter(label__icontains=text) | found.filter(code__icontains=text)
    return found.order_by("label", "pk")


def with_newest(user: User, profiles: QuerySet[JobProfile]) -> QuerySet[JobProfile, Any]:
    """The profiles with the id of the last execution that `user` may see."""
    whole = visible_to(user).filter(partition=None)
    newest = whole.filter(profile=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    return profiles.annotate(newest=Subquery(newest)).prefetch_related("grants")


def lines(user: User, found: Sequence[Any]) -> list[ProfileLine]:
    """The lines of profiles that come from `with_newest`; few queries, however many they are."""
    ids = [profile.newest for profile in found if profile.newest]
    executions = JobExecution.objects.filter(pk__in=ids)
    by_id = rows(user, executions.select_related("user").prefetch_related("steps"))
    return [_line(user, profile, by_id.get(profile.newest)) for profile in found]


def _line(user: User, profile: JobProfile, last: Row | None) -> ProfileLine:
    return ProfileLine(
        profile=profile,
        icon=TYPE_ICONS.get(profile.type, "cube"),
        type=profile.type.replace("_", " ").capitalize(),
        last=last,
        launch=launch_decision(user, profile),
    )


def launch_decision(user: User, profile: JobProfile) -> Decision:
    """Whether `user` may launch it now: by right, and because it is enabled."""
    if not profile.enabled:
        return Decision(False, f"“{profile.label}” is disabled.")
    return may(user, "launch", profile)


class ProfilePage:
    """One profile: its last execution and those before it, and how to launch it elsewhere."""

    def __init__(self, user: User, profile: JobProfile):
        self.user, self.profile = user, profile
        self.icon = TYPE_ICONS.get(profile.type, "cube")
        self.type = profile.type.replace("_", " ").capitalize()

    @cached_property
    def launch(self) -> Decision:
        return launch_decision(self.user, self.profile)

    @cached_property
    def edit(self) -> Decision:
        return may(self.user, "edit", self.profile)

    @property
    def _executions(self) -> QuerySet[JobExecution]:
        return visible_to(self.user).filter(profile=self.profile, partition=None)

    @cached_property
    def look(self) -> Look:
        alive = self._executions.filter(status__in=sorted(ALIVE))
        open_ = self._executions.filter(status__in=sorted(OPEN))
        counts = {"alive": alive, "open": open_}
        return look(counts, {"latest": self._executions.order_by("-pk")[:LATEST]})

    @property
    def token(self) -> str:
        return digest(self.look.token)

    @property
    def is_alive(self) -> bool:
        return bool(self.look.counts["alive"])

    @property
    def can_stop_all(self) -> bool:
        return bool(self.look.counts["open"]) and bool(may(self.user, "stop_execution"))

    @property
    def live_address(self) -> str:
        return f"?since={self.token}"

    @cached_property
    def rows(self) -> list[Row]:
        ids = self.look.pages["latest"]
        found = JobExecution.objects.filter(pk__in=ids)
        by_id = rows(self.user, found.select_related("user").prefetch_related("steps"))
        return [by_id[pk] for pk in ids if pk in by_id]

    @property
    def last(self) -> Row | None:
        return self.rows[0] if self.rows else None

    @property
    def description(self) -> str:
        job = self.profile.definition
        said = self.profile.description or (job.describe() if job else "")
        return said.removeprefix(f"{self.profile.label}. ")


def command_line(profile: JobProfile) -> str:
    """How to launch the profile in a terminal."""
    files = "".join(f" --{name} products.csv" for name in _file_fields(profile))
    return f"python3 manage.py jobs launch {profile.code}{files}"


def curl(profile: JobProfile, origin: str) -> str:
    """How to launch the profile over REST, in short lines."""
    lines = [
        'curl -H "Authorization: Bearer $MILLRACE_TOKEN"',
        '-H "Idempotency-Key: $(uuidgen)"',
    ]
    names = _file_fields(profile)
    if names:
        lines += [f"-F {name}=@products.csv" for name in names]
    else:
        body = json.dumps({"parameters": {}})
        lines += ['-H "Content-Type: application/json"', f"-d '{body}'"]
    lines.append(f"{origin}/api/v1/profiles/{profile.code}/executions/")
    return " \\\n  ".join(lines)


def _file_fields(profile: JobProfile) -> list[str]:
    """The files that a launch sends; none where the profile names the place it fetches from."""
    job = profile.definition
    if job is None or any(map(profile.parameters.get, place_fields(job.Parameters))):
        return []
    return file_fields(job)
