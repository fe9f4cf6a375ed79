"""What a job wrote, by byte offsets: one cursor for what is there and for what is still coming."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Max
from django.db.models.functions import Length
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.base import ApiView, caller, number
from jobs.api.executions import find
from jobs.api.openapi import described, query
from jobs.api.problems import BadQuery
from jobs.models import ConsoleText, JobExecution
from jobs.permissions import require

USUAL_BYTES = 64 * 1024
MOST_BYTES = 1024 * 1024
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


@dataclass(frozen=True, slots=True)
class Stretch:
    offset: int
    next_offset: int
    size: int
    text: str


class LogView(ApiView):
    """The console of an execution, or its debug log."""

    query_parameters = ("offset", "limit", "stream", "level")

    @described(
        "executions_log",
        "Read the log",
        {200: LogSerializer},
        parameters=[
            query("offset", "First byte; negative: from the end", OpenApiTypes.INT, default=0),
            query("limit", "Bytes, at most 1 MiB", OpenApiTypes.INT, default=USUAL_BYTES),
            query("stream", "Which log", enum=ConsoleText.Stream.values, default="console"),
            query("level", "Only debug entries of this level or above", enum=LEVELS),
        ],
        description="To follow a running job, ask for `next_offset` until `complete` is true.",
    )
    def get(self, request: Request, execution_id: UUID) -> Response:
        stream = _one_of(request, "stream", ConsoleText.Stream.values, "console")
        level = _one_of(request, "level", list(LEVELS), "debug")
        offset = number(request, "offset", 0, -FARTHEST, FARTHEST)
        limit = number(request, "limit", USUAL_BYTES, FEWEST_BYTES, MOST_BYTES)
        execution = find(caller(request), execution_id)
        action = "view_debug_log" if stream == ConsoleText.Stream.DEBUG else "view_contents"
        require(caller(request), action, execution)
        found = read(execution, stream, offset, limit)
        text = found.text
        if stream == ConsoleText.Stream.DEBUG and level != "debug":
            text = at_least(level, text)
        complete = not execution.is_live and found.next_offset >= found.size
        body = {name: getattr(found, name) for name in ("offset", "next_offset", "size")}
        return Response(body | {"complete": complete, "text": text})


def _one_of(request: Request, name: str, words: list[str], default: str) -> str:
    given = request.query_params.get(name) or default
    if given not in words:
        raise BadQuery({name: [f"{name!r} is {given!r}; it is one of {', '.join(words)}."]})
    return given


def read(execution: JobExecution, stream: str, offset: int, limit: int) -> Stretch:
    """At most `limit` bytes from `offset` on, without a character that is cut in two."""
    rows = execution.console.filter(stream=stream)
    last = rows.order_by("-offset").annotate(length=Length("text")).values("offset", "length")
    end = last.first()
    size = end["offset"] + end["length"] if end else 0
    offset = min(max(0, size + offset) if offset < 0 else offset, size)
    first = rows.filter(offset__lte=offset).aggregate(at=Max("offset"))["at"] or 0
    pieces = rows.filter(offset__gte=first, offset__lt=offset + limit).order_by("offset")
    data = b"".join(bytes(piece) for piece in pieces.values_list("text", flat=True))
    data = data[offset - first : offset - first + limit]
    begin, stop = _whole_characters(data, at_end=not execution.is_live and offset + limit >= size)
    text = data[begin:stop].decode(errors="replace")
    return Stretch(offset + begin, offset + stop, size, text)


def _whole_characters(data: bytes, *, at_end: bool) -> tuple[int, int]:
    """The part of `data` from the first beginning of a character to the end of the last one."""
    begin, stop = 0, len(data)
    while begin < min(3, stop) and data[begin] & 0b1100_0000 == 0b1000_0000:
        begin += 1
    for back in range(1, min(4, stop - begin + 1)):
        byte = data[stop - back]
        if byte & 0b1100_0000 != 0b1000_0000:  # the last character begins here
            length = _length_of(byte)
            return (begin, stop) if at_end or length <= back else (begin, stop - back)
    return begin, stop


def _length_of(first: int) -> int:
    """How many bytes a character has, by its first."""
    if first < 0b1100_0000:
        return 1
    return 2 if first < 0b1110_0000 else 3 if first < 0b1111_0000 else 4


def at_least(level: str, text: str) -> str:
    """The entries of a debug log of this level or above, with their further lines."""
    wanted = {name.upper() for name in LEVELS[LEVELS.index(level) :]}
    entries = list(ENTRY.finditer(text))
    kept = [text[: entries[0].start()] if entries else text]  # the end of an entry cut before
    for entry, following in zip(entries, [*entries[1:], None], strict=True):
        if entry["level"] in wanted:
            kept.append(text[entry.start() : following.start() if following else None])
    return "".join(kept)
