"""The door of every page: who is not signed in goes to the login, what is denied says why."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRefresh

from jobs.permissions import Denied
from tracker import errors
from tracker.request import Request

View = Callable[..., HttpResponseBase]


def signed_in(view: View) -> View:
    """Let only people in, and answer Denied with 404 or, where they may know of it, with 403."""

    @wraps(view)
    def checked(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_login(request)
        try:
            return view(request, *args, **kwargs)
        except Denied as denied:
            if not denied.decision.visible:
                raise Http404 from denied
            return errors.forbidden(request, denied)

    return never_cache(checked)


def _to_login(request: Request) -> HttpResponse:
    """A fragment cannot show the login: the browser loads its page anew and is sent there."""
    if request.htmx:
        return HttpResponseClientRefresh()
    return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")
