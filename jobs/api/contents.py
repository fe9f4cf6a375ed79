"""The parts of an execution: steps, warnings, history, children."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import paging
from jobs.api.base import ApiView, caller
from jobs.api.execution_serializers import CountersSerializer, counters_of
from jobs.api.executions import FILTERS, LIST_PARAMETERS, ORDERING, PAGE, filtered, find, list_of
from jobs.api.openapi import PAGING, described, paged, query
from jobs.api.problems import BadQuery
from jobs.filters import ExecutionFilter
from jobs.models import StatusChange, StepExecution, StepWarning
from jobs.permissions import require, visible_to
from jobs.reasons import COUNTED, alike, reasons
from jobs.states import Event, Status, StepStatus

OUTCOME = f"What became of the item: {', '.join(StepWarning.Outcome.values)}"


class StepSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # shadows Field.label
    status = serializers.ChoiceField(StepStatus.choices)
    reason = serializers.CharField()
    percent = serializers.SerializerMethodField()
    total = serializers.IntegerField(allow_null=True)
    position_bytes = serializers.IntegerField(source="position")
    length_bytes = serializers.IntegerField(source="length", allow_null=True)
    counters = serializers.SerializerMethodField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_percent(self, step: StepExecution) -> int | None:
        return None if step.share is None else int(100 * step.share)

    @extend_schema_field(CountersSerializer)
    def get_counters(self, step: StepExecution) -> dict[str, int]:
        return counters_of([step], step.warnings_count)


class WarningSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    step = serializers.CharField(source="step.name")
    row = serializers.IntegerField(allow_null=True, help_text="1 is the first line of data")
    key = serializers.CharField()
    column = serializers.CharField()
    value = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()
    outcome = serializers.CharField(help_text=OUTCOME)


class SentenceSerializer(serializers.Serializer):
    message = serializers.CharField()
    count = serializers.IntegerField()
    like = serializers.IntegerField(help_text="The id of the first warning that says it")
    row = serializers.IntegerField(allow_null=True, help_text="The first row that it is of")


class WarningReasonSerializer(serializers.Serializer):
    code = serializers.CharField()
    column = serializers.CharField()
    outcome = serializers.CharField(help_text=OUTCOME)
    count = serializers.IntegerField()
    kinds = serializers.IntegerField(help_text="How many different sentences there are")
    sentences = SentenceSerializer(many=True, help_text="The most frequent of them")


class WarningGroupsSerializer(serializers.Serializer):
    total = serializers.IntegerField(help_text="All warnings of the execution")
    counted = serializers.IntegerField(help_text="So many of them, the first, are in the groups")
    groups = WarningReasonSerializer(many=True)


class ChangeSerializer(serializers.Serializer):
    event = serializers.ChoiceField([StatusChange.LAUNCH, *Event.values])
    before = serializers.ChoiceField(Status.choices, allow_blank=True)
    after = serializers.ChoiceField(Status.choices)
    by = serializers.CharField(source="by.username", allow_null=True, default=None)
    reason = serializers.CharField()
    at = serializers.DateTimeField()


class AttemptSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    worker = serializers.CharField()
    node = serializers.CharField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_by = serializers.ChoiceField(Event.choices, allow_blank=True)
    reason = serializers.CharField()


class TimelineSerializer(serializers.Serializer):
    changes = ChangeSerializer(many=True)
    attempts = AttemptSerializer(many=True)


class StepsView(ApiView):
    """Its steps, with what became of their items."""

    @described("executions_steps", "List steps", {200: StepSerializer(many=True)})
    def get(self, request: Request, execution_id: UUID) -> Response:
        steps = find(caller(request), execution_id).steps.all()
        return Response(StepSerializer(steps, many=True).data)


class WarningsView(ApiView):
    """The items that were left out, with the reasons, in the order they were met."""

    query_parameters = (*paging.PARAMETERS, "code", "column", "like")

    @described(
        "executions_warnings",
        "List warnings",
        {200: paged(WarningSerializer)},
        parameters=[
            *PAGING,
            query("code", "Only warnings of this code"),
            query("column", "Only warnings about this column"),
            query("like", "Only warnings that say the same as the one with this id"),
        ],
    )
    def get(self, request: Request, execution_id: UUID) -> Response:
        execution = find(caller(request), execution_id)
        require(caller(request), "view_contents", execution)
        warnings = execution.warnings.select_related("step")
        for name in ("code", "column"):
            if wanted := request.query_params.get(name):
                warnings = warnings.filter(**{name: wanted})
        if like := request.query_params.get("like"):
            warnings = alike(warnings, _id(like))
        return paging.page(request, warnings, lambda rows: WarningSerializer(rows, many=True).data)


def _id(given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise BadQuery({"like": [f"'like' is {given!r}; it is the id of a warning."]})
    return int(given)


class WarningGroupsView(ApiView):
    """Its warnings by reason, the most frequent first, counted among the first 10,000."""

    @described("executions_warning_groups", "Group warnings", {200: WarningGroupsSerializer})
    def get(self, request: Request, execution_id: UUID) -> Response:
        execution = find(caller(request), execution_id)
        require(caller(request), "view_contents", execution)
        found = {
            "total": execution.warnings_count,
            "counted": min(execution.warnings_count, COUNTED),
            "groups": reasons(execution),
        }
        return Response(WarningGroupsSerializer(found).data)


class TimelineView(ApiView):
    """Every change of its status, and every worker's turn at it."""

    @described("executions_timeline", "Show the history", {200: TimelineSerializer})
    def get(self, request: Request, execution_id: UUID) -> Response:
        execution = find(caller(request), execution_id)
        parts = {
            "changes": execution.history.select_related("by"),
            "attempts": execution.attempts.all(),
        }
        return Response(TimelineSerializer(parts).data)


class ChildrenView(ApiView):
    """The executions that it has launched."""

    def valid_query_parameters(self) -> list[str]:
        return ExecutionFilter.valid_names(also=LIST_PARAMETERS)

    @described(
        "executions_children",
        "List children",
        {200: PAGE},
        parameters=[*FILTERS, ORDERING, *PAGING],
    )
    def get(self, request: Request, execution_id: UUID) -> Response:
        parent = find(caller(request), execution_id)
        children = visible_to(caller(request)).filter(parent=parent)
        return list_of(request, filtered(request, children))
