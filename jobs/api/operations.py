"""Workers, queues and maintenance, for those who operate them."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api.base import ApiView, StrictSerializer, caller, checked
from jobs.api.controls import NothingSerializer, ReasonSerializer
from jobs.api.openapi import described
from jobs.control.fleet import Fleet, QueueState, WorkerState
from jobs.control.operations import RIGHT
from jobs.models import Maintenance, Worker
from jobs.permissions import require

STATES = ("idle", "working", "draining", "drained", "silent")


class WorkerSerializer(serializers.Serializer):
    name = serializers.CharField(source="worker.name")
    kind = serializers.CharField(source="worker.kind", help_text="worker or controller")
    node = serializers.CharField(source="worker.node")
    pid = serializers.IntegerField(source="worker.pid")
    roles = serializers.ListField(child=serializers.CharField(), source="worker.roles")
    queues = serializers.ListField(child=serializers.CharField(), source="worker.queues")
    slots = serializers.IntegerField(source="worker.slots")
    busy = serializers.IntegerField(help_text="Executions that it has")
    state = serializers.ChoiceField(STATES, help_text="`drained`: it is safe to restart")
    text = serializers.CharField()
    drain_requested_at = serializers.DateTimeField(
        source="worker.drain_requested_at", allow_null=True
    )
    started_at = serializers.DateTimeField(source="worker.started_at")
    seen_at = serializers.DateTimeField(source="worker.seen_at")


class PauseSerializer(serializers.Serializer):
    by = serializers.CharField(source="by.username", allow_null=True, default=None)
    reason = serializers.CharField()
    at = serializers.DateTimeField()


class QueueSerializer(serializers.Serializer):
    name = serializers.CharField()
    depth = serializers.IntegerField(help_text="Executions that wait in it")
    oldest_at = serializers.DateTimeField(allow_null=True, help_text="Since when the first waits")
    running = serializers.IntegerField()
    workers = serializers.IntegerField()
    slots = serializers.IntegerField()
    paused = serializers.SerializerMethodField()

    @extend_schema_field(PauseSerializer(allow_null=True))
    def get_paused(self, queue: QueueState) -> dict[str, Any] | None:
        return PauseSerializer(queue.paused).data if queue.paused else None


class MaintenanceSerializer(serializers.Serializer):
    active = serializers.BooleanField()
    reason = serializers.CharField()
    refuses_launches = serializers.BooleanField()
    by = serializers.CharField(allow_null=True)
    began_at = serializers.DateTimeField(allow_null=True)


class BeginMaintenanceSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=1000, help_text="Shown on every page")
    refuses_launches = serializers.BooleanField(
        default=False, help_text="Otherwise launches are queued"
    )


class WorkersView(ApiView):
    """Workers and controllers."""

    @described("workers_list", "List workers", {200: WorkerSerializer(many=True)}, fails=())
    def get(self, request: Request) -> Response:
        require(caller(request), RIGHT)
        fleet = Fleet()
        return Response(WorkerSerializer([*fleet.workers, *fleet.controllers], many=True).data)


class DrainView(ApiView):
    """Let a worker take nothing and hand over what it has at the next checkpoints."""

    @described(
        "workers_drain",
        "Drain a worker",
        {200: WorkerSerializer},
        fails=(404, 422),
        request=NothingSerializer,
        description="Ask again until `state` is `drained`: then it is safe to restart.",
    )
    def post(self, request: Request, name: str) -> Response:
        checked(request.data, NothingSerializer)
        return _worker(name, control.drain([name], by=caller(request)))


class UndrainView(ApiView):
    """Let a worker take jobs again."""

    @described(
        "workers_resume",
        "Let a drained worker take jobs again",
        {200: WorkerSerializer},
        fails=(404, 422),
        request=NothingSerializer,
    )
    def post(self, request: Request, name: str) -> Response:
        checked(request.data, NothingSerializer)
        return _worker(name, control.undrain([name], by=caller(request)))


def _worker(name: str, found: list[Worker]) -> Response:
    state: WorkerState | None = next(
        (state for state in Fleet().workers if found and state.worker.name == name), None
    )
    if state is None:
        raise Http404(f"There is no worker {name!r}.")
    return Response(WorkerSerializer(state).data)


class QueuesView(ApiView):
    """Queues: what waits in them, who works on them, which are paused."""

    @described("queues_list", "List queues", {200: QueueSerializer(many=True)}, fails=())
    def get(self, request: Request) -> Response:
        require(caller(request), RIGHT)
        return Response(QueueSerializer(Fleet().queues, many=True).data)


class PauseQueueView(ApiView):
    """Start nothing from a queue; what runs goes on."""

    @described(
        "queues_pause",
        "Pause a queue",
        {200: QueueSerializer},
        fails=(404, 422),
        request=ReasonSerializer,
    )
    def post(self, request: Request, name: str) -> Response:
        body = checked(request.data, ReasonSerializer)
        require(caller(request), RIGHT)
        _queue(name)
        control.pause_queue(name, by=caller(request), reason=body["reason"])
        return _queue(name)


class ResumeQueueView(ApiView):
    """Start from a queue again."""

    @described(
        "queues_resume",
        "Resume a paused queue",
        {200: QueueSerializer},
        fails=(404, 409, 422),
        request=NothingSerializer,
    )
    def post(self, request: Request, name: str) -> Response:
        checked(request.data, NothingSerializer)
        require(caller(request), RIGHT)
        _queue(name)
        control.resume_queue(name, by=caller(request))
        return _queue(name)


def _queue(name: str) -> Response:
    found = Fleet().queue(name)
    if found is None:
        raise Http404(f"There is no queue {name!r}.")
    return Response(QueueSerializer(found).data)


class MaintenanceView(ApiView):
    """Nothing is started while it is active; what runs goes on."""

    @described("maintenance_get", "Show the maintenance", {200: MaintenanceSerializer}, fails=())
    def get(self, request: Request) -> Response:
        require(caller(request), "view_tracker")
        return Response(_described(control.maintenance()))

    @described(
        "maintenance_begin",
        "Begin maintenance, or change its reason",
        {200: MaintenanceSerializer},
        fails=(422,),
        request=BeginMaintenanceSerializer,
    )
    def put(self, request: Request) -> Response:
        body = checked(request.data, BeginMaintenanceSerializer)
        control.begin_maintenance(by=caller(request), **body)
        return Response(_described(control.maintenance()))

    @described("maintenance_end", "End the maintenance", {204: None}, fails=(409,))
    def delete(self, request: Request) -> Response:
        control.end_maintenance(by=caller(request))
        return Response(status=204)


def _described(found: Maintenance | None) -> dict[str, Any]:
    return MaintenanceSerializer(
        {
            "active": found is not None,
            "reason": found.reason if found else "",
            "refuses_launches": bool(found and found.refuses_launches),
            "by": found.by.get_username() if found and found.by else None,
            "began_at": found.began_at if found else None,
        }
    ).data
