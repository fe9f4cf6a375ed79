"""Executions: the list, one of them, waiting for its end, deleting it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet
from django.http import Http404
from django_filters import Filter, UUIDFilter
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api import paging
from jobs.api.base import ApiView, caller, number, tagged
from jobs.api.execution_serializers import ExecutionSerializer, ExecutionSummarySerializer
from jobs.api.openapi import ETAG, PAGING, answer_header, described, header, paged, query
from jobs.api.problems import BadQuery
from jobs.filters import (
    ExecutionFilter,
    MomentFilter,
    TruthFilter,
    WordsFilter,
    without_parts,
)
from jobs.models import JobExecution
from jobs.permissions import require, visible_to
from jobs.states import FINISHED

NOT_IN_LISTS = ("parameters", "result", "error", "error_detail", "note", "reason")
LONGEST_WAIT_SECONDS = 60
# Waiting requests must leave most of the web server's threads to all others.
WAITERS = threading.BoundedSemaphore(max(1, getattr(settings, "JOBS_WEB_THREADS", 8) // 4))

KINDS = {
    MomentFilter: OpenApiTypes.DATETIME,
    UUIDFilter: OpenApiTypes.UUID,
    TruthFilter: OpenApiTypes.BOOL,
}


def _described_filter(name: str, of: Filter) -> OpenApiParameter:
    if isinstance(of, WordsFilter):
        words = [word for word, _ in of.extra["choices"]] + list(of.extra.get("peers", ()))
        return query(name, of.label, many=True, explode=True, enum=words)
    return query(name, of.label, KINDS.get(type(of), OpenApiTypes.STR))


FILTERS = [_described_filter(name, of) for name, of in ExecutionFilter.base_filters.items()]
ORDERING = query(
    "ordering",
    "Column to order by, with `-` for descending",
    enum=paging.ORDERING_CHOICES,
    default="-created_at",
)
LIST_PARAMETERS = (*paging.PARAMETERS, "ordering")
PAGE = paged(ExecutionSummarySerializer)
IF_NONE_MATCH = header("If-None-Match", "The ETag that you have: 304 when nothing has changed")


def find(user: User, execution_id: UUID) -> JobExecution:
    """The execution with all that is shown of it; Http404 unless `user` may see it."""
    executions = visible_to(user).select_related("user", "profile", "stop_requested_by")
    found = executions.prefetch_related("steps").filter(pk=execution_id).first()
    if found is None:
        raise Http404(f"There is no execution {execution_id} that you may see.")
    return found


def represent(request: Request, execution_id: UUID) -> dict[str, Any]:
    """Everything the API says about this execution, as it is now, to this person."""
    fresh = find(caller(request), execution_id)
    return ExecutionSerializer(fresh, context={"request": request}).data


def filtered(request: Request, executions: QuerySet[JobExecution]) -> QuerySet[JobExecution]:
    """Narrow by the query string; raises BadQuery with the values that cannot be used."""
    found = ExecutionFilter(request.query_params, queryset=executions, request=request)
    if not found.is_valid():
        raise BadQuery({name: list(said) for name, said in found.errors.items()})
    return found.qs


def list_of(request: Request, executions: QuerySet[JobExecution]) -> Response:
    """A page of thin rows."""
    rows = executions.select_related("user", "profile").prefetch_related("steps")
    return paging.execution_page(
        request,
        rows.defer(*NOT_IN_LISTS),
        lambda found: (
            ExecutionSummarySerializer(found, many=True, context={"request": request}).data
        ),
    )


class ExecutionsView(ApiView):
    """The executions that one may see, newest first."""

    def valid_query_parameters(self) -> list[str]:
        return ExecutionFilter.valid_names(also=LIST_PARAMETERS)

    @described(
        "executions_list",
        "List executions",
        {200: PAGE},
        fails=(),
        parameters=[*FILTERS, ORDERING, *PAGING],
    )
    def get(self, request: Request) -> Response:
        require(caller(request), "view_tracker")
        seen = without_parts(visible_to(caller(request)), request.GET)
        return list_of(request, filtered(request, seen))


class ExecutionView(ApiView):
    """One execution."""

    @described(
        "executions_get",
        "Show an execution",
        {200: ExecutionSerializer, 304: None},
        parameters=[IF_NONE_MATCH, ETAG],
    )
    def get(self, request: Request, execution_id: UUID) -> Response:
        return tagged(request, represent(request, execution_id))

    @described(
        "executions_delete",
        "Delete an execution that is not active, with its files and log",
        {204: None},
        fails=(404, 409),
    )
    def delete(self, request: Request, execution_id: UUID) -> Response:
        control.delete(find(caller(request), execution_id), by=caller(request))
        return Response(status=204)


class WaitView(ApiView):
    """One execution, answered when it has ended or the time is up."""

    query_parameters = ("timeout",)

    @described(
        "executions_wait",
        "Wait for the end of an execution",
        {200: ExecutionSerializer},
        parameters=[
            query("timeout", "Seconds, at most 60", OpenApiTypes.INT, default=30),
            answer_header("Retry-After", "Seconds; sent when nobody more could wait", 200),
        ],
        description="When too many wait already, the answer comes at once with `Retry-After`.",
    )
    def get(self, request: Request, execution_id: UUID) -> Response:
        timeout = number(request, "timeout", 30, 0, LONGEST_WAIT_SECONDS)
        find(caller(request), execution_id)
        waited = wait_for_end(caller(request), execution_id, timeout)
        headers = {} if waited else {"Retry-After": "1"}
        return Response(represent(request, execution_id), headers=headers)


def wait_for_end(user: User, execution_id: UUID, seconds: float) -> bool:
    """Look until the execution has ended or the time is up; false when no place is free to wait."""
    if not WAITERS.acquire(blocking=False):
        return False
    try:
        for _ in _looks(seconds):
            status = visible_to(user).filter(pk=execution_id).values_list("status", flat=True)
            if status.first() in {None, *FINISHED}:
                break
        return True
    finally:
        WAITERS.release()


def _looks(seconds: float) -> Iterator[None]:
    """Give a turn at growing intervals; in between the request holds no database connection."""
    deadline, pause = time.monotonic() + seconds, 0.1
    while True:
        yield
        left = deadline - time.monotonic()
        if left <= 0:
            return
        if not connection.in_atomic_block:  # as it is in tests
            connection.close()
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.5)
