"""What runs now, and stopping many executions at once."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api.base import ApiView, StrictSerializer, caller, checked
from jobs.api.controls import HowToStopSerializer
from jobs.api.openapi import described, query
from jobs.api.problems import BadQuery
from jobs.control.running import by_job, by_worker, running
from jobs.control.scopes import Kind
from jobs.definition import TYPES
from jobs.permissions import require
from jobs.states import Status, StopLevel

HOW = ("level", "grace_seconds", "reason")
VIEWS = ("job", "execution", "worker")


class ScopeSerializer(StrictSerializer):
    """What is to be stopped: a body for `running/stop/`, but for how hard."""

    kind = serializers.ChoiceField(Kind.choices)
    id = serializers.CharField(
        max_length=200, help_text="An execution's id, a profile's code, a job's or worker's name"
    )
    step = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=100,
        help_text="A step's name; needed for `step`, possible for `execution`",
    )  # fmt: skip

    def validate(self, scope: dict[str, Any]) -> dict[str, Any]:
        if scope["kind"] == Kind.STEP and not scope["step"]:
            raise serializers.ValidationError({"step": ["Name the step of this job."]})
        if scope["step"] and scope["kind"] not in {Kind.STEP, Kind.EXECUTION}:
            said = f"A step belongs to a job or an execution, not to a {scope['kind']}."
            raise serializers.ValidationError({"step": [said]})
        return scope


class StopManySerializer(ScopeSerializer, HowToStopSerializer):
    """What is to be stopped, and how hard."""


class RunningStepSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # shadows Field.label
    started_at = serializers.DateTimeField(allow_null=True)
    percent = serializers.SerializerMethodField()
    optional = serializers.BooleanField(help_text="Stopped alone; the execution goes on")
    stop = ScopeSerializer()

    def get_percent(self, step: Any) -> int | None:
        return None if step.share is None else int(100 * step.share)


class RunningSerializer(serializers.Serializer):
    """An execution at work, with its steps at work."""

    id = serializers.UUIDField(source="execution.pk")
    name = serializers.CharField(source="execution.name")
    type = serializers.ChoiceField(TYPES, source="execution.type")
    job = serializers.CharField(source="execution.job")
    profile = serializers.CharField(source="execution.profile.code", allow_null=True, default=None)
    status = serializers.ChoiceField(Status.choices, source="execution.status")
    user = serializers.CharField(source="execution.user.username", allow_null=True, default=None)
    started_at = serializers.DateTimeField(source="execution.started_at", allow_null=True)
    attempt = serializers.IntegerField(source="execution.attempt")
    worker = serializers.CharField(source="execution.worker")
    node = serializers.CharField(source="execution.node")
    pid = serializers.IntegerField(source="execution.pid", allow_null=True)
    percent = serializers.IntegerField(source="execution.percent", allow_null=True)
    steps = RunningStepSerializer(many=True)
    may_stop = serializers.BooleanField(source="may_stop.allowed")
    why_not = serializers.CharField(source="may_stop.reason")
    stop = ScopeSerializer()
    link = serializers.SerializerMethodField()

    def get_link(self, one: Any) -> str:
        path = reverse("api:execution", args=[one.execution.pk])
        return str(self.context["request"].build_absolute_uri(path))


class StepOfJobSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # shadows Field.label
    count = serializers.IntegerField(help_text="In so many executions")
    stop = ScopeSerializer()


class GroupSerializer(serializers.Serializer):
    """A job or a worker."""

    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # shadows Field.label
    steps = StepOfJobSerializer(many=True)
    executions = RunningSerializer(many=True)
    stop = ScopeSerializer()


class RunningTreeSerializer(serializers.Serializer):
    view = serializers.ChoiceField(VIEWS)
    groups = GroupSerializer(many=True, help_text="Empty in the view `execution`")
    executions = RunningSerializer(many=True, help_text="Only in the view `execution`")


class PlannedSerializer(serializers.Serializer):
    """One execution within the scope."""

    id = serializers.UUIDField(source="execution.pk")
    name = serializers.CharField(source="execution.name")
    status = serializers.ChoiceField(Status.choices, source="execution.status")
    allowed = serializers.BooleanField()
    text = serializers.CharField(help_text="What will happen, or why it is left out")
    resumable = serializers.BooleanField(help_text="It can be continued from a checkpoint")


class PlanSerializer(serializers.Serializer):
    items = PlannedSerializer(many=True)
    to_stop = serializers.IntegerField()
    left_out = serializers.IntegerField()
    more = serializers.BooleanField(help_text="There are more than one call stops")


class ResultSerializer(serializers.Serializer):
    """What came of one execution."""

    id = serializers.UUIDField(source="execution.pk")
    name = serializers.CharField(source="execution.name")
    status = serializers.ChoiceField(Status.choices, source="execution.status")
    asked = serializers.BooleanField()
    text = serializers.CharField(help_text="What happens, or why it was left out")


class ResultsSerializer(serializers.Serializer):
    asked = serializers.IntegerField()
    left_out = serializers.IntegerField()
    results = ResultSerializer(many=True)


class RunningView(ApiView):
    """What runs now, under its jobs or workers or as a plain list; at most 1,000."""

    query_parameters = ("view",)

    @described(
        "running_list",
        "Show what runs",
        {200: RunningTreeSerializer},
        fails=(),
        parameters=[query("view", "How it is grouped", enum=VIEWS, default="job")],
    )
    def get(self, request: Request) -> Response:
        require(caller(request), "view_tracker")
        view = request.query_params.get("view") or "job"
        if view not in VIEWS:
            said = f"There is no view {view!r}; there are: {', '.join(VIEWS)}."
            raise BadQuery({"view": [said]})
        found = running(caller(request))
        groups = {"job": by_job, "worker": by_worker}
        tree = {
            "view": view,
            "groups": groups[view](found) if view in groups else [],
            "executions": found if view == "execution" else [],
        }
        return Response(RunningTreeSerializer(tree, context={"request": request}).data)


class StopManyView(ApiView):
    """Stop all executions of a profile, a job, a step or a worker."""

    query_parameters = ("kind", "id", "step", "level")

    @described(
        "running_stop_preview",
        "Preview a stop of many",
        {200: PlanSerializer},
        fails=(404,),
        parameters=[
            query("kind", "What it is named by", enum=Kind.values, required=True),
            query("id", "Which of them", required=True),
            query("step", "Only this step"),
            query("level", "How hard", enum=StopLevel.values, default=str(StopLevel.GRACEFUL)),
        ],
    )
    def get(self, request: Request) -> Response:
        require(caller(request), "view_tracker")
        body = StopManySerializer(data=request.query_params.dict())
        if not body.is_valid():
            raise BadQuery({name: list(map(str, said)) for name, said in body.errors.items()})
        plan = control.plan(
            caller(request), _scope(body.validated_data), level=body.validated_data["level"]
        )
        counts = {"to_stop": len(plan.stopped), "left_out": len(plan.left_out)}
        return Response(PlanSerializer({"items": plan.items, "more": plan.more, **counts}).data)

    @described(
        "running_stop",
        "Stop many",
        {200: ResultsSerializer},
        fails=(404, 422),
        request=StopManySerializer,
        description="Each execution is asked by itself: what you may not stop is left out with the "
        "reason. At most 1,000 at a call.",
    )
    def post(self, request: Request) -> Response:
        require(caller(request), "view_tracker")
        body = checked(request.data, StopManySerializer)
        how: dict[str, Any] = {
            name: body.get(name) for name in ("level", "grace_seconds", "reason")
        }
        results = control.stop_all(_scope(body), by=caller(request), **how)
        asked = sum(result.asked for result in results)
        return Response(
            ResultsSerializer(
                {"asked": asked, "left_out": len(results) - asked, "results": results}
            ).data
        )


def _scope(body: dict[str, Any]) -> control.Scope:
    return control.Scope(kind=body["kind"], id=body["id"], step=body["step"])
