"""Import… and Export… in Django's admin, for a model that a resource describes.

from jobs.resource_admin import ResourceAdmin

@admin.register(Product)
class ProductAdmin(ResourceAdmin):
    ...
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from jobs import control
from jobs.conditions import MOST, Condition
from jobs.definition import REGISTRY, JobClass
from jobs.permissions import may
from jobs.resources import RESOURCES, ResourceClass
from jobs.selection import Selection

ACTION = "export_rows"
NO_FILTERS = frozenset({ORDER_VAR, PAGE_VAR})  # of what the address of a list may say


class ResourceAdmin(admin.ModelAdmin):
    """A ModelAdmin whose list has Import… and Export…, for those who may launch these jobs.

    `resource` is the first resource of the model unless it is said here. What is exported are the
    rows of the list, with its own queryset, its filters and its search, as they are at that moment.
    """

    resource: ClassVar[ResourceClass | None] = None
    change_list_template = "admin/jobs/resource_change_list.html"

    def resource_of_model(self) -> ResourceClass | None:
        found = (each for each in RESOURCES.values() if each.model is self.model)
        return self.resource or next(found, None)

    def get_urls(self) -> list[URLPattern]:
        wrapped = self.admin_site.admin_view(self.export_view)
        return [path("export-rows/", wrapped, name=self._export_name()), *super().get_urls()]

    def _export_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_export_rows"

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        if self.actions is not None and self._may_launch(request, "export"):
            said = "Export selected %(verbose_name_plural)s…"
            actions[ACTION] = (type(self).export_selected, ACTION, said)  # type: ignore[assignment] # Django's stubs want a text of what is an answer
        return actions

    def export_selected(self, request: HttpRequest, rows: QuerySet) -> HttpResponse:
        """Ask how the selected rows are to be exported."""
        if request.POST.get("select_across") == "1":
            return HttpResponseRedirect(self._export_address(request))
        return self._ask(request, rows, request.POST.getlist(ACTION_CHECKBOX_NAME))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        ways: dict[str, str] = {}
        resource = self.resource_of_model()
        if resource and self._may_launch(request, "import"):
            ways["import_address"] = reverse("tracker:resource_import", args=[resource.name])
        if resource and self._may_launch(request, "export"):
            ways["export_address"] = self._export_address(request)
        return super().changelist_view(request, {**ways, **(extra_context or {})})

    def _export_address(self, request: HttpRequest) -> str:
        address = reverse(f"{self.admin_site.name}:{self._export_name()}")
        return f"{address}?{request.GET.urlencode()}" if request.GET else address

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """Ask how the rows of the list are to be exported; when that is said, launch it."""
        if not (self._may_launch(request, "export") and self.has_view_permission(request)):
            raise PermissionDenied
        try:
            rows = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(self._list_address(request))
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        rows = rows.filter(pk__in=chosen) if chosen else rows
        if request.method == "POST":
            return self._launch(request, rows)
        return self._ask(request, rows, chosen)

    def _ask(self, request: HttpRequest, rows: QuerySet, chosen: list[str]) -> HttpResponse:
        job = self._job("export")
        context = self.admin_site.each_context(request) | {
            "title": f"Export {self.opts.verbose_name_plural}",
            "opts": self.opts,
            "count": rows.order_by().count(),
            "problem": self._problem(request, rows),
            "chosen": chosen,
            "checkbox": ACTION_CHECKBOX_NAME,
            "form": job.Parameters() if job else None,
            "address": self._export_address(request),
            "back": self._list_address(request),
            "grid": reverse("tracker:resource", args=[self._name()]),
        }
        return TemplateResponse(request, "admin/jobs/export.html", context)

    def _problem(self, request: HttpRequest, rows: QuerySet) -> str:
        """Why these rows cannot be exported, if so."""
        try:
            self._frozen(request, rows)
        except NotNameable as error:
            return str(error)
        return ""

    def _list_address(self, request: HttpRequest) -> str:
        names = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        address = reverse(f"{self.admin_site.name}:{names}")
        return f"{address}?{request.GET.urlencode()}" if request.GET else address

    def _launch(self, request: HttpRequest, rows: QuerySet) -> HttpResponse:
        given = {name: request.POST[name] for name in ("format", "header") if name in request.POST}
        try:
            launched = control.launch(
                job=f"{self._name()}.export",
                parameters=self._frozen(request, rows).to_json() | given,
                user=cast("User", request.user),
                trigger="admin",
            )
        except (control.Refused, control.InvalidParameters, NotNameable) as refused:
            messages.error(request, str(refused))
        else:
            text = '“{}” started. <a href="{}">Follow</a>'
            told = format_html(text, launched.name, launched.get_absolute_url())
            messages.success(request, told)
        return HttpResponseRedirect(self._list_address(request))

    def _frozen(self, request: HttpRequest, rows: QuerySet) -> Selection:
        """These very rows, by their keys; very many by the filters of the list, or all there are.

        Raises NotNameable.
        """
        resource = self.resource_of_model()
        assert resource is not None
        if self._is_whole(rows):
            return Selection(resource=resource)
        keys = [str(key) for key in rows.order_by("pk").values_list("pk", flat=True)[: MOST + 1]]
        if 1 <= len(keys) <= MOST:
            return Selection(resource=resource, filters=(Condition("pk", "in", keys),))
        found = Selection(resource=resource, filters=filters_of(resource, request.GET))
        if not (keys and found.filters and found.queryset().count() == rows.order_by().count()):
            raise NotNameable(len(keys))
        return found

    def _is_whole(self, rows: QuerySet) -> bool:
        """Whether nothing narrows them."""
        query = rows.query
        return not (query.where or query.is_sliced or query.distinct or query.combinator)

    def _name(self) -> str:
        resource = self.resource_of_model()
        return resource.name if resource else ""

    def _job(self, verb: str) -> JobClass | None:
        return REGISTRY.get(f"{self._name()}.{verb}")

    def _may_launch(self, request: HttpRequest, verb: str) -> bool:
        job = self._job(verb)
        return job is not None and bool(may(cast("User", request.user), "launch", job))


class NotNameable(Exception):
    """There are no rows, or more than can be named one by one and by no filter."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"These are more than {MOST:,} rows, which cannot be named one by one. Narrow the "
            "list, drop its filters and search to export everything, or filter in the data grid."
            if count
            else "Nothing can be exported: there are no such rows."
        )


def filters_of(resource: ResourceClass, query: QueryDict) -> tuple[Condition, ...]:
    """The filters of a list as conditions; none where not each of them can be said so."""
    kept = [(name, str(value)) for name, value in query.items() if name not in NO_FILTERS]
    found = [_condition(resource, name, value) for name, value in kept]
    return tuple(each for each in found if each) if all(found) else ()


def _condition(resource: ResourceClass, name: str, value: str) -> Condition | None:
    """The condition of `enabled__exact=1`, of a choice, or of a related row by its key."""
    plain, _, rest = name.removesuffix("__exact").partition("__")
    if not name.endswith("__exact") or plain not in resource.fields:
        return None
    field: Any = resource.model._meta.get_field(plain)
    column = resource().field_column(plain).names[0]
    if isinstance(field, BooleanField) and not rest:
        return Condition(column, "is true" if value in {"1", "True"} else "is false")
    if field.choices and not rest:
        return Condition(column, "=", value)
    if field.many_to_one and rest == field.related_model._meta.pk.name:
        rows = field.related_model._default_manager.filter(pk=value)
        code = rows.values_list(resource.lookups[plain], flat=True).first()
        return Condition(column, "=", code) if code else None
    return None
