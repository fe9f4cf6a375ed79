"""The undo of what an execution changed: shown first, then launched."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from jobs import control
from jobs.permissions import require
from tracker.access import signed_in
from tracker.queries.undo import UndoDialog
from tracker.request import Request
from tracker.views.execution import find


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def undo(request: Request, pk: Any) -> HttpResponse:
    found = find(request, pk)
    require(request.user, "view_contents", found)
    chain = bool((request.POST if request.method == "POST" else request.GET).get("chain"))
    if request.method == "POST":
        return _carry_out(request, found, chain=chain)
    context = {"execution": found, "undo": UndoDialog(request.user, found, chain=chain)}
    return render(request, "tracker/undo.html", context)


def _carry_out(request: Request, found: Any, *, chain: bool) -> HttpResponse:
    require(request.user, "undo", found)
    try:
        made = control.undo(found, by=request.user, chain=chain)
    except (control.Refused, control.NotAllowed) as refused:
        messages.warning(request, str(refused))
        return redirect(found)
    messages.success(request, f"“{found.name}” is being undone here.")
    return redirect(made)
