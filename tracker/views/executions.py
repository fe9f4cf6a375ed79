"""The Process Tracker's list."""

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from jobs.permissions import require
from tracker import errors, live
from tracker.access import signed_in
from tracker.queries.lists import ExecutionList, FilterError
from tracker.request import Request


@signed_in
@require_safe
def executions(request: Request) -> HttpResponse:
    require(request.user, "view_tracker")
    try:
        found = ExecutionList(request)
    except FilterError as bad:
        return errors.bad_filters(request, bad.problems, bad.valid)
    if live.is_unchanged(request, found.token):
        return HttpResponse(status=204)
    return live.show(
        request, "tracker/executions.html", {"list": found}, found.look.counts["unread"]
    )
