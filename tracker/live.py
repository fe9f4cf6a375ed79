"""Live parts: a page's partial, asked for again with `?since=` the token of what is shown."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from tracker.request import Request


def is_unchanged(request: Request, token: object) -> bool:
    """Whether the reader has the newest already: then the answer is 204, and nothing is swapped."""
    return bool(request.htmx) and request.GET.get("since") == str(token)


def show(request: Request, template: str, context: dict[str, Any]) -> HttpResponse:
    """The page, or only its live part when htmx asks for news."""
    context["here"] = _address_without_since(request)
    part = "#live" if request.htmx and "since" in request.GET else ""
    return render(request, template + part, context)


def _address_without_since(request: Request) -> str:
    """The page's own address, to which forms come back."""
    params = request.GET.copy()
    params.pop("since", None)
    return f"{request.path}?{params.urlencode()}" if params else request.path
