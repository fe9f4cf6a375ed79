"""The page “Invariants” of the admin: what a controller found last, and the button that repairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from jobs.invariants import INVARIANTS, Invariant, look_and_keep
from jobs.models import InvariantCheck
from jobs.permissions import Denied, may, visible_to
from jobs.repairs import repair


@dataclass(frozen=True, slots=True)
class Row:
    """An invariant with what was found."""

    invariant: Invariant
    count: int
    examples: list[dict[str, Any]]
    unchecked: str


class InvariantsAdmin(admin.ModelAdmin):
    """One page in the place of a list of rows."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, *_: Any) -> bool:
        return bool(may(request.user, "operate_queues"))

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        """The page, and what its buttons ask for."""
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="jobs_invariantcheck_changelist"),
            path("look/", wrap(require_POST(self.look_now)), name="jobs_invariantcheck_look"),
            path(
                "<slug:code>/repair/",
                wrap(require_POST(self.repair_one)),
                name="jobs_invariantcheck_repair",
            ),
        ]

    def changelist_view(self, request: HttpRequest, *_: Any) -> TemplateResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        kept = InvariantCheck.objects.filter(pk=1).exclude(checked_at=None).first()
        context = self.admin_site.each_context(request) | {
            "title": "Invariants",
            "kept": kept,
            "rows": _rows(kept, request) if kept else [],
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/jobs/invariants.html", context)

    def look_now(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        look_and_keep()
        return self._back()

    def repair_one(self, request: HttpRequest, code: str) -> HttpResponse:
        invariant = INVARIANTS.get(code)
        if invariant is None or not invariant.repair:
            raise Http404
        try:
            tried = repair(invariant, by=cast("User", request.user))
        except Denied as error:
            raise PermissionDenied(str(error)) from error
        left = look_and_keep().found.get(code, {}).get("count", 0)
        said = f"{invariant.sentence} {tried} found, {left} left after the repair."
        messages.add_message(request, messages.WARNING if left else messages.SUCCESS, said)
        return self._back()

    def _back(self) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:jobs_invariantcheck_changelist"))


def _rows(kept: InvariantCheck, request: HttpRequest) -> list[Row]:
    """Those that are violated first. One query more: the names of executions that one may see."""
    found = kept.found
    examples = [example for each in found.values() for example in each["examples"]]
    ids = {example["execution"] for example in examples if example["execution"]}
    seen = visible_to(request.user).only("name").filter(pk__in=ids)
    names = {str(row.pk): row for row in seen}
    rows = [
        Row(
            invariant,
            found.get(code, {}).get("count", 0),
            [
                example | {"row": names.get(example["execution"])}
                for example in found.get(code, {}).get("examples", ())
            ],
            kept.unchecked.get(code, ""),
        )
        for code, invariant in INVARIANTS.items()
    ]
    return sorted(rows, key=lambda row: not (row.count or row.unchecked))
