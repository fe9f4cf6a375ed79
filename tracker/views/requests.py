"""What people ask of an execution: stop it, pause it, let it go on."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from jobs import control
from jobs.models import JobExecution, JobProfile
from jobs.permissions import require, visible_profiles
from jobs.states import Status, StopLevel
from tracker.access import signed_in
from tracker.queries.stop import ProfileStopPreview, StopPreview
from tracker.request import Request
from tracker.views.execution import find

LONGEST_REASON = 500
AGAIN: dict[str, tuple[Callable[..., JobExecution], str]] = {
    "continue": (control.continue_, "“{}” goes on here, in a new execution."),
    "relaunch": (control.relaunch, "“{}” is launched again."),
    "for_real": (control.run_for_real, "“{}” runs for real here: it writes."),
    "retry_failed": (control.retry_failed, "“{}” takes up its failed rows here."),
}


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
    scope, _, step = request.POST.get("scope", "").partition(":")
    if scope == "profile" and found.profile:
        return stop_all(request, found.profile, level=level, reason=reason)
    if scope == "step":
        stopped = control.stop_step(found, step, by=request.user, level=level, reason=reason)
        if stopped.status == Status.RUNNING:
            return f"“{found.name}” goes on without its step."
    else:
        stopped = control.stop(found, by=request.user, level=level, reason=reason)
    receipt = control.receipt(stopped)
    # What is still stopping has ended a moment later; its page then shows the receipt.
    said = receipt["text"] if receipt and stopped.is_finished else "Stop asked for."
    return f"“{found.name}”: {said}"


def stop_all(request: Request, profile: JobProfile, *, level: str, reason: str) -> str:
    """Stop all open executions of a profile; what came of it, in a sentence or two."""
    scope = control.Scope(kind="profile", id=profile.code)
    results = control.stop_all(scope, by=request.user, level=level, reason=reason)
    refused = [result.text for result in results if not result.asked]
    said = f"{len(results) - len(refused):,} executions of “{profile.label}” asked to stop."
    if refused:
        said += f" {len(refused):,} left out: {refused[0]}"
    return said


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def stop_profile(request: Request, code: str) -> HttpResponse:
    """The dialog that says what would be stopped of a profile; what it sends is carried out."""
    found = get_object_or_404(visible_profiles(request.user), code=code)
    require(request.user, "stop_execution")
    if request.method == "POST":
        return _carry_out(request, found, _stop_profile)
    context = {"preview": ProfileStopPreview(request.user, found), "profile": found}
    return render(request, f"tracker/stop_all.html{'#dialog' if request.htmx else ''}", context)


def _stop_profile(request: Request, found: JobProfile) -> str:
    level = request.POST.get("level") or "graceful"
    if level not in StopLevel.values:
        raise control.Refused(f"There is no level {level!r}.")
    reason = request.POST.get("reason", "").strip()[:LONGEST_REASON]
    return stop_all(request, found, level=level, reason=reason)


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


@signed_in
@require_POST
def again(request: Request, pk: Any, ask: str) -> HttpResponse:
    """Continue it, launch it again or retry its failed rows: the new execution is shown."""
    found = find(request, pk)
    launch, said = AGAIN[ask]
    try:
        made = launch(found, by=request.user)
    except (control.Refused, control.NotAllowed, control.InvalidParameters) as refused:
        messages.warning(request, str(refused))
        return redirect(found)
    messages.success(request, said.format(made.name))
    return redirect(made)


def _carry_out(
    request: Request, found: Any, ask: Callable[[Request, Any], str]
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
