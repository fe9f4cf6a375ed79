"""What an execution did to single rows, and undoing it."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api import paging
from jobs.api.base import ApiView, StrictSerializer, caller, checked
from jobs.api.execution_serializers import ExecutionSerializer
from jobs.api.executions import find, represent
from jobs.api.openapi import LOCATION, PAGING, described, paged, query
from jobs.api.problems import BadQuery
from jobs.models import RowChange
from jobs.permissions import require

CHAIN = "Also what the executions have changed that it continues"


class RowSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    row = serializers.IntegerField(allow_null=True, help_text="1 is the first line of data")
    key = serializers.CharField()
    target = serializers.CharField(help_text="The primary key of the row")
    outcome = serializers.CharField(help_text="created, updated, unchanged or deleted")
    before = serializers.DictField(
        allow_null=True, help_text="What the changed fields were; null for a created row"
    )
    after = serializers.DictField(
        allow_null=True, help_text="What they became; null for a deleted row"
    )


class RowExampleSerializer(serializers.Serializer):
    row = serializers.IntegerField(allow_null=True)
    key = serializers.CharField()
    now = serializers.DictField(allow_null=True)
    then = serializers.DictField(allow_null=True, help_text="What it goes back to")
    message = serializers.CharField(help_text="Why it would be left alone, if it would be")


class VerdictSerializer(serializers.Serializer):
    verdict = serializers.CharField(
        help_text="restore, delete, recreate; or changed_since, referenced, gone, exists"
    )
    count = serializers.IntegerField()
    examples = RowExampleSerializer(many=True, help_text="The first ten")


class UndoPreviewSerializer(serializers.Serializer):
    undone = serializers.IntegerField(help_text="Rows that would go back to what they were")
    conflicts = serializers.IntegerField(help_text="Rows that would be left alone")
    verdicts = VerdictSerializer(many=True)


class UndoSerializer(StrictSerializer):
    chain = serializers.BooleanField(default=False, help_text=CHAIN)


class RowsView(ApiView):
    """Its ledger: what became of each row, with what it was before and after."""

    query_parameters = (*paging.PARAMETERS, "outcome", "key")

    @described(
        "executions_rows",
        "List what became of rows",
        {200: paged(RowSerializer)},
        parameters=[
            *PAGING,
            query("outcome", "Only rows of this outcome", enum=RowChange.Outcome.values),
            query("key", "Only the row with this key"),
        ],
    )
    def get(self, request: Request, execution_id: UUID) -> Response:
        execution = find(caller(request), execution_id)
        require(caller(request), "view_contents", execution)
        rows = RowChange.objects.filter(execution=execution)
        if outcome := request.query_params.get("outcome"):
            if outcome not in RowChange.Outcome.values:
                there = ", ".join(RowChange.Outcome.values)
                raise BadQuery({"outcome": [f"'outcome' is {outcome!r}; it is one of {there}."]})
            rows = rows.filter(outcome=outcome)
        if key := request.query_params.get("key"):
            rows = rows.filter(key=key)
        return paging.page(request, rows, lambda found: RowSerializer(found, many=True).data)


class UndoView(ApiView):
    """Put its rows back to what they were, but for those that were changed since."""

    query_parameters = ("chain",)

    @described(
        "executions_undo_preview",
        "Say what an undo would do",
        {200: UndoPreviewSerializer},
        fails=(404, 409),
        parameters=[query("chain", CHAIN, enum=["true", "false"])],
    )
    def get(self, request: Request, execution_id: UUID) -> Response:
        execution = find(caller(request), execution_id)
        require(caller(request), "view_contents", execution)
        chain = request.query_params.get("chain", "false")
        if chain not in {"true", "false"}:
            raise BadQuery({"chain": [f"'chain' is {chain!r}; it is true or false."]})
        preview = control.undo_preview(execution, chain=chain == "true")
        verdicts = [
            {
                "verdict": verdict,
                "count": count,
                "examples": [asdict(one) for one in preview.examples[verdict]],
            }
            for verdict, count in sorted(preview.counts.items())
        ]
        said = {"undone": preview.undone, "conflicts": preview.conflicts, "verdicts": verdicts}
        return Response(UndoPreviewSerializer(said).data)

    @described(
        "executions_undo",
        "Undo what an execution changed",
        {201: ExecutionSerializer},
        fails=(404, 409, 422, 503),
        request=UndoSerializer,
        parameters=[LOCATION],
    )
    def post(self, request: Request, execution_id: UUID) -> Response:
        body = checked(request.data, UndoSerializer)
        found = find(caller(request), execution_id)
        made = control.undo(found, by=caller(request), chain=body["chain"])
        address = request.build_absolute_uri(reverse("api:execution", args=[made.pk]))
        return Response(represent(request, made.pk), status=201, headers={"Location": address})
