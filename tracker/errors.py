"""Pages for what went wrong: what happened, what it means, and what to do next."""

from __future__ import annotations

import sys
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

DATABASE_AWAY = (OperationalError, InterfaceError)


def _page(request: HttpRequest, status: int, title: str, text: str, **more: Any) -> HttpResponse:
    context = {"status": status, "title": title, "text": text, **more}
    return render(request, "tracker/error.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _page(
        request,
        400,
        "This address cannot be read",
        "The request was not understood. Go back, check what you entered and try again.",
    )


def bad_filters(request: HttpRequest, problems: list[str], valid: list[str]) -> HttpResponse:
    """The list was asked for with filters that do not exist or do not fit."""
    text = "The list was asked for with filters it cannot use, so it would not be what you expect."
    return _page(request, 400, "These filters do not exist", text, problems=problems, valid=valid)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    reason = str(exception or "") or "Your role does not allow this."
    help_text = "Ask an administrator if you need it for your work."
    return _page(request, 403, "You may not do this", f"{reason} {help_text}")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    text = "There is no such page, or nothing here that you may see. It may have been deleted."
    return _page(request, 404, "There is nothing here", text)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _page(
        request,
        403,
        "This form is out of date",
        "The form could not be checked, so nothing was done. Go back, load the page again and "
        "send it once more. Cookies must be allowed for this site.",
    )


def locked_out(
    request: HttpRequest, response: HttpResponse | None = None, credentials: Any = None
) -> HttpResponse:
    """Too many wrong passwords: said without telling whether the account exists."""
    return _page(
        request,
        429,
        "Too many attempts to log in",
        "Wait a quarter of an hour, then try again. Forgot the password? An administrator can "
        "set a new one.",
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Asks neither the session nor the database, which may be what is broken."""
    away = isinstance(sys.exc_info()[1], DATABASE_AWAY)
    status = 503 if away else 500
    text = render_to_string("tracker/500.html", {"status": status, "database_is_away": away})
    return HttpResponse(text, status=status, headers={"Retry-After": "5"} if away else {})
