"""The list of resources: what there is, about how many rows, and what one may do with them."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import connection
from psycopg import sql

from jobs.definition import REGISTRY
from jobs.models import JobProfile
from jobs.permissions import Decision, may, visible_profiles, visible_resources
from jobs.resources import ResourceClass

COUNTED = 10_000  # a table with no more rows is counted
ESTIMATES = "SELECT relname, reltuples::bigint FROM pg_class WHERE oid = ANY(%s::regclass[])"
NO_JOB = Decision(False, "There is no such job in the installed code.")


@dataclass(frozen=True, slots=True)
class ResourceLine:
    """A resource on the list, with how many rows it has; of many, about how many."""

    resource: ResourceClass
    rows: int | None
    is_exact: bool
    imports: Decision
    exports: Decision

    @property
    def label(self) -> str:
        return label_of(self.resource)

    @property
    def about(self) -> str:
        return " ".join((self.resource.__doc__ or "").split("\n\n")[0].split())


def label_of(resource: ResourceClass) -> str:
    plural = str(resource.model._meta.verbose_name_plural)
    return plural[:1].upper() + plural[1:]


def lines(user: User) -> list[ResourceLine]:
    """The resources whose rows `user` may see, by their labels."""
    found = sorted(visible_resources(user), key=label_of)
    tables = {each.model._meta.db_table for each in found}
    about = _estimates(tables)
    exact = _counts({table for table in tables if about.get(table, 0) <= COUNTED})
    rows = about | exact
    return [
        ResourceLine(
            each,
            rows.get(each.model._meta.db_table),
            each.model._meta.db_table in exact,
            launching(user, each, "import"),
            launching(user, each, "export"),
        )
        for each in found
    ]


def _estimates(tables: set[str]) -> dict[str, int]:
    """About how many rows these tables have, as PostgreSQL knows it without counting."""
    quoted = [connection.ops.quote_name(table) for table in tables]
    with connection.cursor() as cursor:
        cursor.execute(ESTIMATES, [quoted])
        return {table: rows for table, rows in cursor.fetchall() if rows >= 0}


def _counts(tables: set[str]) -> dict[str, int]:
    """How many rows these tables have, of those that have few; of none more are looked at."""
    if not tables:
        return {}
    counts = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}, count(*) FROM (SELECT FROM {} LIMIT {}) AS few").format(
            sql.Literal(table), sql.Identifier(table), COUNTED + 1
        )
        for table in sorted(tables)
    )
    with connection.cursor() as cursor:
        cursor.execute(counts)
        return {table: rows for table, rows in cursor.fetchall() if rows <= COUNTED}


def launching(user: User, resource: ResourceClass, verb: str) -> Decision:
    """Whether `user` may import into a resource, or export from it."""
    job = REGISTRY.get(f"{resource.name}.{verb}")
    return may(user, "launch", job) if job else NO_JOB


def formats(resource: ResourceClass) -> list[tuple[str, str]]:
    """The formats in which rows can be exported, with their labels."""
    job = REGISTRY.get(f"{resource.name}.export")
    field = job.Parameters.base_fields.get("format") if job else None
    return [(value, label) for value, label in getattr(field, "choices", ()) if value]


def import_profiles(user: User, resource: ResourceClass) -> list[JobProfile]:
    """The profiles by which `user` may import into a resource."""
    found = visible_profiles(user).filter(job=f"{resource.name}.import", enabled=True)
    return [profile for profile in found.order_by("label") if may(user, "launch", profile)]
