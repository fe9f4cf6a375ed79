"""An upload before it is imported: its first rows, and where its columns could go."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.base import ApiView, caller
from jobs.api.openapi import described, query
from jobs.api.problems import BadQuery
from jobs.api.profiles import find_profile
from jobs.definition import REGISTRY, JobClass
from jobs.models import Upload
from jobs.permissions import may, require
from jobs.preview import Preview, preview

READING = ("format", "delimiter", "quote", "encoding", "header", "sheet")


class PreviewColumnSerializer(serializers.Serializer):
    name = serializers.CharField(help_text="As it stands in the file")
    kind = serializers.CharField(help_text="What its first cells seem to be")
    decimal = serializers.CharField(help_text="The decimal separator of its numbers")
    date_format = serializers.CharField(help_text="The pattern of its dates")
    goes_to = serializers.CharField(
        allow_null=True,
        help_text="The column of the resource that it seems to be; empty: left out; null: unknown",
    )


class UploadPreviewSerializer(serializers.Serializer):
    said = serializers.CharField(help_text="How the file was read")
    fault = serializers.CharField(help_text="Why it cannot be read further; empty: it can")
    decimal = serializers.CharField()
    date_format = serializers.CharField()
    columns = PreviewColumnSerializer(many=True)
    known = serializers.ListField(
        child=serializers.CharField(), help_text="The columns that the resource has"
    )
    rows = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()), help_text="The first 50"
    )


class UploadPreviewView(ApiView):
    """The first rows of an upload, as an import would read them."""

    query_parameters = ("profile", "job", *READING)

    @described(
        "uploads_preview",
        "Look into an upload",
        {200: UploadPreviewSerializer},
        fails=(400, 404),
        parameters=[
            query("profile", "Read as this profile would"),
            query("job", "Or as this job would, by its name"),
            *(query(name, f"The parameter `{name}` of the import") for name in READING),
        ],
    )
    def get(self, request: Request, upload_id: UUID) -> Response:
        upload = Upload.objects.filter(pk=upload_id).first()
        if upload is None or not may(caller(request), "view", upload):
            raise Http404(f"There is no upload {str(upload_id)!r} of yours.")
        job, saved = _target(request)
        asked = request.query_params
        given = {name: asked[name] for name in READING if name in asked}
        return Response(UploadPreviewSerializer(_shown(preview(job, upload, saved | given))).data)


def _target(request: Request) -> tuple[JobClass, dict[str, Any]]:
    """The import that is asked about, and the parameters that a profile of it keeps."""
    code, name = (request.query_params.get(one, "") for one in ("profile", "job"))
    profile = find_profile(caller(request), code) if code else None
    job = profile.definition if profile else REGISTRY.get(name)
    if job is None or not hasattr(job, "resource") or job.type != "import":
        said = "Name the import that the file is for: profile=… or job=…."
        raise BadQuery({"profile": [said]})
    require(caller(request), "launch", profile or job)
    return job, profile.parameters if profile else {}


def _shown(found: Preview) -> dict[str, Any]:
    columns = [
        {
            "name": name,
            "kind": guess.kind,
            "decimal": guess.decimal,
            "date_format": guess.date_format,
            "goes_to": found.mapping.get(name),
        }
        for name, guess in zip(found.header, found.guesses, strict=True)
    ]
    names = ("said", "fault", "decimal", "date_format", "known", "rows")
    return {name: getattr(found, name) for name in names} | {"columns": columns}
