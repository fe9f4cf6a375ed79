"""Profiles: the list, and the page from which one is launched."""

import json
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from jobs import control
from jobs.models import JobExecution
from jobs.permissions import require, visible_notifications, visible_profiles
from tracker import live
from tracker.access import signed_in
from tracker.corrections import FORMATS
from tracker.forms import RunForm, SavedForm
from tracker.mapping import is_mapped
from tracker.queries import profiles as queries
from tracker.queries.look import look
from tracker.request import Request

PAGE_SIZE = 50
TITLES = {"": "Profiles", "import": "Imports", "export": "Exports"}


@signed_in
@require_safe
def profiles(request: Request, kind: str = "") -> HttpResponse:
    require(request.user, "view_tracker")
    text = request.GET.get("find", "").strip()
    found = queries.find(request.user, kind, text)
    unread = visible_notifications(request.user).unread()
    counts = look({"profiles": found, "unread": unread}, {}).counts
    paginator = Paginator(queries.with_newest(request.user, found), PAGE_SIZE)
    paginator.count = counts["profiles"].value  # asked together with what the bell counts
    page = paginator.get_page(request.GET.get("page"))
    context = {
        "title": TITLES[kind],
        "kind": kind,
        "find": text,
        "page": page,
        "unread": counts["unread"],
        "lines": queries.lines(request.user, list(page)),
    }
    return render(request, "tracker/profiles.html", context)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: Request, code: str) -> HttpResponse:
    found = get_object_or_404(visible_profiles(request.user).prefetch_related("grants"), code=code)
    page = queries.ProfilePage(request.user, found)
    if request.method == "POST":
        return _launch(request, page)
    if live.is_unchanged(request, page.token):
        return HttpResponse(status=204)
    return live.show(request, "tracker/profile.html", _context(request, page))


def _launch(request: Request, page: queries.ProfilePage) -> HttpResponse:
    require(request.user, "launch", page.profile)
    context = _context(request, page)
    try:
        if "_look" in request.POST:
            return _look_first(request, page, context)
        launched = context["run"].launch(request.user)
    except control.Refused as refused:
        messages.error(request, str(refused))
        return go_to(request, page.profile.get_absolute_url())
    if launched is None:
        return _with_errors(request, context)
    announce(request, launched)
    return go_to(request, launched.get_absolute_url())


def _look_first(
    request: Request, page: queries.ProfilePage, context: dict[str, Any]
) -> HttpResponse:
    """Keep the file, and show what is in it with the parameters as they were chosen."""
    upload = context["run"].take_file(request.user)
    if upload is None:
        return _with_errors(request, context)
    address = reverse("tracker:mapping", args=[page.profile.code, upload.pk])
    changed = json.dumps(context["run"].changed, cls=DjangoJSONEncoder)
    return go_to(request, f"{address}?{urlencode({'with': changed})}")


def _with_errors(request: Request, context: dict[str, Any]) -> HttpResponse:
    part = "#form" if request.htmx else ""
    status = 200 if request.htmx else 422
    return render(request, f"tracker/profile.html{part}", context, status=status)


def _context(request: Request, page: queries.ProfilePage) -> dict[str, Any]:
    origin = request.build_absolute_uri("/").rstrip("/")
    return {
        "page": page,
        "profile": page.profile,
        "run": RunForm(page.profile, request),
        "is_mapped": is_mapped(page.profile),
        "templates": FORMATS,
        "curl": queries.curl(page.profile, origin),
        "command_line": queries.command_line(page.profile),
    }


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def change_profile(request: Request, code: str) -> HttpResponse:
    """The parameters that a profile keeps for every launch."""
    found = get_object_or_404(visible_profiles(request.user), code=code)
    require(request.user, "edit", found)
    saved = SavedForm(found, request)
    if request.method == "POST" and saved.save():
        messages.success(request, f"“{found.label}” is saved. Its next launch takes it so.")
        return redirect(found)
    context = {"profile": found, "saved": saved}
    status = 422 if request.method == "POST" else 200
    return render(request, "tracker/profile_form.html", context, status=status)


def announce(request: Request, launched: JobExecution) -> None:
    """Say that it started, on its own page, with the way to everything else that runs."""
    if launched.skipped:
        messages.warning(request, "Nothing was launched: this one is open, and no more may be.")
        return
    tracker = reverse("tracker:executions")
    text = '“{}” started. <a href="{}">Show it in the Process Tracker</a>'
    messages.success(request, format_html(text, launched.name, tracker))


def go_to(request: Request, address: str) -> HttpResponse:
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)
