"""What the API says about an execution: a thin row in lists, everything on its own address."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.control import AGAIN, actions, moves, receipt
from jobs.definition import COUNTERS, TYPES, Counters
from jobs.filters import OUTCOMES
from jobs.models import JobExecution, StepExecution
from jobs.permissions import may, visible_to
from jobs.states import HELD, REQUESTS, Group, Status, StepStatus, StopLevel
from jobs.waiting import waiting

ETA_NEEDS_SECONDS = 2  # a forecast from less than this is a guess


class ActionSerializer(serializers.Serializer):
    allowed = serializers.BooleanField()
    reason = serializers.CharField(help_text="Why it is not allowed; empty when it is")


class ActionsSerializer(serializers.Serializer):
    """Which requests the person may make now."""

    def get_fields(self) -> dict[str, serializers.Field]:
        return {str(event): ActionSerializer() for event in sorted(REQUESTS)}


class AllActionsSerializer(serializers.Serializer):
    """The same, and which new executions may be made in its place."""

    def get_fields(self) -> dict[str, serializers.Field]:
        return {str(name): ActionSerializer() for name in sorted({*REQUESTS, *AGAIN})}


class StepProgressSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # shadows Field.label
    status = serializers.ChoiceField(StepStatus.choices)
    percent = serializers.SerializerMethodField()
    processed = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)

    def get_percent(self, step: Any) -> int | None:
        return None if step.share is None else int(100 * step.share)


class ProgressSerializer(serializers.Serializer):
    percent = serializers.IntegerField(allow_null=True, help_text="Null when not measurable")
    items_done = serializers.IntegerField()
    items_total = serializers.IntegerField(allow_null=True)
    eta_seconds = serializers.IntegerField(allow_null=True, help_text="Null when not known")
    steps = StepProgressSerializer(many=True)


class CountersSerializer(serializers.Serializer):
    """What became of the items of all steps; `processed` is the sum without `warnings`."""

    def get_fields(self) -> dict[str, serializers.Field]:
        names = (*COUNTERS, "processed", "warnings")
        return {name: serializers.IntegerField() for name in names}


class WaitingSerializer(serializers.Serializer):
    reason = serializers.CharField(help_text="A code for programs")
    text = serializers.CharField(help_text="A sentence for people")
    holder = serializers.UUIDField(
        allow_null=True, help_text="The execution that has the slot it waits for"
    )


class ErrorSerializer(serializers.Serializer):
    summary = serializers.CharField()
    detail = serializers.CharField(
        allow_null=True, help_text="The traceback, for those who may see debug logs"
    )


class StopSerializer(serializers.Serializer):
    """A stop that has been asked for, and its receipt."""

    text = serializers.CharField()
    status = serializers.ChoiceField(Status.choices)
    seconds = serializers.FloatField(allow_null=True, help_text="From the request to the end")
    processed = serializers.IntegerField()
    kept = serializers.IntegerField(help_text="Of these, items whose work is done and stays")
    total = serializers.IntegerField(allow_null=True)
    forced = serializers.BooleanField(help_text="Its process was ended")
    children = serializers.IntegerField(help_text="So many were stopped with it")
    files = serializers.IntegerField(help_text="Files that it has made and that stay")
    resumable = serializers.BooleanField(help_text="Continue goes on from its checkpoint")
    level = serializers.ChoiceField(StopLevel.choices, allow_blank=True)
    requested_at = serializers.DateTimeField()
    requested_by = serializers.CharField(allow_null=True)
    deadline_at = serializers.DateTimeField(allow_null=True)


class ExecutionSummarySerializer(serializers.Serializer):
    """One row of a list."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    type = serializers.ChoiceField(TYPES)
    job = serializers.CharField()
    profile = serializers.CharField(source="profile.code", allow_null=True, default=None)
    status = serializers.ChoiceField(Status.choices)
    group = serializers.ChoiceField(Group.choices)
    outcome = serializers.ChoiceField(OUTCOMES, allow_null=True)
    done = serializers.BooleanField(source="is_finished")
    percent = serializers.IntegerField(allow_null=True)
    warnings = serializers.IntegerField(source="warnings_count")
    user = serializers.CharField(source="user.username", allow_null=True, default=None)
    queue = serializers.CharField()
    node = serializers.CharField()
    attempt = serializers.IntegerField()
    parent = serializers.UUIDField(  # type: ignore[assignment] # shadows Field.parent
        source="parent_id", allow_null=True
    )
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    actions = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    @extend_schema_field(ActionsSerializer)
    def get_actions(self, execution: JobExecution) -> dict[str, Any]:
        return dict(sorted(moves(self.context["request"].user, execution).items()))

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_links(self, execution: JobExecution) -> dict[str, str]:
        absolute = self.context["request"].build_absolute_uri
        return {
            "self": absolute(reverse("api:execution", args=[execution.pk])),
            "page": absolute(execution.get_absolute_url()),
        }


class ExecutionSerializer(ExecutionSummarySerializer):
    """Everything about one execution."""

    percent = None  # type: ignore[assignment] # removed: it is in `progress`
    warnings = None  # type: ignore[assignment] # removed: they are in `counters`
    job_version = serializers.CharField()
    profile_version = serializers.IntegerField(allow_null=True)
    trigger = serializers.CharField()
    note = serializers.CharField()
    parameters = serializers.DictField()
    priority = serializers.IntegerField()
    reason = serializers.CharField(help_text="The sentence that says why it is as it is")
    result = serializers.JSONField(help_text="The job's return value")
    error = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()
    counters = serializers.SerializerMethodField()
    waiting = serializers.SerializerMethodField()
    stop = serializers.SerializerMethodField()
    worker = serializers.CharField()
    pid = serializers.IntegerField(allow_null=True)
    continues = serializers.UUIDField(source="continues_id", allow_null=True)
    undoes = serializers.UUIDField(
        source="undoes_id", allow_null=True, help_text="The execution whose changes it undoes"
    )
    dry_run = serializers.BooleanField(help_text="It counts and warns, and nothing is written")
    children_count = serializers.SerializerMethodField()
    not_before = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    deadline_at = serializers.DateTimeField(allow_null=True)
    aimed_node = serializers.CharField(help_text="The only node it may run on")
    aimed_roles = serializers.ListField(
        child=serializers.CharField(), help_text="Roles that its node must have"
    )
    timeout_seconds = serializers.IntegerField(allow_null=True)

    @extend_schema_field(AllActionsSerializer)
    def get_actions(self, execution: JobExecution) -> dict[str, Any]:
        return dict(sorted(actions(self.context["request"].user, execution).items()))

    @extend_schema_field(ErrorSerializer(allow_null=True))
    def get_error(self, execution: JobExecution) -> dict[str, Any] | None:
        if not execution.error:
            return None
        seen = may(self.context["request"].user, "view_debug_log", execution)
        return {
            "summary": execution.error,
            "detail": execution.error_detail if seen and execution.error_detail else None,
        }

    @extend_schema_field(ProgressSerializer)
    def get_progress(self, execution: JobExecution) -> dict[str, Any]:
        steps = list(execution.steps.all())
        totals = [step.total for step in steps]
        return {
            "percent": execution.percent,
            "items_done": sum(step.processed for step in steps),
            "items_total": sum(totals) if totals and None not in totals else None,
            "eta_seconds": eta_seconds(execution),
            "steps": StepProgressSerializer(steps, many=True).data,
        }

    @extend_schema_field(CountersSerializer)
    def get_counters(self, execution: JobExecution) -> dict[str, int]:
        return counters_of(execution.steps.all(), execution.warnings_count)

    @extend_schema_field(WaitingSerializer(allow_null=True))
    def get_waiting(self, execution: JobExecution) -> dict[str, Any] | None:
        found = waiting(execution)
        return asdict(found) if found else None

    @extend_schema_field(StopSerializer(allow_null=True))
    def get_stop(self, execution: JobExecution) -> dict[str, Any] | None:
        found = receipt(execution)
        if found is None:
            return None
        by = execution.stop_requested_by
        asked = {
            "level": execution.stop_level,
            "requested_at": execution.stop_requested_at,
            "requested_by": by.get_username() if by else None,
            "deadline_at": execution.stop_deadline_at,
        }
        return StopSerializer(found | asked).data

    def get_children_count(self, execution: JobExecution) -> int:
        return visible_to(self.context["request"].user).filter(parent=execution).count()

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_links(self, execution: JobExecution) -> dict[str, str]:
        absolute = self.context["request"].build_absolute_uri
        parts = ("wait", "steps", "warnings", "files", "log", "timeline", "children", "rows")
        links = super().get_links(execution)
        for name in (*parts, *sorted({*REQUESTS, *AGAIN})):
            links[str(name)] = absolute(reverse(f"api:execution-{name}", args=[execution.pk]))
        return links


def counters_of(steps: Iterable[StepExecution], warnings: int) -> dict[str, int]:
    """What became of the items of these steps together."""
    total = sum((step.counters for step in steps), Counters())
    return asdict(total) | {"processed": total.processed, "warnings": warnings}


def eta_seconds(execution: JobExecution) -> int | None:
    """How long the rest takes if it goes on as fast as so far; None when that is a guess."""
    steps = list(execution.steps.all())
    shares = [step.share for step in steps if step.share is not None]
    if execution.status not in HELD or not shares or len(shares) < len(steps):
        return None
    share, took = sum(shares) / len(shares), _running_seconds(execution)
    if not share or took < ETA_NEEDS_SECONDS:
        return None
    return round(took * (1 - share) / share)


def _running_seconds(execution: JobExecution) -> float:
    """Over all attempts, without the pauses between them."""
    attempt = execution.attempts.filter(number=execution.attempt).first()
    since: dt.datetime | None = attempt.started_at if attempt else execution.started_at
    now = (timezone.now() - since).total_seconds() if since else 0.0
    return execution.running_seconds + now
