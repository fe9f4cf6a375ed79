"""What one has been told. Only one's own, whoever one is."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import paging
from jobs.api.base import ApiView, caller
from jobs.api.openapi import PAGING, described, paged, query
from jobs.api.problems import BadQuery
from jobs.models import Notification
from jobs.models.notification import NotificationQuerySet
from jobs.permissions import require, visible_notifications

ASKED = {"true": True, "false": False}


class NotificationSerializer(serializers.Serializer):
    """One thing that one was told."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(Notification.Kind.choices)
    text = serializers.CharField()
    execution = serializers.UUIDField(source="execution_id", allow_null=True)
    schedule = serializers.CharField(source="schedule.code", allow_null=True, default=None)
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    links = serializers.SerializerMethodField()

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_links(self, one: Notification) -> dict[str, str]:
        absolute = self.context["request"].build_absolute_uri
        routes = {"read": "notification-read", "acknowledge": "notification-acknowledge"}
        links = {word: absolute(reverse(f"api:{to}", args=[one.pk])) for word, to in routes.items()}
        if one.execution_id:
            links["execution"] = absolute(reverse("api:execution", args=[one.execution_id]))
        return links


class NotificationsView(ApiView):
    """One's own, newest first."""

    query_parameters = (*paging.PARAMETERS, "unread")

    @described(
        "notifications_list",
        "List what one has been told",
        {200: paged(NotificationSerializer)},
        fails=(),
        parameters=[
            query("unread", "true: only what is unread; false: only what is", OpenApiTypes.BOOL),
            *PAGING,
        ],
    )
    def get(self, request: Request) -> Response:
        require(caller(request), "view_tracker")
        found = visible_notifications(caller(request)).select_related("schedule")
        if asked := request.query_params.get("unread"):
            if asked not in ASKED:
                raise BadQuery({"unread": [f"'unread' is {asked!r}; it is true or false."]})
            found = found.filter(read_at__isnull=ASKED[asked])
        return paging.page(request, found, lambda rows: _represent(request, rows), ordering="-id")


class ReadView(ApiView):
    """Read."""

    @described(
        "notifications_read",
        "Mark one as read",
        {200: NotificationSerializer},
        request=None,
    )
    def post(self, request: Request, number: int) -> Response:
        _one(request, number).mark_read()
        return Response(_represent(request, _one(request, number))[0])


class AcknowledgeView(ApiView):
    """Taken care of."""

    @described(
        "notifications_acknowledge",
        "Acknowledge one: somebody takes care of it; it is read then, too",
        {200: NotificationSerializer},
        request=None,
    )
    def post(self, request: Request, number: int) -> Response:
        _one(request, number).acknowledge()
        return Response(_represent(request, _one(request, number))[0])


def _one(request: Request, number: int) -> NotificationQuerySet:
    found = visible_notifications(caller(request)).filter(pk=number)
    if not found.exists():
        raise Http404("You have no such notification.")
    return found.select_related("schedule")


def _represent(request: Request, rows: Any) -> Any:
    return NotificationSerializer(rows, many=True, context={"request": request}).data
