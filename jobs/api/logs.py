"""What a job wrote, by byte offsets: one cursor for what is there and for what is still coming."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.base import ApiView, caller, number
from jobs.api.executions import find
from jobs.api.openapi import described, query
from jobs.api.problems import BadQuery
from jobs.console import MOST_BYTES, TAIL_BYTES, Console
from jobs.models import ConsoleText
from jobs.permissions import require

FEWEST_BYTES = 4  # the longest character of UTF-8
FARTHEST = 2**62

LEVELS = ("debug", "info", "warning", "error", "critical")
# How an entry of the debug log begins; further lines, as of a traceback, belong to it.
ENTRY = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?P<level>[A-Z]+) ", re.MULTILINE)


class LogSerializer(serializers.Serializer):
    """A stretch of a log."""

    offset = serializers.IntegerField(help_text="Where the text begins, in bytes")
    next_offset = serializers.IntegerField(help_text="Ask for this next")
    size = serializers.IntegerField(help_text="How many bytes there are by now")
    complete = serializers.BooleanField(help_text="Nothing follows, now or later")
    text = serializers.CharField()


class LogView(ApiView):
    """The console of an execution, or its debug log."""

    query_parameters = ("offset", "limit", "stream", "level")

    @described(
        "executions_log",
        "Read the log",
        {200: LogSerializer},
        parameters=[
            query("offset", "First byte; negative: from the end", OpenApiTypes.INT, default=0),
            query("limit", "Bytes, at most 1 MiB", OpenApiTypes.INT, default=TAIL_BYTES),
            query("stream", "Which log", enum=ConsoleText.Stream.values, default="console"),
            query("level", "Only debug entries of this level or above", enum=LEVELS),
        ],
        description="To follow a running job, ask for `next_offset` until `complete` is true.",
    )
    def get(self, request: Request, execution_id: UUID) -> Response:
        stream = _one_of(request, "stream", ConsoleText.Stream.values, "console")
        level = _one_of(request, "level", list(LEVELS), "debug")
        offset = number(request, "offset", 0, -FARTHEST, FARTHEST)
        limit = number(request, "limit", TAIL_BYTES, FEWEST_BYTES, MOST_BYTES)
        execution = find(caller(request), execution_id)
        action = "view_debug_log" if stream == ConsoleText.Stream.DEBUG else "view_contents"
        require(caller(request), action, execution)
        piece = Console(execution, stream).read(offset, limit)
        if stream == ConsoleText.Stream.DEBUG and level != "debug":
            piece = replace(piece, text=at_least(level, piece.text))
        return Response(asdict(piece))


def _one_of(request: Request, name: str, words: list[str], default: str) -> str:
    given = request.query_params.get(name) or default
    if given not in words:
        raise BadQuery({name: [f"{name!r} is {given!r}; it is one of {', '.join(words)}."]})
    return given


def at_least(level: str, text: str) -> str:
    """The entries of a debug log of this level or above, with their further lines."""
    wanted = {name.upper() for name in LEVELS[LEVELS.index(level) :]}
    entries = list(ENTRY.finditer(text))
    kept = [text[: entries[0].start()] if entries else text]  # the end of an entry cut before
    for entry, following in zip(entries, [*entries[1:], None], strict=True):
        if entry["level"] in wanted:
            kept.append(text[entry.start() : following.start() if following else None])
    return "".join(kept)
