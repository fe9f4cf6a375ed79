"""New executions in place of ended ones: continue, relaunch, run for real, retry failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api.base import ApiView, caller, checked
from jobs.api.controls import NothingSerializer
from jobs.api.execution_serializers import ExecutionSerializer
from jobs.api.executions import find, represent
from jobs.api.openapi import LOCATION, described
from jobs.models import JobExecution


def _described(name: str, summary: str) -> Callable[[Any], Any]:
    return described(
        f"executions_{name}",
        summary,
        {201: ExecutionSerializer},
        fails=(404, 409, 422, 503),
        request=NothingSerializer,
        parameters=[LOCATION],
    )


class ContinueView(ApiView):
    """Go on behind the last checkpoint of one that did not complete."""

    @_described("continue", "Continue an execution in a new one")
    def post(self, request: Request, execution_id: UUID) -> Response:
        return _made(request, execution_id, control.continue_)


class RelaunchView(ApiView):
    """Launch the same parameters and files afresh."""

    @_described("relaunch", "Launch an execution again")
    def post(self, request: Request, execution_id: UUID) -> Response:
        return _made(request, execution_id, control.relaunch)


class ForRealView(ApiView):
    """Launch a dry run with the same parameters and files, so that it writes."""

    @_described("for_real", "Run for real what was run dry")
    def post(self, request: Request, execution_id: UUID) -> Response:
        return _made(request, execution_id, control.run_for_real)


class RetryFailedView(ApiView):
    """Take up the failed rows again, and only these."""

    @_described("retry_failed", "Retry the failed rows of an execution")
    def post(self, request: Request, execution_id: UUID) -> Response:
        return _made(request, execution_id, control.retry_failed)


def _made(request: Request, execution_id: UUID, ask: Callable[..., JobExecution]) -> Response:
    checked(request.data, NothingSerializer)
    made = ask(find(caller(request), execution_id), by=caller(request))
    address = request.build_absolute_uri(reverse("api:execution", args=[made.pk]))
    return Response(represent(request, made.pk), status=201, headers={"Location": address})
