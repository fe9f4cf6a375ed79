"""Files of resources: templates to fill in, and exports of a selection."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api.base import ApiView, caller
from jobs.api.execution_serializers import ExecutionSerializer
from jobs.api.files import FORMAT, OfAnyFormat, wanted_format
from jobs.api.launches import IDEMPOTENCY_KEY, created, idempotency_key_of
from jobs.api.openapi import LOCATION, described
from jobs.api.resources import find_resource
from jobs.downloads import attached
from jobs.formats.writing import TYPES
from jobs.template_files import template_file


class ResourceTemplateView(ApiView):
    """A file with the columns that an import takes, to be filled in."""

    content_negotiation_class = OfAnyFormat
    query_parameters = ("format",)

    @described(
        "resources_template",
        "Download a template file",
        {(200, kind): OpenApiResponse(OpenApiTypes.BINARY) for kind in TYPES.values()},
        parameters=[FORMAT],
    )
    def get(self, request: Request, name: str) -> HttpResponseBase:
        resource = find_resource(request, name)
        kind = wanted_format(request) or "csv"
        file_name = f"{name.rpartition('.')[2]}-template.{kind}"
        return attached(HttpResponse(template_file(resource, kind), TYPES[kind]), file_name)


class ResourceExportView(ApiView):
    """Exports of some rows of a resource."""

    @described(
        "resources_export",
        "Export a selection",
        {201: ExecutionSerializer},
        fails=(404, 409, 415, 422, 503),
        request=OpenApiTypes.OBJECT,
        parameters=[IDEMPOTENCY_KEY, LOCATION],
        description=(
            "Launches the resource's export. The body has its parameters, all of them optional: "
            "`filters`, `search`, `columns`, `order`, `format`, `header`, …; their schema is that "
            "of the job `<resource>.export`."
        ),
    )
    def post(self, request: Request, name: str) -> Response:
        resource = find_resource(request, name)
        if not isinstance(request.data, dict):
            raise serializers.ValidationError("The body is a JSON object of parameters.")
        execution = control.launch(
            job=f"{resource.name}.export",
            parameters=dict(request.data),
            user=caller(request),
            idempotency_key=idempotency_key_of(request),
            trigger="api",
        )
        return created(request, execution)
