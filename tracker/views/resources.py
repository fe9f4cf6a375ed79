"""The data: the resources, the grid of one's rows, and what is done with the rows chosen there."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs import control
from jobs.conditions import Condition
from jobs.models import JobProfile
from jobs.permissions import Denied, require
from jobs.resources import RESOURCES, ResourceClass
from jobs.selection_query import names
from tracker.access import signed_in
from tracker.forms import RunForm, once
from tracker.queries import resources as queries
from tracker.queries.grid import Grid
from tracker.request import Request

KEPT = "columns"  # in the session: the columns that this person chose, by resource


@signed_in
@require_safe
def resources(request: Request) -> HttpResponse:
    require(request.user, "view_tracker")
    return render(request, "tracker/resources.html", {"lines": queries.lines(request.user)})


def find(request: Request, name: str) -> ResourceClass:
    """The resource, if this person may see its rows; otherwise there is none."""
    found = RESOURCES.get(name)
    if found is None:
        raise Http404(f"There is no resource {name!r}.")
    require(request.user, "view", found)
    return found


@signed_in
@require_safe
def rows(request: Request, name: str) -> HttpResponse:
    resource = find(request, name)
    grid = Grid(request.user, resource, request.GET, _columns(request, resource))
    if grid.address_with_filter:
        return redirect(request.path + grid.address_with_filter)
    context = {
        "grid": grid,
        "imports": queries.launching(request.user, resource, "import"),
        "exports": queries.launching(request.user, resource, "export"),
        "formats": queries.formats(resource),
        "once": once(request),
    }
    return render(request, "tracker/grid.html", context, status=200 if grid.page else 400)


def _columns(request: Request, resource: ResourceClass) -> list[str]:
    """The columns of the address, kept for the next visit; else those of the visit before."""
    kept = dict(request.session.get(KEPT, {}))
    if "columns" in request.GET:
        chosen = list(names(request.GET.getlist("columns")))
        if chosen != kept.get(resource.name, []):
            request.session[KEPT] = kept | {resource.name: chosen}
        return chosen
    return list(kept.get(resource.name, ()))


@signed_in
@require_POST
def export_rows(request: Request, name: str) -> HttpResponse:
    """Launch an export of the rows that are ticked, or of all that match, as they are meant now."""
    resource = find(request, name)
    query = QueryDict(request.POST.get("query", ""))
    back = redirect(f"{request.path.removesuffix('export/')}?{query.urlencode()}")
    ticked = request.POST.getlist("row")
    if request.POST.get("scope") != "all" and not ticked:
        messages.warning(request, "No row is ticked. Tick some, or export all that match.")
        return back
    grid = Grid(request.user, resource, query, _columns(request, resource))
    if grid.problems:
        messages.error(request, " ".join(grid.problems))
        return back
    only = None if request.POST.get("scope") == "all" else Condition("pk", "in", ticked)
    _launch(
        request, resource, grid.parameters(only, all_columns=request.POST.get("columns") == "all")
    )
    return back


def _launch(request: Request, resource: ResourceClass, parameters: dict[str, Any]) -> None:
    try:
        launched = control.launch(
            job=f"{resource.name}.export",
            parameters=parameters | {"format": request.POST.get("format", "csv")},
            user=request.user,
            trigger="web",
            idempotency_key=f"web-{once(request)}",
        )
    except (control.Refused, control.InvalidParameters) as refused:
        messages.error(request, str(refused))
        return
    text = '“{}” started. <a href="{}">Follow</a>'
    messages.success(request, format_html(text, launched.name, launched.get_absolute_url()))


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def import_rows(request: Request, name: str) -> HttpResponse:
    """Import a file: by the profile that there is for it, or without one."""
    resource = find(request, name)
    decision = queries.launching(request.user, resource, "import")
    if not decision:
        raise Denied(decision)
    profiles = queries.import_profiles(request.user, resource)
    if len(profiles) == 1:
        return redirect(f"{profiles[0].get_absolute_url()}#run")
    run = RunForm(JobProfile(job=f"{resource.name}.import"), request)
    if request.method == "POST" and (address := _imported(request, run)):
        return redirect(address)
    context = {"label": queries.label_of(resource), "resource": resource, "run": run}
    status = 422 if request.method == "POST" else 200
    return render(request, "tracker/import.html", context | {"profiles": profiles}, status=status)


def _imported(request: Request, run: RunForm) -> str:
    """The address of the import that was launched, or nothing: the form says why."""
    try:
        launched = run.launch(request.user)
    except control.Refused as refused:
        messages.error(request, str(refused))
        return request.path
    if launched:
        messages.success(request, f"“{launched.name}” started.")
    return launched.get_absolute_url() if launched else ""
