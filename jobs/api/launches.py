"""Launching a profile, or a job without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.urls import reverse
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import control
from jobs.api.base import ApiView, StrictJSONParser, StrictSerializer, caller, checked
from jobs.api.execution_serializers import ExecutionSerializer
from jobs.api.executions import represent
from jobs.api.openapi import LOCATION, answer_header, described, header
from jobs.api.problems import Refusal
from jobs.api.profiles import find_profile
from jobs.definition import Job, find
from jobs.models import JobExecution, Upload
from jobs.parameters import file_fields
from jobs.permissions import require

SMALL_INTEGER = 32_767
LONGEST_KEY = 255

IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "The same request with the same key launches once, however often it is sent",
)


class LaunchSerializer(StrictSerializer):
    name = serializers.CharField(required=False, max_length=200, help_text="Instead of the label")
    parameters = serializers.DictField(required=False, help_text="Laid over the profile's")
    file = serializers.UUIDField(
        required=False, help_text="Id of an upload: short for the parameter `file`"
    )
    deferred = serializers.BooleanField(default=False, help_text="Hold until it is activated")
    not_before = serializers.DateTimeField(required=False, help_text="Hold until this moment")
    expires_at = serializers.DateTimeField(required=False, help_text="Do not start after it")
    priority = serializers.IntegerField(
        required=False,
        min_value=-SMALL_INTEGER,
        max_value=SMALL_INTEGER,
        help_text="Lower goes first",
    )
    node = serializers.CharField(
        required=False, allow_blank=True, max_length=100, help_text="The only node it may run on"
    )
    node_roles = serializers.ListField(
        child=serializers.CharField(max_length=50),
        required=False,
        help_text="It runs only on nodes that have all of these roles",
    )
    note = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class JsonText(serializers.DictField):
    """A JSON object written as the text of a form field."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        try:
            value = json.loads(data) if isinstance(data, str) else data
        except (ValueError, RecursionError):
            raise serializers.ValidationError("This is not JSON.") from None
        return super().to_internal_value(value)


class MultipartLaunchSerializer(LaunchSerializer):
    """The same as a form, with the files themselves under the names of their parameters."""

    parameters = JsonText(required=False, help_text="A JSON object as text")
    file = serializers.FileField(  # type: ignore[assignment] # not the id, but the file itself
        required=False, allow_empty_file=True
    )


class LaunchView(ApiView):
    """What both ways of launching share."""

    parser_classes = (StrictJSONParser, MultiPartParser)

    def launch(self, request: Request, definition: type[Job], **target: Any) -> Response:
        """Launch with the body of the request; 201 also for a replay of the same request.

        200 when nothing was launched because an open execution is to be let alone.
        """
        key = idempotency_key_of(request)
        with _sent_files(request, definition) as sent:
            body = _body(request, sent)
            execution = control.launch(
                **target, **body, user=caller(request), idempotency_key=key, trigger="api"
            )
            if execution.replayed or execution.skipped:
                _discard(sent.values())
        return created(request, execution)


def _body(request: Request, sent: dict[str, Upload]) -> dict[str, Any]:
    """The arguments of the launch; sent files are parameters with the ids of their uploads."""
    if request.content_type.startswith("multipart/"):
        data: Any = request.data
        fields = {name: value for name, value in data.items() if name not in request.FILES}
        body = checked(fields, MultipartLaunchSerializer)
    else:
        body = checked(request.data, LaunchSerializer)
    parameters = dict(body.pop("parameters", {}))
    if "file" in body:
        parameters["file"] = str(body.pop("file"))
    parameters |= {name: str(upload.pk) for name, upload in sent.items()}
    return body | {"parameters": parameters}


@contextmanager
def _sent_files(request: Request, job: type[Job]) -> Iterator[dict[str, Upload]]:
    """Uploads of the files in a multipart body; none of them stays when the launch fails."""
    files: dict[str, UploadedFile] = dict(request.FILES.items())
    _refuse_unknown(set(files) - set(file_fields(job)), job)
    sent: dict[str, Upload] = {}
    try:
        with transaction.atomic():
            for name, file in files.items():
                sent[name] = control.upload(file, user=caller(request))
            yield sent
    except BaseException:
        for upload in sent.values():
            upload.file.storage.delete(str(upload.file.name))
        raise


def _refuse_unknown(names: set[str], job: type[Job]) -> None:
    there = ", ".join(file_fields(job)) or "none"
    if names:
        raise serializers.ValidationError(
            {
                name: [f"The job has no file parameter {name!r}; there are: {there}."]
                for name in sorted(names)
            },
            code="unknown",
        )


def _discard(uploads: Any) -> None:
    """A replayed launch has its file already, and a skipped one needs none."""
    for upload in uploads:
        transaction.on_commit(partial(upload.file.storage.delete, str(upload.file.name)))
        upload.delete()


def idempotency_key_of(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not key or len(key) > LONGEST_KEY or not key.isprintable():
        said = f"The header Idempotency-Key has 1 to {LONGEST_KEY} printable characters."
        raise serializers.ValidationError({"Idempotency-Key": [said]})
    return key


def created(request: Request, execution: JobExecution) -> Response:
    address = request.build_absolute_uri(reverse("api:execution", args=[execution.pk]))
    headers = {"Location": address}
    if execution.replayed:
        headers["Idempotent-Replayed"] = "true"
    if execution.skipped:
        headers["Launch-Skipped"] = "true"
    status = HTTPStatus.OK if execution.skipped else HTTPStatus.CREATED
    return Response(represent(request, execution.pk), status=status, headers=headers)


DESCRIPTION = (
    "A file is sent first (`uploads/`) and named by its id, or sent in a multipart body under the "
    "name of its parameter. A repeated request with the same `Idempotency-Key` is answered with "
    "the execution that the first one made, and `Idempotent-Replayed: true`. When as many are open "
    "as may run at once, the launch waits its turn; or, as the profile or job says, it is refused "
    "(409 `overlapping`), replaces them, or is skipped: 200 with the open execution."
)
HEADERS = [
    IDEMPOTENCY_KEY,
    LOCATION,
    answer_header("Idempotent-Replayed", "`true` when the key was used before", 201),
    answer_header("Launch-Skipped", "`true`: nothing was launched, this one is open", 200),
]
BODY = {
    "application/json": LaunchSerializer,
    "multipart/form-data": MultipartLaunchSerializer,
}


class ProfileLaunchView(LaunchView):
    """Launches of a profile."""

    @described(
        "profiles_launch",
        "Launch a profile",
        {200: ExecutionSerializer, 201: ExecutionSerializer},
        fails=(404, 409, 413, 415, 422, 503),
        request=BODY,
        parameters=HEADERS,
        description=DESCRIPTION,
    )
    def post(self, request: Request, code: str) -> Response:
        profile = find_profile(caller(request), code)
        if profile.definition is None:
            raise Refusal("unknown-job", f"The job {profile.job!r} is no longer installed.")
        require(caller(request), "launch", profile)
        return self.launch(request, profile.definition, profile=profile)


class JobLaunchView(LaunchView):
    """Launches of a job, without a profile."""

    @described(
        "jobs_launch",
        "Launch a job",
        {200: ExecutionSerializer, 201: ExecutionSerializer},
        fails=(404, 409, 413, 415, 422, 503),
        request=BODY,
        parameters=HEADERS,
        description=DESCRIPTION,
    )
    def post(self, request: Request, name: str) -> Response:
        job = find(name)
        require(caller(request), "launch", job)
        return self.launch(request, job, job=name)
