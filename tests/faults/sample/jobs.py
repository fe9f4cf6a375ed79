"""Jobs that tell which attempt wrote what, and hold their transactions open for a while."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import time

from django import forms

from jobs import ChunkedJob, job
from tests.samples.models import Effect

CHUNK = 20


class Rows(forms.Form):
    rows = forms.IntegerField(initial=100)
    pause = forms.FloatField(initial=0.0)
    die_at = forms.IntegerField(required=False)
    outside = forms.BooleanField(required=False)  # rest outside the transactions


@job("faults.rows")
class RowsOfAttempts(ChunkedJob):
    """Write every row once with the attempt's number; rest within the transaction or outside."""

    Parameters = Rows
    chunk_size = CHUNK

    def read(self, cursor):
        first = 0 if cursor is None else cursor + 1
        for row in range(first, self.parameters["rows"]):
            if self.parameters["outside"] and row % CHUNK == 0:
                time.sleep(self.parameters["pause"])
            yield row, row

    def write(self, rows):
        if self.parameters["die_at"] in rows:
            os.kill(os.getpid(), signal.SIGKILL)
        write_effects(self.workspace, rows)
        if not self.parameters["outside"]:
            time.sleep(self.parameters["pause"])

    def count(self):
        return self.parameters["rows"]


@job("faults.parts")
class Parts(RowsOfAttempts):
    """The same by two children, who share no row."""

    partitions = 2

    def read(self, cursor):
        number, of = self.partition.number, self.partition.of
        return ((at, row) for at, row in super().read(cursor) if row % of == number)


def write_effects(workspace, rows) -> None:
    own = {"execution": workspace.execution_id, "attempt": workspace._execution.attempt}
    Effect.objects.bulk_create(Effect(row=row, **own) for row in rows)


@job("faults.function", parameters=Rows)
def function(context, rows, pause, die_at, outside):
    """Write every row once, twenty a checkpoint; row numbers begin at 100."""
    first = context.cursor or 0
    while first < rows:
        last = min(rows, first + CHUNK)
        write_effects(context.workspace, range(100 + first, 100 + last))
        time.sleep(pause)
        context.checkpoint(last, processed=last - first, total=rows)
        first = last


@job("faults.file", parameters=Rows)
def file(context, rows, pause, die_at, outside):
    """Write a file, slowly."""
    with context.workspace.create("numbers.txt") as target:
        for row in range(rows):
            target.write(f"{row}\n".encode())
            if row % CHUNK == 0:
                time.sleep(pause)
                context.check()


@job("faults.stuck", parameters=Rows)
def stuck(context, rows, pause, die_at, outside):
    """Be deaf in a call of C until killed."""
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)


@job("faults.regex")
def regex(context):
    """Hold the interpreter's lock for ever."""
    re.match(r"(a+)+$", "a" * 64 + "b")


@job("faults.hungry")
def hungry(context):
    """Eat memory without end."""
    eaten = []
    while True:
        eaten.append(bytearray(16 * 1024 * 1024))


@job("faults.many")
def many(context):
    """Start thirty processes and wait for them."""
    started = [subprocess.Popen(["sleep", "600"]) for _ in range(30)]
    context.checkpoint(1, processed=1)
    for each in started:
        each.wait()
