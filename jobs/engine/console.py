"""What a job writes, kept as rows: it survives a rollback and a kill of the job."""

from __future__ import annotations

import codecs
import os
import time
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DatabaseError

from jobs.console import sanitize
from jobs.models import ConsoleText, JobExecution

PIECE_BYTES = 64 * 1024
FLUSH_SECONDS = 0.5
LINE_BYTES = 8 * 1024


@dataclass
class Stream:
    """One stream of one execution: reads a pipe, appends rows at increasing byte offsets."""

    execution: JobExecution
    name: str
    pipe: int
    offset: int
    waiting: str = ""
    closed: bool = False
    flushed_at: float = field(default_factory=time.monotonic)
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    @classmethod
    def open(cls, execution: JobExecution, name: str, pipe: int) -> Stream:
        """Go on behind what earlier attempts have written."""
        earlier = execution.console.filter(stream=name).order_by("-offset")
        last = earlier.first() if execution.attempt > 1 else None
        offset = last.offset + len(last.text) if last else 0
        return cls(execution, name, pipe, offset)

    def read(self) -> None:
        """Take what is in the pipe, without waiting."""
        while not self.closed and len(self.waiting) < 4 * PIECE_BYTES:
            try:
                block = os.read(self.pipe, PIECE_BYTES)
            except BlockingIOError:
                return
            if not block:
                self.closed = True
            self.waiting += self.decoder.decode(block, final=not block)

    def flush(self, *, now: bool = False) -> None:
        """Write whole lines, at most every half second; with `now` everything.

        While the database is away the text waits, as much as fits, and the job with it: a full
        pipe lets its next print wait.
        """
        due = now or time.monotonic() - self.flushed_at > FLUSH_SECONDS
        if not self.waiting or not (due or len(self.waiting) >= PIECE_BYTES):
            return
        cut = len(self.waiting) if now else self.waiting.rfind("\n") + 1
        if not cut and len(self.waiting) >= LINE_BYTES:
            cut = len(self.waiting)
        if not cut:
            return
        ready, self.waiting = self.waiting[:cut], self.waiting[cut:]
        try:
            self._append(sanitize(ready).encode())
        except DatabaseError:
            self.waiting = ready + self.waiting
            raise
        self.flushed_at = time.monotonic()

    def _append(self, text: bytes) -> None:
        room = int(settings.JOBS_CONSOLE_BYTES) - self.offset
        if room <= 0:
            return
        if len(text) > room:
            cap = f"\n[The console is cut here: it holds {settings.JOBS_CONSOLE_BYTES:,} bytes.]\n"
            text = text[:room].decode("utf-8", "ignore").encode() + cap.encode()
        for start in range(0, len(text), PIECE_BYTES):
            piece = text[start : start + PIECE_BYTES]
            ConsoleText.objects.create(
                execution=self.execution, stream=self.name, offset=self.offset, text=piece
            )
            self.offset += len(piece)
