"""Jobs as developers have defined them: what there is to launch, and its source."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.base import ApiView, caller
from jobs.api.execution_serializers import ActionSerializer
from jobs.api.openapi import described
from jobs.api.parameter_schema import schema_of
from jobs.definition import REGISTRY, TYPES, Job, find
from jobs.permissions import may, require

JobClass = type[Job]


class JobSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # shadows Field.label
    type = serializers.ChoiceField(TYPES)
    description = serializers.CharField(source="describe")
    queue = serializers.CharField()
    version = serializers.CharField()
    timeout_seconds = serializers.IntegerField(allow_null=True)
    permissions = serializers.ListField(child=serializers.CharField())
    actions = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    @extend_schema_field(
        {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Action"}}
    )
    def get_actions(self, job: JobClass) -> dict[str, Any]:
        decision = may(self.context["request"].user, "launch", job)
        answer = {"allowed": bool(decision), "reason": decision.reason}
        return {"launch": ActionSerializer(answer).data}

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_links(self, job: JobClass) -> dict[str, str]:
        absolute = self.context["request"].build_absolute_uri
        routes = {"self": "job", "schema": "job-schema", "source": "job-source"}
        routes["launch"] = "job-launch"
        return {
            word: absolute(reverse(f"api:{route}", args=[job.name]))
            for word, route in routes.items()
        }


class SourceSerializer(serializers.Serializer):
    name = serializers.CharField()
    version = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment] # shadows Field.source


class JobsView(ApiView):
    """All installed jobs."""

    @described("jobs_list", "List jobs", {200: JobSerializer(many=True)}, fails=())
    def get(self, request: Request) -> Response:
        require(caller(request), "view_tracker")
        jobs = [job for _, job in sorted(REGISTRY.items())]
        return Response(JobSerializer(jobs, many=True, context={"request": request}).data)


class JobView(ApiView):
    """One installed job."""

    @described("jobs_get", "Show a job", {200: JobSerializer})
    def get(self, request: Request, name: str) -> Response:
        job = _find(request, name)
        return Response(JobSerializer(job, context={"request": request}).data)


class JobSchemaView(ApiView):
    """The parameters of a job, as JSON Schema 2020-12."""

    @described("jobs_schema", "Show the schema of its parameters", {200: OpenApiTypes.OBJECT})
    def get(self, request: Request, name: str) -> Response:
        return Response(schema_of(_find(request, name)))


class JobSourceView(ApiView):
    """The source code of a job."""

    @described("jobs_source", "Show its source code", {200: SourceSerializer})
    def get(self, request: Request, name: str) -> Response:
        job = _find(request, name)
        source = {"name": job.name, "version": job.version(), "source": job.source()}
        return Response(SourceSerializer(source).data)


def _find(request: Request, name: str) -> type[Job]:
    require(caller(request), "view_tracker")
    return find(name)
