"""Jobs that tell others what they did."""

from __future__ import annotations

import os
import signal

from django import forms

from jobs import ChunkedJob, FunctionStep, Job, job
from jobs.models import Attempt
from tests.samples.models import Effect


class Receiver(forms.Form):
    rows = forms.IntegerField(initial=10)
    url = forms.CharField()
    die_at = forms.IntegerField(required=False)
    always = forms.BooleanField(required=False)


@job("samples.tells")
class Tells(ChunkedJob):
    """Write every row once and tell a receiver of each; dies at `die_at`, once or `always`."""

    Parameters = Receiver
    chunk_size = 5

    def read(self, cursor):
        first = 0 if cursor is None else cursor + 1
        return ((row, row) for row in range(first, self.parameters["rows"]))

    def write(self, rows):
        execution = self.workspace.execution_id
        for row in rows:
            self.workspace.post(f"row-{row}", self.parameters["url"], json={"row": row})
        Effect.objects.bulk_create(Effect(execution=execution, row=row) for row in rows)
        again = Attempt.objects.filter(execution=execution, number=2).exists()
        if self.parameters["die_at"] in rows and (self.parameters["always"] or not again):
            os.kill(os.getpid(), signal.SIGKILL)


@job("samples.tells_too_early")
class TellsTooEarly(Tells):
    """Tell of rows where nothing has been written yet."""

    def process(self, row):
        self.workspace.post(f"row-{row}", self.parameters["url"], json={"row": row})
        return row


@job("samples.tells_at_the_end")
class TellsAtTheEnd(Job):
    """Tell of it in a step that keeps no transaction open."""

    class Parameters(forms.Form):
        url = forms.CharField()
        bug = forms.BooleanField(required=False)

    def steps(self):
        return [FunctionStep(name="tell", function=self.tell, atomic=False)]

    def tell(self, context):
        context.post("done", self.parameters["url"], json={"done": True})
        if self.parameters["bug"]:
            raise ValueError("It is not done.")
