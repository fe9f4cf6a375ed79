"""Workers and queues: drain, pause, maintenance."""

from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs import control
from jobs.control.fleet import Fleet
from jobs.control.operations import RIGHT
from jobs.permissions import require
from tracker import live
from tracker.access import signed_in
from tracker.queries.workers import WorkersPage
from tracker.request import Request

LONGEST_REASON = 500


@signed_in
@require_safe
def workers(request: Request) -> HttpResponse:
    require(request.user, RIGHT)
    page = WorkersPage()
    if live.is_unchanged(request, page.token):
        return HttpResponse(status=204)
    return live.show(request, "tracker/workers.html", {"page": page})


@signed_in
@require_POST
def drain(request: Request, name: str) -> HttpResponse:
    def ask() -> str:
        _exists(control.drain([name], by=request.user), f"worker {name!r}")
        return f"{name} drains: it hands over its jobs at their next checkpoints."

    return _carry_out(request, ask)


@signed_in
@require_POST
def undrain(request: Request, name: str) -> HttpResponse:
    def ask() -> str:
        _exists(control.undrain([name], by=request.user), f"worker {name!r}")
        return f"{name} takes jobs again."

    return _carry_out(request, ask)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def pause_queue(request: Request, name: str) -> HttpResponse:
    """The dialog that asks for the reason; what it sends is carried out."""
    require(request.user, RIGHT)
    _exists(Fleet().queue(name), f"queue {name!r}")
    if request.method != "POST":
        return _dialog(request, "tracker/workers/pause.html", name=name)

    def ask() -> str:
        control.pause_queue(name, by=request.user, reason=_reason(request))
        return f"The queue “{name}” is paused; what runs goes on."

    return _carry_out(request, ask)


@signed_in
@require_POST
def resume_queue(request: Request, name: str) -> HttpResponse:
    def ask() -> str:
        control.resume_queue(name, by=request.user)
        return f"The queue “{name}” is resumed."

    return _carry_out(request, ask)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def begin_maintenance(request: Request) -> HttpResponse:
    """The dialog that asks for the reason; what it sends is carried out."""
    require(request.user, RIGHT)
    if request.method != "POST":
        return _dialog(request, "tracker/workers/maintenance.html", found=control.maintenance())

    def ask() -> str:
        refuses = request.POST.get("refuses_launches") == "on"
        control.begin_maintenance(_reason(request), refuses_launches=refuses, by=request.user)
        return "Nothing is started any more; what runs goes on."

    return _carry_out(request, ask)


@signed_in
@require_POST
def end_maintenance(request: Request) -> HttpResponse:
    def ask() -> str:
        control.end_maintenance(by=request.user)
        return "The maintenance has ended; what waits is started."

    return _carry_out(request, ask)


def _reason(request: Request) -> str:
    return request.POST.get("reason", "").strip()[:LONGEST_REASON]


def _exists(found: object, what: str) -> None:
    if not found:
        raise Http404(f"There is no {what}.")


def _dialog(request: Request, template: str, **context: object) -> HttpResponse:
    return render(request, f"{template}{'#dialog' if request.htmx else ''}", context)


def _carry_out(request: Request, ask: Callable[[], str]) -> HttpResponseRedirect:
    """Ask, say what came of it, and go back to the page."""
    try:
        messages.success(request, ask())
    except control.Refused as refused:
        messages.warning(request, str(refused))
    return redirect("tracker:workers")
