"""What people ask of an execution: stop it, pause it, let it go on."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from jobs import control
from jobs.models import JobExecution
from jobs.permissions import require
from jobs.states import StopLevel
from tracker.access import signed_in
from tracker.queries.stop import StopPreview
from tracker.request import Request
from tracker.views.execution import find

LONGEST_REASON = 500


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: Request, pk: Any) -> HttpResponse:
    """The stop dialog; what it sends is carried out, and its receipt shown."""
    found = find(request, pk)
    require(request.user, "stop", found)
    if request.method == "POST":
        return _carry_out(request, found, _stop)
    preview = StopPreview(request.user, found, request.GET.get("level", ""))
    context = {"preview": preview, "execution": found, "next": request.GET.get("next", "")}
    return render(request, f"tracker/stop.html{'#dialog' if request.htmx else ''}", context)


def _stop(request: Request, found: JobExecution) -> str:
    level = request.POST.get("level") or "graceful"
    if level not in StopLevel.values:
        raise control.Refused(f"There is no level {level!r}.")
    reason = request.POST.get("reason", "").strip()[:LONGEST_REASON]
    stopped = control.stop(found, by=request.user, level=level, reason=reason)
    receipt = control.receipt(stopped)
    # What is still stopping has ended a moment later; its page then shows the receipt.
    said = receipt["text"] if receipt and stopped.is_finished else "Stop asked for."
    return f"“{found.name}”: {said}"


@signed_in
@require_POST
def abort(request: Request, pk: Any) -> HttpResponse:
    def force(request: Request, found: JobExecution) -> str:
        control.abort(found, by=request.user)
        return f"“{found.name}” is ended by force."

    return _carry_out(request, find(request, pk), force)


@signed_in
@require_POST
def pause(request: Request, pk: Any) -> HttpResponse:
    def ask(request: Request, found: JobExecution) -> str:
        paused = control.pause(found, by=request.user)
        waits = paused.status == "paused"
        return f"“{found.name}” {'is paused' if waits else 'pauses at its next checkpoint'}."

    return _carry_out(request, find(request, pk), ask)


@signed_in
@require_POST
def resume(request: Request, pk: Any) -> HttpResponse:
    def ask(request: Request, found: JobExecution) -> str:
        control.resume(found, by=request.user)
        return f"“{found.name}” goes on from its last checkpoint."

    return _carry_out(request, find(request, pk), ask)


@signed_in
@require_POST
def activate(request: Request, pk: Any) -> HttpResponse:
    def ask(request: Request, found: JobExecution) -> str:
        control.activate(found, by=request.user)
        return f"“{found.name}” is queued."

    return _carry_out(request, find(request, pk), ask)


def _carry_out(
    request: Request, found: JobExecution, ask: Callable[[Request, JobExecution], str]
) -> HttpResponseRedirect:
    """Ask, say what came of it, and go back to where it was asked from."""
    try:
        messages.success(request, ask(request, found))
    except (control.Refused, control.NotAllowed) as refused:
        messages.warning(request, str(refused))
    back = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure()):
        return redirect(back)
    return redirect(found)
