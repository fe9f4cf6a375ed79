"""Jobs that count rows into `Effect`, fast, slowly, or not to the end."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time

from django import forms
from django.core.exceptions import ValidationError

from jobs import ChunkedJob, JobError, Skip, job
from tests.samples import limited, telling  # noqa: F401 - found with the jobs of this module
from tests.samples.models import Effect


class Rows(forms.Form):
    rows = forms.IntegerField(initial=100)
    pause = forms.FloatField(initial=0.0)
    die_at = forms.IntegerField(required=False)


@job("samples.chunks")
class Chunks(ChunkedJob):
    """Write every row once, fifty a chunk."""

    Parameters = Rows
    chunk_size = 50

    def read(self, cursor):
        first = 0 if cursor is None else cursor + 1
        return ((row, row) for row in range(first, self.parameters["rows"]))

    def process(self, row):
        if row % 100 == 7:
            raise Skip("It ends in 07.")
        if row % 100 == 8:
            raise ValidationError("It ends in 08.")
        return row

    def write(self, rows):
        time.sleep(self.parameters["pause"])
        if self.parameters["die_at"] in rows:
            os.kill(os.getpid(), signal.SIGKILL)
        execution = self.workspace.execution_id
        Effect.objects.bulk_create(Effect(execution=execution, row=row) for row in rows)

    def count(self):
        return self.parameters["rows"]


@job("samples.function", parameters=Rows)
def function(context, rows, pause, die_at):
    """Write every row once, one a checkpoint."""
    for row in range(context.cursor or 0, rows):
        Effect.objects.create(execution=context.workspace.execution_id, row=row)
        time.sleep(pause)
        if row == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        context.checkpoint(row + 1, processed=1, total=rows)
    return {"rows": rows}


@job("samples.stuck")
def stuck(context):
    """Hang in a call that no signal handler of Python can end."""
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)


@job("samples.idle")
def idle(context):
    """Hold a transaction open without working."""
    Effect.objects.create(execution=context.workspace.execution_id, row=1)
    time.sleep(6)
    Effect.objects.create(execution=context.workspace.execution_id, row=2)


@job("samples.talk")
def talk(context):
    """Say things, some of them rude to terminals."""
    print("plain line")
    print("\x1b[31mred\x1b[0m \x00 bell\x07 done")
    print("to the debug stream", file=sys.stderr)
    context.log("with the time")
    context.checkpoint(1, processed=1)


@job("samples.bug")
def bug(context):
    """Have a bug."""
    Effect.objects.create(execution=context.workspace.execution_id, row=1)
    return 1 / 0


@job("samples.refuses")
def refuses(context):
    """Know that it cannot work."""
    raise JobError("The shelf is empty. Fill it and launch again.")


@job("samples.file")
def file(context):
    """Make a file, and nothing else."""
    with context.workspace.create("greeting.txt") as target:
        target.write(b"hello")
    return {"name": "greeting.txt"}


from tests.samples import lifecycle  # noqa: E402, F401 - found with the jobs of this module
