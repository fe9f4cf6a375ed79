"""One execution: its page with tabs, its files, its log."""

from dataclasses import asdict
from typing import Any

from django.http import (
    Http404,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from jobs.console import Console
from jobs.models import ConsoleText, JobExecution
from jobs.permissions import require, visible_notifications, visible_to
from tracker import live
from tracker.access import signed_in
from tracker.corrections import RejectedFile
from tracker.queries import notifications, tabs
from tracker.queries.changes import Changes
from tracker.queries.execution import COUNTS, TABS, ExecutionPage, token
from tracker.queries.warnings import Rejected, Warnings
from tracker.request import Request

STREAM_RIGHTS: dict[str, str] = {
    ConsoleText.Stream.CONSOLE: "view_contents",
    ConsoleText.Stream.DEBUG: "view_debug_log",
}


def find(request: Request, pk: Any) -> JobExecution:
    """The execution, if this person may see it; otherwise there is none."""
    found = visible_to(request.user).select_related(
        "user", "profile", "stop_requested_by", "parent", "continues", "undoes"
    )
    found = found.annotate(**COUNTS)
    return get_object_or_404(found.prefetch_related("steps"), pk=pk)


@signed_in
@require_safe
def execution(request: Request, pk: Any) -> HttpResponse:
    tab = request.GET.get("tab", "summary")
    if tab not in TABS:
        raise Http404
    if "since" in request.GET:
        seen = visible_to(request.user).filter(pk=pk).values_list("status", "version").first()
        if seen and live.is_unchanged(request, token(*seen)):
            return HttpResponse(status=204)
    page = ExecutionPage(request.user, find(request, pk), tab)
    unread = notifications.unread(request.user)
    if unread and visible_notifications(request.user).filter(execution=pk).mark_read():
        unread = notifications.unread(request.user)
    context = {"page": page, "execution": page.execution, **TAB_CONTEXTS[tab](page, request)}
    return live.show(request, "tracker/execution.html", context, unread)


def _summary(page: ExecutionPage, request: Request) -> dict[str, Any]:
    tail = Console(page.execution).tail() if page.contents else None
    return {"summary": tabs.Summary(page.execution), "tail": tail}


def _children(page: ExecutionPage, request: Request) -> dict[str, Any]:
    children = visible_to(request.user).filter(parent=page.execution).order_by("partition", "pk")
    return {"children": tabs.children(request.user, children)}


def _warnings(page: ExecutionPage, request: Request) -> dict[str, Any]:
    require(request.user, "view_contents", page.execution)
    return {"warnings": Warnings(page.execution, request.GET)}


def _rows(page: ExecutionPage, request: Request) -> dict[str, Any]:
    require(request.user, "view_contents", page.execution)
    return {"changes": Changes(page.execution, request.GET)}


def _log(page: ExecutionPage, request: Request) -> dict[str, Any]:
    stream = "debug" if page.tab == "debug" else "console"
    require(request.user, STREAM_RIGHTS[stream], page.execution)
    return {"stream": stream, "piece": Console(page.execution, stream).tail()}


def _files(page: ExecutionPage, request: Request) -> dict[str, Any]:
    return {"files": page.files, "rejected": RejectedFile(request, page.execution)}


def _parameters(page: ExecutionPage, request: Request) -> dict[str, Any]:
    return {"parameters": tabs.parameters(page.execution)}


def _timeline(page: ExecutionPage, request: Request) -> dict[str, Any]:
    return {"history": tabs.history(page.execution), "turns": tabs.turns(page.execution)}


TAB_CONTEXTS = {
    "summary": _summary,
    "children": _children,
    "rows": _rows,
    "warnings": _warnings,
    "log": _log,
    "debug": _log,
    "files": _files,
    "parameters": _parameters,
    "timeline": _timeline,
}


@signed_in
@require_safe
def rejected_row(request: Request, pk: Any, row: int) -> HttpResponse:
    """A row as it stood in the file, beside what was wrong with it."""
    found = get_object_or_404(visible_to(request.user).select_related("profile"), pk=pk)
    require(request.user, "view_contents", found)
    kept = found.rejected_rows.filter(row=row).select_related("execution", "step").first()
    if kept is None:
        raise Http404
    context = {"execution": found, "rejected": Rejected(kept)}
    return render(request, f"tracker/rejected_row.html{'#dialog' if request.htmx else ''}", context)


@signed_in
@require_safe
def log(request: Request, pk: Any) -> HttpResponse:
    """A piece of the log as JSON, from `offset` on: what a page appends while it is open."""
    found, stream = _stream(request, pk)
    offset = request.GET.get("offset", "0")
    if not offset.isdecimal() or len(offset) > 18:
        raise Http404
    piece = Console(found, stream).read(int(offset))
    return JsonResponse(asdict(piece))


@signed_in
@require_safe
def log_file(request: Request, pk: Any) -> StreamingHttpResponse:
    """The whole log as a download."""
    found, stream = _stream(request, pk)
    text = Console(found, stream).everything()
    response = StreamingHttpResponse(text, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{stream}-{found.pk}.txt"'
    return response


def _stream(request: Request, pk: Any) -> tuple[JobExecution, str]:
    """The execution and the stream that is asked for; raises Denied."""
    found = get_object_or_404(visible_to(request.user).select_related("profile"), pk=pk)
    stream = request.GET.get("stream", "console")
    if stream not in STREAM_RIGHTS:
        raise Http404
    require(request.user, STREAM_RIGHTS[stream], found)
    return found, stream
