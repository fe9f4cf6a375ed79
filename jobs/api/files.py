"""Files: sending one for a launch, and fetching what an execution read or made."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema_field
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api.base import ApiView, StrictSerializer, caller, checked
from jobs.api.executions import IF_NONE_MATCH, find
from jobs.api.openapi import ETAG, described, header, query
from jobs.api.problems import BadQuery, Problem
from jobs.downloads import BYTES, OutsideTheFile, archive_of, attached, download
from jobs.formats.writing import TYPES
from jobs.models import ExecutionFile
from jobs.permissions import require
from jobs.rejected import rejected_file

FORMAT = query("format", "The format of the file", enum=[*TYPES])


class SentFileSerializer(StrictSerializer):
    file = serializers.FileField(allow_empty_file=True, max_length=255)


class UploadSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()


class FileSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    role = serializers.ChoiceField(ExecutionFile.Role.choices)
    field = serializers.CharField(help_text="The parameter it was given for; empty if it was made")
    name = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()
    created_at = serializers.DateTimeField()
    links = serializers.SerializerMethodField()

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_links(self, file: ExecutionFile) -> dict[str, str]:
        path = reverse("api:execution-file", args=[file.execution_id, file.pk])
        return {"download": self.context["request"].build_absolute_uri(path)}


class UploadsView(ApiView):
    """Files to be named in the parameters of a launch, by their ids."""

    parser_classes = (MultiPartParser,)

    @described(
        "uploads_create",
        "Send a file",
        {201: UploadSerializer},
        fails=(413, 415, 422),
        request={"multipart/form-data": SentFileSerializer},
    )
    def post(self, request: Request) -> Response:
        require(caller(request), "view_tracker")
        file = checked(request.data, SentFileSerializer)["file"]
        upload = control.upload(file, user=caller(request))
        return Response(UploadSerializer(upload).data, status=201)


class FilesView(ApiView):
    """The files that an execution was given, or made."""

    @described("executions_files", "List files", {200: FileSerializer(many=True)})
    def get(self, request: Request, execution_id: UUID) -> Response:
        execution = find(caller(request), execution_id)
        require(caller(request), "view_contents", execution)
        files = FileSerializer(execution.files.all(), many=True, context={"request": request})
        return Response(files.data)


class FileView(ApiView):
    """The content of a file, by its id or name."""

    @described(
        "executions_file",
        "Download a file",
        {
            (200, BYTES): OpenApiResponse(OpenApiTypes.BINARY, "The whole file"),
            (206, BYTES): OpenApiResponse(OpenApiTypes.BINARY, "The range that was asked for"),
            304: None,
        },
        fails=(404, 416),
        parameters=[header("Range", "`bytes=first-last`: one range of bytes"), IF_NONE_MATCH, ETAG],
    )
    def get(self, request: Request, execution_id: UUID, file: str) -> HttpResponseBase:
        execution = find(caller(request), execution_id)
        require(caller(request), "download", execution)
        try:
            return download(request.headers, _find_file(execution.files.all(), file))
        except OutsideTheFile as error:
            told = {"Content-Range": error.content_range}
            return Problem("range-not-satisfiable", 416, str(error), headers=told).response()


class OfAnyFormat(BaseContentNegotiation):
    """`format` in the address, and Accept, mean the file; what is wrong is told as ever."""

    def select_parser(self, request: Request, parsers: Any) -> Any:  # noqa: ARG002 (DRF's own)
        return next(iter(parsers), None)

    def select_renderer(self, request: Request, renderers: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG002
        return renderers[0], renderers[0].media_type


class RejectedView(ApiView):
    """The rows that were not imported, with their numbers and reasons, while it runs too."""

    content_negotiation_class = OfAnyFormat
    query_parameters = ("format",)

    @described(
        "executions_rejected",
        "Download the rejected rows",
        {(200, kind): OpenApiResponse(OpenApiTypes.BINARY) for kind in TYPES.values()},
        parameters=[FORMAT],
    )
    def get(self, request: Request, execution_id: UUID) -> HttpResponseBase:
        execution = find(caller(request), execution_id)
        require(caller(request), "download", execution)
        file = rejected_file(execution, wanted_format(request))
        if file is None:
            raise Http404("This execution has no rejected rows.")
        response = StreamingHttpResponse(file.blocks, content_type=file.content_type)
        return attached(response, file.name)


class ArchiveView(ApiView):
    """All files of an execution in one."""

    @described(
        "executions_archive",
        "Download all files as a zip",
        {(200, "application/zip"): OpenApiResponse(OpenApiTypes.BINARY)},
    )
    def get(self, request: Request, execution_id: UUID) -> HttpResponseBase:
        execution = find(caller(request), execution_id)
        require(caller(request), "download", execution)
        files = list(execution.files.all())
        if not files:
            raise Http404("This execution has no files.")
        response = StreamingHttpResponse(archive_of(files), content_type="application/zip")
        return attached(response, f"{execution.pk}.zip")


def wanted_format(request: Request) -> str:
    """The format that the query asks for, or none; raises BadQuery for one that there is not."""
    kind = request.query_params.get("format", "")
    if kind and kind not in TYPES:
        raise BadQuery({"format": [f"There is no format {kind!r}; there are: {', '.join(TYPES)}."]})
    return kind


def _find_file(files: Any, key: str) -> ExecutionFile:
    """By id, else the newest of this name."""
    by_id = files.filter(pk=int(key)).first() if key.isascii() and key.isdigit() else None
    by_name = None if "\0" in key else files.filter(name=key).order_by("pk").last()
    found = by_id or by_name
    if found is None:
        raise Http404(f"This execution has no file {key!r}.")
    return found
