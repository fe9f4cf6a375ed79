"""Jobs of which only so many run at once, or start in a time."""

from __future__ import annotations

import time

from django import forms

from jobs import Job, job
from jobs.definition import FunctionStep


class Nap(forms.Form):
    seconds = forms.FloatField(initial=0.0)
    about = forms.CharField(required=False)


@job("samples.nap", parameters=Nap)
def nap(context, seconds, about):
    """Sleep a little, and be interruptible while at it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.02)
        context.checkpoint()


@job("samples.pair", concurrency=2, parameters=Nap)
def pair(context, seconds, about):
    """Run beside one other at most."""
    time.sleep(seconds)


@job("samples.account", start_rate="100/s", overlap="skip")
class Account(Job):
    """Work on one account at a time."""

    Parameters = Nap

    @classmethod
    def key(cls, parameters):
        return parameters["about"]

    def steps(self):
        return [FunctionStep(name="nap", function=lambda _: time.sleep(self.parameters["seconds"]))]
