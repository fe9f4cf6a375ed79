"""Live parts: a page's partial, asked for again with `?since=` the token of what is shown."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from tracker.queries.look import Count
from tracker.request import Request


def is_unchanged(request: Request, token: object) -> bool:
    """Whether the reader has the newest already: then the answer is 204, and nothing is swapped."""
    return bool(request.htmx) and request.GET.get("since") == str(token)


def show(
    request: Request, template: str, context: dict[str, Any], unread: Count | None = None
) -> HttpResponse:
    """The page, or only its live part and the bell when htmx asks for news.

    `unread` is what the bell counts, where the page has counted it already.
    """
    context["unread"] = unread
    context["here"] = _address_without_since(request)
    if not (request.htmx and "since" in request.GET):
        return render(request, template, context)
    answer = render(request, f"{template}#live", context)
    answer.write(render_to_string("tracker/bell.html", {"unread": unread, "oob": True}, request))
    return answer


def _address_without_since(request: Request) -> str:
    """The page's own address, to which forms come back."""
    params = request.GET.copy()
    params.pop("since", None)
    return f"{request.path}?{params.urlencode()}" if params else request.path
