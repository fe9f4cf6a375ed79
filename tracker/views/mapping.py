"""A file that was sent, before it is imported: looked at, its columns led to others."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from jobs import control
from jobs.models import Upload
from jobs.permissions import may, require, visible_profiles
from tracker.access import signed_in
from tracker.mapping import MappingPage, is_mapped
from tracker.request import Request
from tracker.views.profiles import announce


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def mapping(request: Request, code: str, upload: Any) -> HttpResponse:
    profile = get_object_or_404(visible_profiles(request.user), code=code)
    require(request.user, "launch", profile)
    file = get_object_or_404(Upload, pk=upload)
    if not (is_mapped(profile) and may(request.user, "view", file)):
        raise Http404
    page = MappingPage(profile, file, request)
    wish = request.POST.get("_do", "run") if request.method == "POST" else "look"
    if wish == "save":
        return _save(request, page)
    if wish == "run":
        return _run(request, page)
    return _show(request, page)


def _show(request: Request, page: MappingPage, status: int = 200) -> HttpResponse:
    context = {"page": page, "profile": page.profile}
    return render(request, "tracker/mapping.html", context, status=status)


def _save(request: Request, page: MappingPage) -> HttpResponse:
    require(request.user, "edit", page.profile)
    if not page.save():
        return _show(request, page, 422)
    messages.success(request, f"Saved in “{page.profile.label}”. Its next launch takes it so.")
    return redirect("tracker:mapping", page.profile.code, page.upload.pk)


def _run(request: Request, page: MappingPage) -> HttpResponse:
    try:
        launched = page.launch()
    except control.Refused as refused:
        messages.error(request, str(refused))
        return redirect(page.profile)
    if launched is None:
        return _show(request, page, 422)
    announce(request, launched)
    return redirect(launched)
