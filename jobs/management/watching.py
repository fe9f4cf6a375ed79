"""Subcommands that look: list, show, log; and following an execution to its end."""

from __future__ import annotations

import codecs
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import OutputWrapper
from django.http import QueryDict
from django.utils import timezone
from django.utils.timezone import localtime

from jobs.filters import ExecutionFilter, without_parts
from jobs.management.counting import counts, number_of_warnings, reasons
from jobs.management.finding import UsageError, find_execution
from jobs.models import ConsoleText, JobExecution
from jobs.permissions import visible_to
from jobs.waiting import waiting

FILTERS = ("group", "status", "type", "user", "job", "profile", "queue", "node", "search")
LOOK_SECONDS = 0.3
LAST_LINES_SECONDS = 10
# The exit status of a command that follows an execution.
EXIT = {
    "succeeded": 0,
    "warned": 2,
    "failed": 1,
    "stopped": 3,
    "aborted": 3,
    "timed_out": 4,
    "expired": 4,
    "lost": 5,
}


def follow(
    execution: JobExecution,
    out: OutputWrapper,
    say: OutputWrapper,
    stream: str = ConsoleText.Stream.CONSOLE,
) -> int:
    """Print the log as it grows, then how it ended; returns the exit status for that."""
    try:
        for text in _console(execution, stream, to_the_end=True):
            out.write(text, ending="")
            out.flush()
    except KeyboardInterrupt:
        say.write(f"No longer followed; it goes on. Stop it: manage.py jobs stop {execution.pk}")
        return 130
    execution.refresh_from_db()
    say.write(sentence(execution))
    return EXIT[execution.outcome or "failed"]


def _console(execution: JobExecution, stream: str, *, to_the_end: bool) -> Iterator[str]:
    """What it has written; `to_the_end` also what it writes until it has ended."""
    offset, decoder = 0, codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        execution.refresh_from_db()  # first, so that nothing is missed behind it
        pieces = execution.console.filter(stream=stream, offset__gte=offset).order_by("offset")
        for piece in pieces.iterator(chunk_size=100):
            offset = piece.offset + len(piece.text)
            yield decoder.decode(bytes(piece.text))
        if not to_the_end or _has_ended(execution):
            yield decoder.decode(b"", final=True)
            return
        time.sleep(LOOK_SECONDS)


def _has_ended(execution: JobExecution) -> bool:
    """Its last lines may come a moment after its end; those of a lost worker may never come."""
    if execution.finished_at is None:
        return False
    late = (timezone.now() - execution.finished_at).total_seconds() > LAST_LINES_SECONDS
    return late or not execution.console_open


def sentence(execution: JobExecution) -> str:
    """How it stands, in a line: status, counts, time, and the error."""
    said = f"“{execution.name}” is {execution.get_status_display().lower()}"
    said += f": {counts(execution.steps.all())}"
    if execution.warnings_count:
        said += f", {number_of_warnings(execution.warnings_count)}"
    if execution.running_time is not None:
        said += f", {execution.running_time.total_seconds():.1f} s"
    return f"{said}. {execution.error}".rstrip()


def add_list(parser: ArgumentParser) -> None:
    for name in FILTERS:
        action = "append" if name in {"group", "status", "type"} else "store"
        text = ExecutionFilter.base_filters[name].label
        parser.add_argument(f"--{name}", metavar="WORD", help=text, action=action)
    parser.add_argument("--limit", type=int, default=25, help="rows at most (default: 25)")


def list_executions(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """A line for each: id, status, when, who, name."""
    query = QueryDict(mutable=True)
    for name in FILTERS:
        given = options[name] or []
        query.setlist(name, given if isinstance(given, list) else [given])
    found = ExecutionFilter(query, queryset=without_parts(visible_to(None), query))
    if not found.is_valid():
        raise UsageError(" ".join(said for errors in found.errors.values() for said in errors))
    for row in found.qs.select_related("user").order_by("-pk")[: max(0, options["limit"])]:
        who = row.user.get_username() if row.user else "-"
        when = f"{localtime(row.created_at):%Y-%m-%d %H:%M:%S}"
        out.write(f"{row.pk}  {row.status:<9}  {when}  {who:<12}  {row.name}")
    return 0


def add_show(parser: ArgumentParser) -> None:
    parser.add_argument("execution", help="id of the execution")


def show(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """One execution with its steps, and why items were left out."""
    execution = find_execution(options["execution"], None)
    for name, value in _facts(execution).items():
        if value not in (None, ""):
            out.write(f"{name + ':':<10}{value}")
    for step in execution.steps.all():
        out.write(f"step:     {step} – {step.status}: {counts([step], of=step.total)}")
    for reason in reasons(execution):
        out.write(f"warning:  {reason}")
    return 0


def _facts(execution: JobExecution) -> dict[str, Any]:
    return {
        "id": execution.pk,
        "name": execution.name,
        "job": execution.job,
        "profile": execution.profile.code if execution.profile else None,
        "status": execution.status,
        "outcome": execution.outcome,
        "waits": getattr(waiting(execution), "text", None),
        "user": execution.user.get_username() if execution.user else None,
        "queue": execution.queue,
        "worker": execution.worker,
        "attempt": execution.attempt or None,
        "created": _moment(execution.created_at),
        "started": _moment(execution.started_at),
        "finished": _moment(execution.finished_at),
        "reason": execution.reason,
        "error": execution.error,
        "warnings": execution.warnings_count or None,
        "result": execution.result,
    }


def _moment(moment: Any) -> str | None:
    return moment and f"{localtime(moment):%Y-%m-%d %H:%M:%S %Z}"


def add_log(parser: ArgumentParser) -> None:
    add_show(parser)
    parser.add_argument("--follow", action="store_true", help="until it ends; exit as it ended")
    parser.add_argument("--debug", action="store_true", help="the debug log instead of the console")


def log(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Print its console, or its debug log; with --follow until it ends, exiting as it ended."""
    execution = find_execution(options["execution"], None)
    stream = ConsoleText.Stream.DEBUG if options["debug"] else ConsoleText.Stream.CONSOLE
    if options["follow"]:
        return follow(execution, out, say, stream)
    for text in _console(execution, stream, to_the_end=False):
        out.write(text, ending="")
    return 0
