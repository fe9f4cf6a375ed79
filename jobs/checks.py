"""System checks: what is wrong is said at start-up."""

from __future__ import annotations

from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection

from jobs.definition import DECLARED_PROFILES, REGISTRY

POSTGRESQL = 18


@register()
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
