"""Keyset paging: a page begins behind the last row of the one before, however many rows there are.

Nothing is counted, and rows that come or go between two pages neither repeat nor hide others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.db.models import DurationField, ExpressionWrapper, F, Q, QuerySet, Value
from django.db.models.functions import Least
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from jobs.api.problems import BadQuery
from jobs.models import JobExecution

PARAMETERS = ("cursor", "page_size")
SIZES = (25, 50, 100)
SALT = "jobs.api.cursor"
Represent = Callable[[list[Any]], Any]

# Orderings of executions: the column behind each word. Ids are ordered by time, as created_at is.
ORDERINGS = {
    "created_at": "id",
    "started_at": "started_at",
    "finished_at": "finished_at",
    "duration": "duration",
    "name": "name",
    "job": "job",
    "status": "status",
    "type": "type",
    "user": "user__username",
    "node": "node",
    "queue": "queue",
}
ORDERING_CHOICES = [sign + word for word in ORDERINGS for sign in ("", "-")]


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page: its ordering, its value in that column, its id.

    `as_of` is when the first page was asked for; running times are measured up to then.
    """

    ordering: str
    value: Any
    pk: str
    as_of: str

    def encode(self) -> str:
        return signing.dumps([self.ordering, self.value, self.pk, self.as_of], salt=SALT)

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """The cursor that `encode` wrote; signed, so that nobody brings one of their own."""
        try:
            return cls(*signing.loads(text, salt=SALT))
        except signing.BadSignature:
            said = "This cursor is not one that `next` gave; begin without it."
            raise BadQuery({"cursor": [said]}) from None


def page(
    request: Request,
    rows: QuerySet,
    represent: Represent,
    *,
    ordering: str = "id",
) -> Response:
    """One page of any rows by their ids, with the address of the next in body and Link header."""
    size, cursor = page_size(request), _cursor(request, ordering)
    descending = ordering.startswith("-")
    if cursor:
        rows = rows.filter(**{"pk__lt" if descending else "pk__gt": cursor.pk})
    found = list(rows.order_by("-pk" if descending else "pk")[: size + 1])
    after = Cursor(ordering, None, str(found[size - 1].pk), _now()) if len(found) > size else None
    return _answer(request, represent(found[:size]), after)


def execution_page(
    request: Request, executions: QuerySet[JobExecution], represent: Represent
) -> Response:
    """One page of executions, ordered by `ordering`; those without a value come last."""
    ordering = request.query_params.get("ordering") or "-created_at"
    if ordering not in ORDERING_CHOICES:
        there = ", ".join(ORDERINGS)
        said = f"There is no ordering {ordering!r}; there are: {there}, each also with '-'."
        raise BadQuery({"ordering": [said]})
    if ORDERINGS[ordering.lstrip("-")] == "id":
        sign = "-" if ordering.startswith("-") else ""
        return page(request, executions, represent, ordering=f"{sign}id")
    return _ordered_page(request, executions, represent, ordering)


def _ordered_page(
    request: Request, executions: QuerySet, represent: Represent, ordering: str
) -> Response:
    size, cursor = page_size(request), _cursor(request, ordering)
    as_of = cursor.as_of if cursor else _now()
    column = F(ORDERINGS[ordering.lstrip("-")])
    descending = ordering.startswith("-")
    rows = executions.annotate(duration=_duration(as_of)).annotate(sort_value=column)
    if cursor:
        rows = rows.filter(_behind(cursor, descending))
    key = F("sort_value")
    order = key.desc(nulls_last=True) if descending else key.asc(nulls_last=True)
    found = list(rows.order_by(order, "-pk" if descending else "pk")[: size + 1])
    after = None
    if len(found) > size:
        last = found[size - 1]
        after = Cursor(ordering, _as_json(last.sort_value), str(last.pk), as_of)
    return _answer(request, represent(found[:size]), after)


def _duration(as_of: str) -> ExpressionWrapper:
    """Running time up to `as_of`; LEAST leaves out the missing end of a running one."""
    end = Least(F("finished_at"), Value(dt.datetime.fromisoformat(as_of)))
    return ExpressionWrapper(end - F("started_at"), output_field=DurationField())


def _behind(cursor: Cursor, descending: bool) -> Q:
    side = "lt" if descending else "gt"
    by_id = {f"pk__{side}": cursor.pk}
    if cursor.value is None:
        return Q(sort_value=None, **by_id)
    value = _from_json(cursor)
    further = Q(**{f"sort_value__{side}": value}) | Q(sort_value=None)
    return further | Q(sort_value=value, **by_id)


def _as_json(value: Any) -> Any:
    if isinstance(value, dt.timedelta):
        return value / dt.timedelta(microseconds=1)
    return value.isoformat() if isinstance(value, dt.datetime) else value


def _from_json(cursor: Cursor) -> Any:
    match cursor.ordering.lstrip("-"):
        case "duration":
            return dt.timedelta(microseconds=cursor.value)
        case "started_at" | "finished_at":
            return dt.datetime.fromisoformat(cursor.value)
    return str(cursor.value)


def _now() -> str:
    return timezone.now().isoformat()


def page_size(request: Request) -> int:
    """How many rows a page is to have; raises BadQuery."""
    given = request.query_params.get("page_size") or str(SIZES[0])
    if given not in {str(size) for size in SIZES}:
        there = ", ".join(str(size) for size in SIZES)
        raise BadQuery({"page_size": [f"'page_size' is {given!r}; it is one of {there}."]})
    return int(given)


def _cursor(request: Request, ordering: str) -> Cursor | None:
    given = request.query_params.get("cursor")
    if not given:
        return None
    cursor = Cursor.decode(given)
    if cursor.ordering != ordering:
        raise BadQuery({"cursor": [f"This cursor belongs to the ordering {cursor.ordering!r}."]})
    return cursor


def _answer(request: Request, results: Any, after: Cursor | None) -> Response:
    if after is None:
        return Response({"results": results, "next": None})
    url = replace_query_param(request.build_absolute_uri(), "cursor", after.encode())
    return Response({"results": results, "next": url}, headers={"Link": f'<{url}>; rel="next"'})
