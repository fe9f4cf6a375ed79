"""What all views of the API share. They depend on no REST_FRAMEWORK setting of the site."""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.http import Http404
from django.utils.cache import patch_vary_headers
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.api import problems
from jobs.api.authentication import TokenAuthentication, WithinScope
from jobs.downloads import matches


class StrictJSONParser(JSONParser):
    """JSON of bounded size whose texts PostgreSQL can store."""

    def parse(self, stream: Any, *_: Any) -> Any:
        body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            raise problems.TooLarge(f"A JSON body has at most {limit:,} bytes.")
        try:
            value = json.loads(body.decode(), parse_constant=_refuse_constant)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {error}.") from error
        return _storable(value)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _storable(value: Any) -> Any:
    """Refuse NUL and lone surrogates, which JSON can write but a database text cannot hold."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        codecs.encode(text, "utf-8")
    except UnicodeEncodeError:
        raise ParseError("A text contains half of a surrogate pair.") from None
    if "\\u0000" in text.replace("\\\\", ""):
        raise ParseError("A text contains the character NUL.")
    return value


class ApiView(APIView):
    """A view whose unknown query parameters, like all errors, are answered with a problem."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (
        TokenAuthentication,
        SessionAuthentication,
    )
    permission_classes: Sequence[type[BasePermission]] = (IsAuthenticated, WithinScope)
    renderer_classes: Sequence[type[BaseRenderer]] = (JSONRenderer,)
    parser_classes: Sequence[type[BaseParser]] = (StrictJSONParser,)
    throttle_classes = ()
    query_parameters: tuple[str, ...] = ()  # what the query string of GET may name

    def get_exception_handler(self) -> Callable[..., Response]:
        return problems.handler

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        valid = self.valid_query_parameters() if request.method in {"GET", "HEAD"} else []
        check_query(request, valid)

    def valid_query_parameters(self) -> list[str]:
        return sorted(self.query_parameters)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-cache")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        patch_vary_headers(response, ("Authorization", "Cookie"))
        return response


def caller(request: Request) -> User:
    """Who asks. No view is for strangers, so it is a user."""
    return cast("User", request.user)


def check_query(request: Request, valid: list[str]) -> None:
    """Raise BadQuery for parameters that the address does not have."""
    unknown = sorted(set(request.query_params) - set(valid))
    if unknown:
        known = f"There are: {', '.join(valid)}." if valid else "It takes none."
        raise problems.BadQuery(
            {name: [f"There is no query parameter {name!r} here. {known}"] for name in unknown},
            valid,
        )
    unreadable = [name for name, values in request.query_params.lists() if "\0" in "".join(values)]
    if unreadable:
        raise problems.BadQuery({name: ["It contains the character NUL."] for name in unreadable})


def number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number from the query string; raises BadQuery outside of low … high."""
    given = request.query_params.get(name) or str(default)
    try:
        value = int(given)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        said = f"{name!r} is {given!r}; it is a whole number from {low} to {high}."
        raise problems.BadQuery({name: [said]})
    return value


def etag_of(body: Any) -> str:
    """The entity tag of a representation: a hash of its content."""
    text = json.dumps(body, sort_keys=True, default=str)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def tagged(request: Request, body: Mapping[str, Any]) -> Response:
    """The representation with its entity tag, or 304 when the client has it already."""
    etag = etag_of(body)
    if matches(request.headers.get("If-None-Match"), etag):
        return Response(status=304, headers={"ETag": etag})
    return Response(body, headers={"ETag": etag})


def refuse_unless_read(request: Request, thing: str, body: Mapping[str, Any]) -> None:
    """A change is made to what the client has seen, never on top of somebody else's.

    `body` is the representation as it is now. Raises PreconditionFailed.
    """
    if "If-Match" not in request.headers:
        said = f"Send the {thing}'s ETag in the header If-Match, so that no change is overwritten."
        raise problems.PreconditionFailed(said, HTTPStatus.PRECONDITION_REQUIRED)
    if not matches(request.headers["If-Match"], etag_of(body)):
        said = f"The {thing} has changed since you read it. Read it again."
        raise problems.PreconditionFailed(said)


class StrictSerializer(serializers.Serializer):
    """A request body: fields that it does not have are refused, not ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            valid = [name for name, field in self.fields.items() if not field.read_only]
            unknown = sorted(set(data) - set(valid))
            if unknown:
                there = ", ".join(valid) or "none"
                raise serializers.ValidationError(
                    {
                        name: [f"There is no field {name!r}; there are: {there}."]
                        for name in unknown
                    },
                    code="unknown",
                )
        return super().to_internal_value(data)


def checked(data: Any, kind: type[serializers.Serializer], **options: Any) -> dict[str, Any]:
    """The validated body of a request; raises ValidationError (422)."""
    body = kind(data=data, **options)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


class NothingHereView(ApiView):
    """Answers for all addresses below the API that are none."""

    schema = None

    def initial(self, request: Request, *_: Any, **__: Any) -> None:
        self.perform_authentication(request)
        self.check_permissions(request)
        slash = "" if request.path.endswith("/") else " Addresses of the API end with '/'."
        raise Http404(f"There is nothing at {request.path!r}.{slash}")
