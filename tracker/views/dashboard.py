"""What a person sees first."""

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from jobs.permissions import require
from tracker import live
from tracker.access import signed_in
from tracker.queries.dashboard import Dashboard
from tracker.request import Request


@signed_in
@require_safe
def dashboard(request: Request) -> HttpResponse:
    require(request.user, "view_tracker")
    board = Dashboard(request.user, own=request.GET.get("whose") == "own")
    if live.is_unchanged(request, board.token):
        return HttpResponse(status=204)
    return live.show(
        request, "tracker/dashboard.html", {"board": board}, board.look.counts["unread"]
    )
