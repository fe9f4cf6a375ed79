"""Credentials: the list, and the page on which one is made, changed and tested."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs import control
from jobs.models import Credential
from jobs.permissions import require
from jobs.places import KINDS, folders
from tracker.access import signed_in
from tracker.credential_form import CredentialForm
from tracker.request import Request

PAGE_SIZE = 50


def find(request: Request, name: str) -> Credential:
    """The credential, for those who may keep them."""
    require(request.user, "manage_credentials")
    return get_object_or_404(Credential.objects.select_related("changed_by"), name=name)


@signed_in
@require_safe
def credentials(request: Request) -> HttpResponse:
    require(request.user, "manage_credentials")
    found = Paginator(Credential.objects.select_related("changed_by"), PAGE_SIZE)
    page = found.get_page(request.GET.get("page"))
    context = {"page": page, "kinds": KINDS.items(), "folders": folders().items()}
    return render(request, "tracker/credentials.html", context)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def new_credential(request: Request, kind: str) -> HttpResponse:
    require(request.user, "manage_credentials")
    if kind not in KINDS:
        raise Http404
    return _edit(request, Credential(kind=kind))


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def credential(request: Request, name: str) -> HttpResponse:
    return _edit(request, find(request, name))


def _edit(request: Request, found: Credential) -> HttpResponse:
    form = CredentialForm(found, request.user, request.POST or None)
    if request.method == "POST" and form.keep():
        messages.success(request, f"“{found.name}” is saved.")
        return redirect("tracker:credential", found.name)
    context = {"form": form, "credential": found, "kind": KINDS[found.kind]}
    status = 422 if request.method == "POST" else 200
    return render(request, "tracker/credential.html", context, status=status)


@signed_in
@require_POST
def test_credential(request: Request, name: str) -> HttpResponse:
    tried = control.try_connection(find(request, name), by=request.user)
    say = messages.success if tried.ok else messages.error
    say(request, tried.said)
    return redirect("tracker:credential", name)


@signed_in
@require_POST
def delete_credential(request: Request, name: str) -> HttpResponse:
    try:
        control.delete_credential(find(request, name), by=request.user)
    except control.Refused as refused:
        messages.error(request, str(refused))
        return redirect("tracker:credential", name)
    messages.success(request, f"“{name}” is deleted.")
    return redirect("tracker:credentials")
