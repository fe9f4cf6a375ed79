"""Schedules: made, changed, switched and looked ahead."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError as InvalidSchedule
from django.db import IntegrityError, transaction
from django.http import Http404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api import paging
from jobs.api.base import ApiView, StrictSerializer, caller, checked, refuse_unless_read, tagged
from jobs.api.execution_serializers import ActionSerializer
from jobs.api.executions import IF_NONE_MATCH
from jobs.api.openapi import ETAG, LOCATION, PAGING, described, header, paged
from jobs.api.profiles import find_profile
from jobs.cron import BadCron, Cron, in_words
from jobs.models import Schedule
from jobs.models.profile import CODE
from jobs.permissions import may, require, visible_schedules
from jobs.states import Overlap

MOST_TIMES = 100


class ScheduleChangeSerializer(StrictSerializer):
    """What can be changed of a schedule."""

    label = serializers.CharField(max_length=200)  # type: ignore[assignment] # shadows Field.label
    profile = serializers.CharField(max_length=100, help_text="Code of the profile it launches")
    cron = serializers.CharField(
        max_length=100, help_text="Minute, hour, day of the month, month, day of the week"
    )
    time_zone = serializers.CharField(required=False, max_length=50)
    parameters = serializers.DictField(
        required=False, help_text="Laid over those of the profile at each launch"
    )
    missed = serializers.ChoiceField(
        Schedule.Missed.choices, required=False,
        help_text="What becomes of times that passed while no controller ran",
    )  # fmt: skip
    overlap = serializers.ChoiceField(
        Overlap.choices, required=False,
        help_text="What happens when an execution of this schedule is still open",
    )  # fmt: skip
    run_as = serializers.CharField(
        required=False, allow_null=True, max_length=150,
        help_text="Username; by default who makes it. Only administrators name others, or nobody",
    )  # fmt: skip
    enabled = serializers.BooleanField(required=False)


class NewScheduleSerializer(ScheduleChangeSerializer):
    code = serializers.CharField(max_length=100, validators=[CODE])


class ScheduleSerializer(serializers.Serializer):
    """A schedule."""

    code = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # shadows Field.label
    profile = serializers.CharField(source="profile.code")
    cron = serializers.CharField()
    words = serializers.SerializerMethodField()
    time_zone = serializers.CharField()
    parameters = serializers.DictField()
    missed = serializers.ChoiceField(Schedule.Missed.choices)
    overlap = serializers.ChoiceField(Overlap.choices)
    run_as = serializers.CharField(
        source="run_as.username", allow_null=True, default=None, help_text="Null: the platform"
    )
    enabled = serializers.BooleanField()
    next_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    actions = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    def get_words(self, schedule: Schedule) -> str:
        return in_words(schedule.cron)

    @extend_schema_field(
        {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Action"}}
    )
    def get_actions(self, schedule: Schedule) -> dict[str, Any]:
        user = self.context["request"].user
        answers = {action: may(user, action, schedule) for action in ("change", "switch", "delete")}
        return {
            action: ActionSerializer({"allowed": bool(found), "reason": found.reason}).data
            for action, found in answers.items()
        }

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_links(self, schedule: Schedule) -> dict[str, str]:
        absolute = self.context["request"].build_absolute_uri
        return {
            "self": absolute(reverse("api:schedule", args=[schedule.code])),
            "firings": absolute(reverse("api:schedule-firings", args=[schedule.code])),
            "page": absolute(schedule.get_absolute_url()),
        }


class FiringSerializer(serializers.Serializer):
    """One time of a schedule and what came of it."""

    scheduled_for = serializers.DateTimeField()
    outcome = serializers.CharField(help_text="launched, skipped, missed or refused")
    reason = serializers.CharField()
    execution = serializers.UUIDField(source="execution_id", allow_null=True)
    at = serializers.DateTimeField()


class PreviewSerializer(StrictSerializer):
    """When an expression would fire."""

    cron = serializers.CharField(max_length=100)
    time_zone = serializers.CharField(default="UTC", max_length=50)
    count = serializers.IntegerField(default=10, min_value=1, max_value=MOST_TIMES)


class TimeSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    local = serializers.CharField(help_text="On the clock of the time zone, with its offset")
    note = serializers.CharField(help_text="What daylight saving does to it; else empty")


class PreviewedSerializer(serializers.Serializer):
    words = serializers.CharField()
    times = TimeSerializer(many=True)


def find_schedule(user: User, code: str) -> Schedule:
    """The schedule; Http404 unless `user` may see it."""
    found = visible_schedules(user).select_related("profile", "run_as").filter(code=code).first()
    if found is None:
        raise Http404(f"There is no schedule {code!r} that you may see.")
    return found


class SchedulesView(ApiView):
    """The schedules of the profiles that one may see."""

    query_parameters = paging.PARAMETERS

    @described(
        "schedules_list",
        "List schedules",
        {200: paged(ScheduleSerializer)},
        fails=(),
        parameters=PAGING,
    )
    def get(self, request: Request) -> Response:
        require(caller(request), "view_tracker")
        found = visible_schedules(caller(request)).select_related("profile", "run_as")
        context = {"request": request}
        return paging.page(
            request, found, lambda rows: ScheduleSerializer(rows, many=True, context=context).data
        )

    @described(
        "schedules_create",
        "Make a schedule",
        {201: ScheduleSerializer},
        fails=(404, 422),
        request=NewScheduleSerializer,
        parameters=[LOCATION],
    )
    def post(self, request: Request) -> Response:
        require(caller(request), "manage_schedules")
        body = checked(request.data, NewScheduleSerializer)
        schedule = Schedule(code=body.pop("code"), run_as=caller(request))
        _save(request, schedule, body)
        headers = {
            "Location": request.build_absolute_uri(reverse("api:schedule", args=[schedule.code]))
        }
        return Response(_represent(request, schedule), status=201, headers=headers)


class ScheduleView(ApiView):
    """One schedule."""

    @described(
        "schedules_get",
        "Show a schedule",
        {200: ScheduleSerializer, 304: None},
        parameters=[IF_NONE_MATCH, ETAG],
    )
    def get(self, request: Request, code: str) -> Response:
        return tagged(request, _represent(request, find_schedule(caller(request), code)))

    @described(
        "schedules_update",
        "Change a schedule, or switch it on and off",
        {200: ScheduleSerializer},
        fails=(404, 412, 422, 428),
        request=ScheduleChangeSerializer,
        parameters=[header("If-Match", "The ETag of what you have read", required=True), ETAG],
    )
    def patch(self, request: Request, code: str) -> Response:
        body = checked(request.data, ScheduleChangeSerializer, partial=True)
        schedule = find_schedule(caller(request), code)
        only_switches = set(body) == {"enabled"}
        require(caller(request), "switch" if only_switches else "change", schedule)
        with transaction.atomic():
            Schedule.objects.select_for_update(no_key=True).get(pk=schedule.pk)
            schedule = find_schedule(caller(request), code)
            refuse_unless_read(request, "schedule", _represent(request, schedule))
            if only_switches:
                control.switch_schedule(schedule, on=body["enabled"], by=caller(request))
            else:
                _save(request, schedule, body)
        return tagged(request, _represent(request, find_schedule(caller(request), code)))

    @described(
        "schedules_delete",
        "Delete a schedule and the record of its times; its executions stay",
        {204: None},
    )
    def delete(self, request: Request, code: str) -> Response:
        control.delete_schedule(find_schedule(caller(request), code), by=caller(request))
        return Response(status=204)


class FiringsView(ApiView):
    """What came of the times of a schedule, newest first."""

    query_parameters = paging.PARAMETERS

    @described(
        "schedules_firings",
        "List what came of its times",
        {200: paged(FiringSerializer)},
        parameters=PAGING,
    )
    def get(self, request: Request, code: str) -> Response:
        found = find_schedule(caller(request), code).firings.all()
        return paging.page(
            request, found, lambda rows: FiringSerializer(rows, many=True).data, ordering="-id"
        )


class PreviewView(ApiView):
    """The next times of an expression that need not be anybody's yet."""

    @described(
        "schedules_preview",
        "Look ahead",
        {200: PreviewedSerializer},
        fails=(422,),
        request=PreviewSerializer,
    )
    def post(self, request: Request) -> Response:
        require(caller(request), "view_tracker")
        body = checked(request.data, PreviewSerializer)
        try:
            cron = Cron(body["cron"], body["time_zone"])
        except BadCron as error:
            raise serializers.ValidationError({error.field: [str(error)]}) from None
        times = [
            {"at": time.at, "local": time.at.astimezone(cron.zone).isoformat(), "note": time.note}
            for time in islice(cron.after(timezone.now()), body["count"])
        ]
        shown = {"words": in_words(body["cron"]), "times": times}
        return Response(PreviewedSerializer(shown).data)


def _represent(request: Request, schedule: Schedule) -> dict[str, Any]:
    return ScheduleSerializer(schedule, context={"request": request}).data


def _save(request: Request, schedule: Schedule, body: dict[str, Any]) -> None:
    if "profile" in body:
        schedule.profile = find_profile(caller(request), body.pop("profile"))
    if "run_as" in body:
        schedule.run_as = _person(body.pop("run_as"))
    for name, value in body.items():
        setattr(schedule, name, value)
    try:
        with transaction.atomic():
            control.save_schedule(schedule, by=caller(request))
    except InvalidSchedule as error:
        raise serializers.ValidationError(error.message_dict) from error
    except IntegrityError as error:
        said = f"There is a schedule {schedule.code!r} already."
        raise serializers.ValidationError({"code": [said]}) from error


def _person(name: str | None) -> User | None:
    found = User.objects.filter(username=name, is_active=True).first() if name else None
    if name and found is None:
        said = f"There is no active account {name!r}."
        raise serializers.ValidationError({"run_as": [said]})
    return found
