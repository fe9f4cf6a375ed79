"""Files: sending one for a launch, and fetching what an execution read or made."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import PurePath
from typing import Any
from uuid import UUID

from django.core.files.base import File
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema_field
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api.base import ApiView, StrictSerializer, caller, checked, matches
from jobs.api.executions import IF_NONE_MATCH, find
from jobs.api.openapi import ETAG, described, header, query
from jobs.api.problems import BadQuery, Problem
from jobs.formats.writing import TYPES, Passing, member, zipped
from jobs.models import ExecutionFile
from jobs.permissions import require
from jobs.rejected import rejected_file

BLOCK_BYTES = 64 * 1024
RANGE = re.compile(r"^bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})$")
BYTES = "application/octet-stream"
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
        return download(request, _find_file(execution.files.all(), file))


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


def archive_of(files: Iterable[ExecutionFile]) -> Iterator[bytes]:
    """A zip of files, as it is sent: nothing of it is kept. Files that are gone are left out."""
    target, taken = Passing(), set[str]()
    with zipped(target) as archive:
        for file in files:
            name = PurePath(file.name).name or "file"
            name = f"{file.pk}-{name}" if name in taken else name
            taken.add(name)
            with suppress(Http404), _open(file) as content, member(archive, name) as packed:
                for block in content.chunks(BLOCK_BYTES):
                    packed.write(block)
                    yield target.take()
    yield target.take()


def wanted_format(request: Request) -> str:
    """The format that the query asks for, or none; raises BadQuery for one that there is not."""
    kind = request.query_params.get("format", "")
    if kind and kind not in TYPES:
        raise BadQuery({"format": [f"There is no format {kind!r}; there are: {', '.join(TYPES)}."]})
    return kind


def attached(response: HttpResponseBase, name: str) -> HttpResponseBase:
    """The response as a file to keep, which no browser opens as a page of ours."""
    disposition = content_disposition_header(as_attachment=True, filename=name)
    response["Cache-Control"] = "private, no-store"
    response["Content-Disposition"] = disposition or "attachment"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _find_file(files: Any, key: str) -> ExecutionFile:
    """By id, else the newest of this name."""
    by_id = files.filter(pk=int(key)).first() if key.isascii() and key.isdigit() else None
    by_name = None if "\0" in key else files.filter(name=key).order_by("pk").last()
    found = by_id or by_name
    if found is None:
        raise Http404(f"This execution has no file {key!r}.")
    return found


def download(request: Request, file: ExecutionFile) -> HttpResponseBase:
    """The file as an attachment: whole, a range of it, or 304."""
    etag = f'"{file.sha256}"'
    if matches(request.headers.get("If-None-Match"), etag):
        response: HttpResponseBase = HttpResponse(status=304)
    else:
        response = _content(request, file, etag)
    response["ETag"] = etag
    response["Repr-Digest"] = f"sha-256=:{b64encode(bytes.fromhex(file.sha256)).decode()}:"
    response["Accept-Ranges"] = "bytes"
    return attached(response, file.name)


def _content(request: Request, file: ExecutionFile, etag: str) -> HttpResponseBase:
    stored = _open(file)
    size = stored.size
    bounds = _bounds(request.headers.get("Range", ""), size)
    if bounds is None or request.headers.get("If-Range", etag) != etag:
        return FileResponse(stored, content_type=BYTES)
    first, last = bounds
    if first >= size:
        stored.close()
        return _outside(file, size)
    stored.seek(first)
    blocks = _blocks(stored, last - first + 1)
    response = StreamingHttpResponse(blocks, status=206, content_type=BYTES)
    response.headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    response.headers["Content-Length"] = str(last - first + 1)
    return response


def _outside(file: ExecutionFile, size: int) -> Response:
    said = f"{file.name!r} has {size:,} bytes; the range begins behind them."
    return Problem(
        "range-not-satisfiable", 416, said, headers={"Content-Range": f"bytes */{size}"}
    ).response()


def _open(file: ExecutionFile) -> File:
    try:
        return file.file.storage.open(str(file.file.name), "rb")
    except FileNotFoundError:
        raise Http404(f"The content of {file.name!r} is no longer stored.") from None


def _bounds(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte of the range that is asked for, or None when the whole file is.

    A header with several ranges, or one that makes no sense, is left aside as RFC 9110 allows.
    """
    asked = RANGE.match(header)
    if not asked or not (asked["first"] or asked["last"]):
        return None
    if not asked["first"]:  # the last so many bytes
        length = int(asked["last"])
        return (max(0, size - length) if length else size), size - 1
    first = int(asked["first"])
    last = min(int(asked["last"] or size), size - 1)
    return None if asked["last"] and int(asked["last"]) < first else (first, last)


def _blocks(file: File, left: int) -> Iterator[bytes]:
    with file:
        while left > 0 and (block := file.read(min(BLOCK_BYTES, left))):
            left -= len(block)
            yield block
