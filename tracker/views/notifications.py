"""What one has been told: the page behind the bell. Only one's own, whoever one is."""

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from jobs.permissions import require, visible_notifications
from tracker.access import signed_in
from tracker.queries.notifications import NotificationList
from tracker.request import Request


@signed_in
@require_safe
def notifications(request: Request) -> HttpResponse:
    require(request.user, "view_tracker")
    before = request.GET.get("before")
    if before is not None and not (before.isdecimal() and len(before) <= 18):
        raise Http404
    found = NotificationList(request.user, int(before) if before else None)
    return render(request, "tracker/notifications.html", {"list": found})


@signed_in
@require_POST
def read(request: Request, pk: int) -> HttpResponse:
    found = get_object_or_404(visible_notifications(request.user), pk=pk)
    visible_notifications(request.user).filter(pk=found.pk).mark_read()
    return redirect("tracker:notifications")


@signed_in
@require_POST
def acknowledge(request: Request, pk: int) -> HttpResponse:
    found = get_object_or_404(visible_notifications(request.user), pk=pk)
    visible_notifications(request.user).filter(pk=found.pk).acknowledge()
    return redirect("tracker:notifications")


@signed_in
@require_POST
def read_all(request: Request) -> HttpResponse:
    visible_notifications(request.user).mark_read()
    return redirect("tracker:notifications")
