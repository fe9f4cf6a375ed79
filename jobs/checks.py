"""System checks: what is wrong is said at start-up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection

from jobs.definition import DECLARED_PROFILES, REGISTRY, Job
from jobs.models.limits import Rate
from jobs.states import Overlap

POSTGRESQL = 18
TAG = "jobs"  # what a worker checks at its start
# Which time must be over before which other one, and what happens if it is not.
IN_ORDER = (
    ("HEARTBEAT", "SELF_FENCE", "a healthy worker would end its own jobs between two renewals"),
    ("IDLE_TRANSACTION", "SELF_FENCE", "a frozen job would keep its locks from the next attempt"),
    ("SELF_FENCE", "LEASE", "the next attempt would begin while the one before still works"),
)


@register(TAG)
def time_outs_are_in_order(**_: Any) -> list[CheckMessage]:
    """A worker that is cut off must be silent before another one takes over."""
    found: list[CheckMessage] = []
    for first, second, otherwise in IN_ORDER:
        names = f"JOBS_{first}_SECONDS", f"JOBS_{second}_SECONDS"
        short, long = (getattr(settings, name) for name in names)
        if short >= long:
            found.append(
                Error(
                    f"{names[0]} is {short:g} and {names[1]} is {long:g}: {otherwise}.",
                    hint=f"Make {names[0]} smaller than {names[1]}.",
                    id="jobs.E004",
                )
            )
    return found


@register(TAG)
def profiles_name_installed_jobs(**_: Any) -> list[CheckMessage]:
    return [
        Error(
            f"The declared profile {code!r} launches {values['job']!r}, which no app defines.",
            hint=f"Installed jobs: {', '.join(sorted(REGISTRY))}.",
            id="jobs.E001",
        )
        for code, values in DECLARED_PROFILES.items()
        if values["job"] not in REGISTRY
    ]


@register(TAG)
def limits_of_jobs_can_be_kept(**_: Any) -> list[CheckMessage]:
    """Start rates that can be read, overlap policies that exist, and room for one at least."""
    return [
        Error(f"The job {name!r}: {said}", id="jobs.E005")
        for name, job in REGISTRY.items()
        for said in _wrong_limits(job)
    ]


def _wrong_limits(job: type[Job]) -> Iterator[str]:
    for option in ("start_rate", "key_start_rate"):
        try:
            if text := getattr(job, option):
                Rate.parse(text)
        except ValueError as error:
            yield f"{option}: {error}"
    if job.overlap not in Overlap.values:
        yield f"overlap is {job.overlap!r}; there are: {', '.join(Overlap.values)}."
    if job.concurrency == 0 or not job.key_concurrency:
        yield "concurrency and key_concurrency are at least 1."


@register(Tags.database)
def database_is_postgresql_18(databases: Any = None, **_: Any) -> list[CheckMessage]:
    if not databases or "default" not in databases:
        return []
    if connection.vendor != "postgresql":
        return [
            Error(
                f"The database is {connection.vendor}; executions need PostgreSQL.", id="jobs.E002"
            )
        ]
    found = connection.cursor().connection.info.server_version // 10000
    if found < POSTGRESQL:
        return [
            Error(
                f"The database is PostgreSQL {found}; version {POSTGRESQL} or newer is needed "
                "(uuidv7(), RETURNING old and new).",
                id="jobs.E003",
            )
        ]
    with connection.cursor() as cursor:
        cursor.execute("SHOW wal_compression")
        if cursor.fetchone()[0] == "off":
            return [
                checks.Warning(
                    "wal_compression is off: mass edits write up to twice the log.",
                    hint="Set wal_compression to lz4, or to on where the server has no lz4.",
                    id="jobs.W001",
                )
            ]
    return []
