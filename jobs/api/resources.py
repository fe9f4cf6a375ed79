"""Resources: which there are, their fields, and their rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from jobs import browsing
from jobs.api.base import ApiView, caller
from jobs.api.execution_serializers import ActionSerializer
from jobs.api.openapi import PAGING, described, paged, query
from jobs.api.paging import PARAMETERS, page_size
from jobs.api.problems import BadQuery
from jobs.definition import REGISTRY
from jobs.fields import Kind, fields_of
from jobs.permissions import may, require, visible_resources
from jobs.resources import RESOURCES, ResourceClass
from jobs.selection import Selection
from jobs.selection_query import NAMES, selection_from

PARAMETER_OF = {"filters": "filter"}  # parts of a selection that the query names otherwise


class ResourceSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.SerializerMethodField(help_text="What its rows are called")  # type: ignore[assignment] # shadows Field.label
    description = serializers.SerializerMethodField()
    key = serializers.ListField(
        source="key_fields", child=serializers.CharField(), help_text="How a row is found again"
    )
    actions = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    def get_label(self, resource: ResourceClass) -> str:
        return str(resource.model._meta.verbose_name_plural)

    def get_description(self, resource: ResourceClass) -> str:
        return " ".join((resource.__doc__ or "").split("\n\n")[0].split())

    @extend_schema_field(
        {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Action"}}
    )
    def get_actions(self, resource: ResourceClass) -> dict[str, Any]:
        jobs = {verb: REGISTRY.get(f"{resource.name}.{verb}") for verb in ("import", "export")}
        user = self.context["request"].user
        decisions = {verb: may(user, "launch", job) for verb, job in jobs.items() if job}
        return {
            verb: ActionSerializer({"allowed": bool(said), "reason": said.reason}).data
            for verb, said in decisions.items()
        }

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_links(self, resource: ResourceClass) -> dict[str, str]:
        absolute = self.context["request"].build_absolute_uri
        routes = {"self": "api:resource", "rows": "api:resource-rows", "page": "tracker:resource"}
        routes |= {"template": "api:resource-template", "export": "api:resource-export"}
        return {
            word: absolute(reverse(route, args=[resource.name])) for word, route in routes.items()
        }


class FieldChoiceSerializer(serializers.Serializer):
    value = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # shadows Field.label


class FieldSerializer(serializers.Serializer):
    """What rows can be filtered and ordered by, and shown with."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # shadows Field.label
    kind = serializers.ChoiceField([(kind.value, kind.name) for kind in Kind])
    operators = serializers.ListField(child=serializers.CharField())
    sortable = serializers.BooleanField(source="is_sortable")
    choices = serializers.SerializerMethodField()

    @extend_schema_field(FieldChoiceSerializer(many=True))
    def get_choices(self, field: Any) -> list[dict[str, str]]:
        return [{"value": value, "label": label} for value, label in field.choices]


class ResourceDetailSerializer(ResourceSerializer):
    columns = serializers.SerializerMethodField()

    @extend_schema_field(FieldSerializer(many=True))
    def get_columns(self, resource: ResourceClass) -> Any:
        user = self.context["request"].user
        shown = [field for field in fields_of(resource) if may(user, "view", field)]
        return FieldSerializer(shown, many=True).data


class ResourceRowSerializer(serializers.Serializer):
    key = serializers.CharField(help_text="The primary key, by which the filter `pk` finds the row")
    values = serializers.DictField(
        child=serializers.JSONField(allow_null=True), help_text="By the names of the columns"
    )


ROWS = paged(ResourceRowSerializer)
QUERY = [
    query(
        "filter",
        "Field, operator and value with spaces between them: `price-EUR >= 10`, `family in a,b`, "
        "`enabled is true`; may be repeated, and all must hold",
        many=True,
        explode=True,
    ),
    query("search", "Words that a code or a text of the row must have"),
    query("order", "Fields with commas between them, `-` before one for descending"),
    query("columns", "Fields to show, with commas between them; by default those of the model"),
]


class ResourcesView(ApiView):
    """The resources whose rows one may see."""

    @described("resources_list", "List resources", {200: ResourceSerializer(many=True)}, fails=())
    def get(self, request: Request) -> Response:
        require(caller(request), "view_tracker")
        found = sorted(visible_resources(caller(request)), key=lambda each: each.name)
        return Response(ResourceSerializer(found, many=True, context={"request": request}).data)


class ResourceView(ApiView):
    """One resource with its columns."""

    @described("resources_get", "Show a resource and its columns", {200: ResourceDetailSerializer})
    def get(self, request: Request, name: str) -> Response:
        resource = find_resource(request, name)
        body = ResourceDetailSerializer(resource, context={"request": request}).data
        return Response(body)


class RowsView(ApiView):
    """The rows of a resource."""

    query_parameters = (*NAMES, *PARAMETERS)

    @described(
        "resources_rows", "List rows of a resource", {200: ROWS}, parameters=[*QUERY, *PAGING]
    )
    def get(self, request: Request, name: str) -> Response:
        resource = find_resource(request, name)
        size, cursor = page_size(request), request.query_params.get("cursor", "")
        try:
            selection = self._selection(request, resource)
            page = browsing.page(selection, size=size, after=cursor)
        except ValidationError as error:
            raise BadQuery(_by_parameter(error)) from None
        except browsing.TooSlow as slow:
            raise BadQuery({"filter": [str(slow)]}) from None
        rows = [
            {
                "key": str(key),
                "values": dict(zip(selection.columns, map(_exact, values), strict=True)),
            }
            for key, values in page.rows
        ]
        if not page.after:
            return Response({"results": rows, "next": None})
        url = replace_query_param(request.build_absolute_uri(), "cursor", page.after)
        return Response({"results": rows, "next": url}, headers={"Link": f'<{url}>; rel="next"'})

    def _selection(self, request: Request, resource: ResourceClass) -> Selection:
        """What the query asks for, of the model's own fields where it names no columns."""
        params = request.query_params.copy()
        if not params.get("columns"):
            params["columns"] = ",".join(_own_columns(resource))
        selection = selection_from(resource, params)
        selection.check()
        require(caller(request), "view", selection)
        return selection


def find_resource(request: Request, name: str) -> ResourceClass:
    """The resource; Http404 unless one may see its rows."""
    found = RESOURCES.get(name)
    if found is None or not may(caller(request), "view", found):
        raise Http404(f"There is no resource {name!r} that you may see.")
    return found


def _own_columns(resource: ResourceClass) -> list[str]:
    one = resource()
    plain = [name for name in resource.fields if name not in resource.extra_fields()]
    return [one.field_column(name).names[0] for name in plain]


def _exact(value: Any) -> Any:
    """A decimal number as text: as a number of JSON it could lose its last digits."""
    return str(value) if isinstance(value, Decimal) else value


def _by_parameter(error: ValidationError) -> dict[str, list[str]]:
    parts = error.message_dict if hasattr(error, "error_dict") else {"filters": error.messages}
    return {PARAMETER_OF.get(part, part): said for part, said in parts.items()}
