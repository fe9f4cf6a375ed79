"""The description of the API: OpenAPI 3.1, and the page that shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from csp.constants import SELF
from csp.decorators import csp_update
from django.contrib.auth.mixins import LoginRequiredMixin
from django.utils.decorators import method_decorator
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import serializers
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import problems
from jobs.api.base import ApiView

MEANINGS = {
    400: "The request cannot be understood, or has an unknown query parameter.",
    401: "Nobody is signed in: no token, a wrong or an expired one.",
    403: "You see it, but may not do this; `needs` names the missing permission.",
    404: "There is nothing at this address that you may see.",
    409: "Not now: its present state does not allow it.",
    412: "It has changed since you read it.",
    413: "The body is too large.",
    415: "The body is of a type that this address does not take.",
    416: "The range lies outside of the file.",
    422: "The body has unknown fields or values that cannot be used.",
    428: "The header If-Match is missing.",
    429: "Too many failed logins for this name.",
    503: "Nothing is launched during maintenance; try again after `Retry-After` seconds.",
}


class ProblemErrorSerializer(serializers.Serializer):
    pointer = serializers.CharField(required=False, help_text="JSON pointer into the body")
    parameter = serializers.CharField(required=False, help_text="Name in the query string")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer):
    """An error as in RFC 9457."""

    type = serializers.CharField(help_text="A stable name of the kind of error, as a URN")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What happened, in a sentence")
    errors = ProblemErrorSerializer(  # type: ignore[assignment] # shadows Serializer.errors
        many=True, required=False
    )
    needs = serializers.CharField(required=False, help_text="The missing permission")
    valid = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="The valid query parameters"
    )
    outcome = serializers.CharField(required=False, allow_null=True)
    execution_status = serializers.CharField(required=False)


def errors(*codes: int) -> dict[Any, OpenApiResponse]:
    """Responses for these statuses and for those that every address may answer with."""
    return {
        (code, problems.CONTENT_TYPE): OpenApiResponse(ProblemSerializer, MEANINGS[code])
        for code in sorted({400, 401, 403, *codes})
    }


def described(
    operation: str,
    summary: str,
    answers: dict[Any, Any],
    *,
    fails: tuple[int, ...] = (404,),
    **options: Any,
) -> Callable[[Any], Any]:
    """Describe one method of a view: its name for clients, its summary, its answers."""
    return extend_schema(
        operation_id=operation,
        summary=summary,
        responses={**answers, **errors(*fails)},
        **options,
    )


def query(name: str, text: str, kind: Any = OpenApiTypes.STR, **options: Any) -> OpenApiParameter:
    """Describe a query parameter."""
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=text, **options)


def header(name: str, text: str, **options: Any) -> OpenApiParameter:
    """Describe a request header."""
    return OpenApiParameter(
        name, OpenApiTypes.STR, OpenApiParameter.HEADER, description=text, **options
    )


def answer_header(name: str, text: str, *codes: int) -> OpenApiParameter:
    """Describe a header of the answers with these statuses."""
    return OpenApiParameter(
        name, OpenApiTypes.STR, OpenApiParameter.HEADER, description=text, response=list(codes)
    )


ETAG = answer_header("ETag", "For If-None-Match and If-Match", 200)
LOCATION = answer_header("Location", "The address of what was made", 201)
PAGING = [
    answer_header("Link", 'The next page, as `<address>; rel="next"`', 200),
    query("cursor", "From `next` of the page before"),
    query("page_size", "Rows on a page", OpenApiTypes.INT, enum=[25, 50, 100], default=25),
]


def paged(row: Any) -> type[serializers.Serializer]:
    """The serializer of a page of such rows."""
    fields = {
        "__doc__": f"A page of {row.__name__.removesuffix('Serializer')}.",
        "results": row(many=True),
        "next": serializers.URLField(
            allow_null=True, help_text="The next page, also in the header Link; null on the last"
        ),
    }
    return type(f"{row.__name__.removesuffix('Serializer')}PageSerializer", (_Page,), fields)


class _Page(serializers.Serializer):
    pass


def only_ours(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Leave out what else the site serves with Django REST framework."""
    return [one for one in endpoints if one[3].cls.__module__.startswith("jobs.api.")]


class SchemaView(ApiView, SpectacularAPIView):
    """The description itself."""

    permission_classes = (IsAuthenticated,)
    renderer_classes = [JSONRenderer, OpenApiJsonRenderer2]
    custom_settings = {
        "OAS_VERSION": "3.1.0",
        "TITLE": "Millrace",
        "DESCRIPTION": "Launch background jobs, follow them, stop them.",
        "VERSION": "1",
        "SCHEMA_PATH_PREFIX": "/api/v1",
        "COMPONENT_SPLIT_REQUEST": True,
        "PREPROCESSING_HOOKS": ["jobs.api.openapi.only_ours"],
        "ENUM_NAME_OVERRIDES": {
            "StatusEnum": "jobs.states.Status.choices",
            "StepStatusEnum": "jobs.states.StepStatus.choices",
            "StopLevelEnum": "jobs.states.StopLevel.choices",
            "ScopeEnum": "jobs.control.scopes.Kind.choices",
            "FieldKindEnum": "jobs.fields.Kind",
            "CredentialKindEnum": "jobs.models.credential.Credential.Kind",
        },
    }

    def valid_query_parameters(self) -> list[str]:
        return ["format"]

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


@method_decorator(csp_update({"img-src": [SELF, "data:"]}), name="dispatch")
class DocsView(LoginRequiredMixin, SpectacularSwaggerSplitView):
    """The page that shows it, with its scripts from this server and no inline script or style."""

    permission_classes = (AllowAny,)  # LoginRequiredMixin leads anonymous people to the login
    url_name = "api:openapi"
    template_name = "api/docs.html"
    title = "Millrace API"
