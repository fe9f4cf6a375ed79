"""What a job wrote, by byte offset: history and live from one cursor."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.models import ConsoleText, JobExecution

TAIL = 64 * 1024  # what a page opens with
MOST = 256 * 1024  # of one answer

# Escape sequences of terminals, and control characters but tab and line feed.
CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.|\r(?=\n)"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)


def sanitized(text: str) -> str:
    """Plain text: no colours, no cursor movements, nothing that reorders what is read."""
    return CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


@dataclass(frozen=True, slots=True)
class Piece:
    """Text from `offset` on; the next begins at `next_offset` of `size` bytes."""

    text: str
    offset: int
    next_offset: int
    size: int
    complete: bool


class Console:
    """One stream of an execution."""

    def __init__(self, execution: JobExecution, stream: str = ConsoleText.Stream.CONSOLE):
        self.execution = execution
        self.stream = stream
        self._pieces = execution.console.filter(stream=stream)

    def size(self) -> int:
        last = self._pieces.order_by("-offset").first()
        return last.offset + len(last.text) if last else 0

    def tail(self) -> Piece:
        """The end of the stream, from the beginning of a line."""
        size = self.size()
        begin = max(0, size - TAIL)
        piece = self.read(begin, size=size)
        head, newline, rest = piece.text.partition("\n")
        if begin == 0 or not newline:
            return piece
        skipped = len((head + newline).encode())
        return Piece(rest, begin + skipped, piece.next_offset, size, piece.complete)

    def read(self, offset: int, *, size: int | None = None) -> Piece:
        """At most MOST bytes from `offset` on, cut where a character ends."""
        data = self._bytes(offset)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        text = decoder.decode(data)
        next_offset = offset + len(data) - len(decoder.getstate()[0])
        size = max(self.size() if size is None else size, next_offset)
        complete = not self.execution.is_live and next_offset + 4 > size
        return Piece(sanitized(text), offset, next_offset, size, complete)

    def _bytes(self, offset: int) -> bytes:
        begin = self._pieces.filter(offset__lte=offset).order_by("-offset").first()
        found = self._pieces.filter(offset__gt=offset, offset__lt=offset + MOST)
        pieces = [*([begin] if begin else []), *found.order_by("offset")]
        data = b"".join(bytes(piece.text) for piece in pieces)
        skip = offset - pieces[0].offset if pieces else 0
        return data[max(0, skip) : max(0, skip) + MOST]

    def stream_text(self) -> Iterator[bytes]:
        """All of it, sanitized, piece by piece."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        for data in self._pieces.order_by("offset").values_list("text", flat=True).iterator(16):
            yield sanitized(decoder.decode(bytes(data))).encode()
        yield sanitized(decoder.decode(b"", final=True)).encode()
