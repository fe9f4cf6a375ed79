"""What a job writes: made safe when it is written, read by byte offset, history and live alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Max
from django.db.models.functions import Length

from jobs.models import ConsoleText, JobExecution

TAIL_BYTES = 64 * 1024  # what a page opens with
MOST_BYTES = 1024 * 1024  # of one answer
LINE_CHARACTERS = 8 * 1024

# Escape sequences of terminals; then control characters but tab and line feed, and those that
# reorder what is read.
_UNSAFE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)
_LONG_LINE = re.compile(rf"([^\n]{{{LINE_CHARACTERS}}})[^\n]+")


def sanitize(text: str) -> str:
    """Plain text: no colours, no cursor movements, nothing that reorders, no endless line."""
    text = _UNSAFE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _LONG_LINE.sub(r"\1…", text)


@dataclass(frozen=True, slots=True)
class Piece:
    """Text from byte `offset` on; the next begins at `next_offset` of `size` bytes so far.

    `complete` says that nothing follows, now or later.
    """

    offset: int
    next_offset: int
    size: int
    complete: bool
    text: str


class Console:
    """One stream of an execution."""

    def __init__(self, execution: JobExecution, stream: str = ConsoleText.Stream.CONSOLE):
        self.execution = execution
        self.rows = execution.console.filter(stream=stream)

    @property
    def size(self) -> int:
        """How many bytes there are by now."""
        last = self.rows.order_by("-offset").annotate(length=Length("text"))
        end = last.values_list("offset", "length").first()
        return sum(end) if end else 0

    def read(self, offset: int, limit: int = TAIL_BYTES) -> Piece:
        """At most `limit` bytes from `offset` on (negative: from the end), no character cut."""
        size = self.size
        offset = min(max(0, size + offset) if offset < 0 else offset, size)
        data = self._bytes(offset, limit)
        ended = not self.execution.is_live and offset + limit >= size
        begin, stop = _whole_characters(data, at_end=ended)
        next_offset = offset + stop
        return Piece(
            offset=offset + begin,
            next_offset=next_offset,
            size=size,
            complete=not self.execution.is_live and next_offset >= size,
            text=data[begin:stop].decode(errors="replace"),
        )

    def tail(self) -> Piece:
        """The end of the stream, from the beginning of a line."""
        piece = self.read(-TAIL_BYTES)
        head, newline, rest = piece.text.partition("\n")
        if piece.offset == 0 or not newline:
            return piece
        skipped = len((head + newline).encode())
        return Piece(piece.offset + skipped, piece.next_offset, piece.size, piece.complete, rest)

    def everything(self) -> Iterator[bytes]:
        """All of it as UTF-8, row by row."""
        for data in self.rows.order_by("offset").values_list("text", flat=True).iterator(16):
            yield bytes(data)

    def _bytes(self, offset: int, limit: int) -> bytes:
        first = self.rows.filter(offset__lte=offset).aggregate(at=Max("offset"))["at"] or 0
        rows = self.rows.filter(offset__gte=first, offset__lt=offset + limit).order_by("offset")
        data = b"".join(bytes(text) for text in rows.values_list("text", flat=True))
        return data[offset - first : offset - first + limit]


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
