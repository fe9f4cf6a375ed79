"""What people ask of an execution: stop, abort, pause, resume, activate."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api.base import ApiView, StrictSerializer, caller, checked
from jobs.api.execution_serializers import ExecutionSerializer
from jobs.api.executions import find, represent
from jobs.api.openapi import described
from jobs.api.problems import Refusal
from jobs.models import JobExecution, StepExecution
from jobs.permissions import may
from jobs.states import FINISHED, Event, Status, StepStatus, StopLevel, move

LONGEST_GRACE_SECONDS = 86_400
SCOPES = ("execution", "children", "step")


class ReasonSerializer(StrictSerializer):
    reason = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=1000, help_text="For the history"
    )


class HowToStopSerializer(ReasonSerializer):
    level = serializers.ChoiceField(
        StopLevel.choices, default=StopLevel.GRACEFUL, help_text="How hard; it only ever rises"
    )
    grace_seconds = serializers.FloatField(
        required=False,
        min_value=0,
        max_value=LONGEST_GRACE_SECONDS,
        help_text="How long it may take before force is used; the default is the profile's",
    )


class WhatToStopSerializer(HowToStopSerializer):
    scope = serializers.ChoiceField(
        SCOPES,
        default="execution",
        help_text="Children are always stopped with their parent",
    )
    step = serializers.CharField(
        required=False, default="", max_length=100, help_text="The name of a running step"
    )

    def validate(self, body: dict[str, Any]) -> dict[str, Any]:
        if (body["scope"] == "step") != bool(body["step"]):
            said = "Name the step." if body["scope"] == "step" else "Only with the scope `step`."
            raise serializers.ValidationError({"step": [said]})
        return body


class NothingSerializer(StrictSerializer):
    """No fields."""


class LevelSerializer(serializers.Serializer):
    level = serializers.ChoiceField(StopLevel.choices)
    label = serializers.CharField()  # type: ignore[assignment] # shadows Field.label
    allowed = serializers.BooleanField()
    reason = serializers.CharField()


class ScopePreviewSerializer(serializers.Serializer):
    scope = serializers.ChoiceField(SCOPES)
    step = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # shadows Field.label
    allowed = serializers.BooleanField()
    text = serializers.CharField(help_text="What will happen, or why it is not allowed")


class StopPreviewSerializer(serializers.Serializer):
    """What a stop would do."""

    allowed = serializers.BooleanField()
    reason = serializers.CharField(help_text="Why it is not allowed; empty when it is")
    status = serializers.ChoiceField(Status.choices)
    leads_to = serializers.ChoiceField(Status.choices, allow_null=True)
    levels = LevelSerializer(many=True)
    grace_seconds = serializers.FloatField()
    processed = serializers.IntegerField()
    kept = serializers.IntegerField(help_text="Of these, items whose work is done and stays")
    total = serializers.IntegerField(allow_null=True)
    resumable = serializers.BooleanField()
    scopes = ScopePreviewSerializer(many=True)
    text = serializers.CharField()


STOPPED = {200: ExecutionSerializer, 202: ExecutionSerializer}


class StopView(ApiView):
    """Stop it gracefully, or as hard as `level` says."""

    @described("executions_stop_preview", "Preview a stop", {200: StopPreviewSerializer})
    def get(self, request: Request, execution_id: UUID) -> Response:
        execution = find(caller(request), execution_id)
        return Response(StopPreviewSerializer(preview(caller(request), execution)).data)

    @described(
        "executions_stop",
        "Stop an execution",
        STOPPED,
        fails=(404, 409, 422),
        request=WhatToStopSerializer,
        description="200: it has stopped, or a stop had been asked for before. 202: it runs, and "
        "will stop at its next checkpoint. 409: it ended otherwise; `outcome` says how.",
    )
    def post(self, request: Request, execution_id: UUID) -> Response:
        body = checked(request.data, WhatToStopSerializer)
        scope, step = body.pop("scope"), body.pop("step")
        if scope == "step":
            return _stop_step(request, execution_id, step, **body)
        return _stop(request, execution_id, **body)


class AbortView(ApiView):
    """Stop it by force, at once."""

    @described(
        "executions_abort",
        "Stop an execution by force",
        STOPPED,
        fails=(404, 409, 422),
        request=ReasonSerializer,
    )
    def post(self, request: Request, execution_id: UUID) -> Response:
        body = checked(request.data, ReasonSerializer)
        return _stop(request, execution_id, level=StopLevel.KILL, **body)


def _stop(request: Request, execution_id: UUID, **how: Any) -> Response:
    execution = find(caller(request), execution_id)
    before = execution.status
    try:
        control.stop(execution, by=caller(request), **how)
    except control.AlreadyFinished as error:
        ended = find(caller(request), execution_id)
        raise Refusal(
            "already-finished",
            str(error),
            execution_status=ended.status,
            outcome=ended.outcome,
        ) from error
    known = before == Status.STOPPING or execution.status in FINISHED
    return Response(represent(request, execution_id), status=200 if known else 202)


def _stop_step(request: Request, execution_id: UUID, step: str, **how: Any) -> Response:
    execution = find(caller(request), execution_id)
    control.stop_step(execution, step, by=caller(request), **how)
    return Response(represent(request, execution_id), status=202)


def preview(user: Any, execution: JobExecution) -> dict[str, Any]:
    """What a stop of this execution would do, and how hard this person may stop it."""
    answer = control.actions(user, execution)["stop"]
    steps = list(execution.steps.all())
    kept, totals = sum(step.kept for step in steps), [step.total for step in steps]
    began = execution.started_at is not None
    stays = f"Stopping is not a rollback: {kept:,} items are done and stay."
    return {
        **answer,
        "status": execution.status,
        "leads_to": move(Event.STOP, execution.status),
        "levels": [_level(user, execution, level, answer) for level in StopLevel],
        "grace_seconds": control.usual_grace(execution),
        "processed": sum(step.processed for step in steps),
        "kept": kept,
        "total": sum(totals) if totals and None not in totals else None,
        "resumable": began and any(step.cursor for step in steps),
        "scopes": _scopes(user, execution, steps),
        "text": stays if began else "It has not begun: nothing needs to be undone.",
    }


def _scopes(user: Any, execution: JobExecution, steps: list[StepExecution]) -> list[dict[str, Any]]:
    """What can be stopped of it: all of it, and each of its steps that run."""
    if execution.is_finished:
        return []
    parts = [{"scope": "execution", "step": "", "label": execution.name}]
    parts += [
        {"scope": "step", "step": step.name, "label": str(step)}
        for step in steps
        if step.status == StepStatus.RUNNING
    ]
    found = [(part, control.foresee(user, execution, step=part["step"])) for part in parts]
    return [part | {"allowed": item.allowed, "text": item.text} for part, item in found]


def _level(
    user: Any, execution: JobExecution, level: StopLevel, answer: dict[str, Any]
) -> dict[str, Any]:
    said = answer["reason"]
    if execution.status == Status.STOPPING and level != StopLevel.GRACEFUL:
        said = ""
    if not said and level != StopLevel.GRACEFUL:
        said = may(user, "abort", execution).reason
    return {"level": level, "label": level.label, "allowed": not said, "reason": said}


class PauseView(ApiView):
    """Let it rest at its next checkpoint."""

    @described(
        "executions_pause",
        "Pause an execution",
        {200: ExecutionSerializer},
        fails=(404, 409, 422),
        request=ReasonSerializer,
    )
    def post(self, request: Request, execution_id: UUID) -> Response:
        body = checked(request.data, ReasonSerializer)
        control.pause(
            find(caller(request), execution_id), by=caller(request), reason=body["reason"]
        )
        return Response(represent(request, execution_id))


class ResumeView(ApiView):
    """Let it go on from its last checkpoint."""

    @described(
        "executions_resume",
        "Resume a paused execution",
        {200: ExecutionSerializer},
        fails=(404, 409, 422),
        request=NothingSerializer,
    )
    def post(self, request: Request, execution_id: UUID) -> Response:
        checked(request.data, NothingSerializer)
        control.resume(find(caller(request), execution_id), by=caller(request))
        return Response(represent(request, execution_id))


class ActivateView(ApiView):
    """Queue what is deferred."""

    @described(
        "executions_activate",
        "Activate a deferred execution",
        {200: ExecutionSerializer},
        fails=(404, 409, 422),
        request=NothingSerializer,
    )
    def post(self, request: Request, execution_id: UUID) -> Response:
        checked(request.data, NothingSerializer)
        control.activate(find(caller(request), execution_id), by=caller(request))
        return Response(represent(request, execution_id))
