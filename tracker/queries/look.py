"""One statement that says how many there are, which are on the page, and whether that is news."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from jobs.models import JobExecution
from jobs.models.base import first_id

CAP = 10_000  # counts are exact up to here


@dataclass(frozen=True, slots=True)
class Count:
    """A number of executions, exact up to CAP."""

    value: int

    def __str__(self) -> str:
        return f"{CAP:,}+" if self.value > CAP else f"{self.value:,}"

    def __bool__(self) -> bool:
        return bool(self.value)


@dataclass(frozen=True, slots=True)
class Look:
    """What a live list has to show. `token` changes whenever that does."""

    counts: dict[str, Count]
    pages: dict[str, list[uuid.UUID]]
    token: str

    @property
    def ids(self) -> set[uuid.UUID]:
        return {pk for page in self.pages.values() for pk in page}

    def total(self, names: Iterable[str]) -> Count:
        return Count(sum(self.counts[name].value for name in names))


def look(counts: Mapping[str, QuerySet], pages: Mapping[str, QuerySet]) -> Look:
    """Count each of `counts` and list the ids of each of `pages`, in a single statement.

    Pages are ordered and sliced querysets of executions; the token is made of their ids and
    versions, so it stays the same for as long as no row on them changes.
    """
    parts: list[str] = []
    values: list[Any] = []
    for queryset in counts.values():
        sliced = queryset.order_by().values("pk")[: CAP + 1]
        parts.append(_wrapped("count(*)", sliced, values, empty="0"))
    for queryset in pages.values():
        listed = "json_agg(json_build_array(id, version))"
        parts.append(_wrapped(listed, queryset.values("id", "version"), values, empty="NULL"))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", values)
        found = list(cursor.fetchone())
    numbers = [Count(number) for number in found[: len(counts)]]
    rows = dict(zip(pages, map(_decoded, found[len(counts) :]), strict=True))
    return Look(
        counts=dict(zip(counts, numbers, strict=True)),
        pages={name: [uuid.UUID(pk) for pk, _ in page] for name, page in rows.items()},
        token=digest([count.value for count in numbers], rows),
    )


def _wrapped(what: str, queryset: QuerySet, values: list, *, empty: str) -> str:
    try:
        sql, params = queryset.query.sql_with_params()
    except EmptyResultSet:
        return empty
    values += params
    return f"(SELECT {what} FROM ({sql}) found)"  # noqa: S608 (compiled by Django)


def _decoded(listed: str | list | None) -> list:
    return json.loads(listed) if isinstance(listed, str) else listed or []


def digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def since(executions: QuerySet[JobExecution], moment: dt.datetime) -> QuerySet[JobExecution]:
    """Those created at that moment or later, told by their ids: no row has to be read."""
    return executions.filter(pk__gte=first_id(moment))
