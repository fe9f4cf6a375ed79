"""Jobs that use what steps and jobs may declare: conditions, sections, retries, children."""

from __future__ import annotations

import time
import uuid

from django import forms
from django.db import connection

from catalog.jobs import ProductResource
from jobs import ChunkedJob, ChunkStep, FunctionStep, Job, JobError, Throttle, job
from jobs.recipes.imports import ImportJob
from tests.samples.jobs import Rows
from tests.samples.models import Effect

GATE = uuid.UUID(int=1)  # Effect rows of this id hold throttled executions back


class Choice(forms.Form):
    skip = forms.CharField(required=False)
    optional = forms.BooleanField(required=False)
    end = forms.CharField(required=False)
    seconds = forms.FloatField(initial=0.0)


@job("samples.steps")
class Steps(Job):
    """Three steps, of which the second may be skipped, fail or be stopped alone."""

    Parameters = Choice

    def steps(self):
        return [
            FunctionStep(name="first", function=lambda context: self.note(context, 1)),
            FunctionStep(
                name="second",
                function=self.second,
                when=lambda: self.parameters["skip"] or True,
                optional=self.parameters["optional"],
            ),
            FunctionStep(name="third", function=lambda context: self.note(context, 3)),
        ]

    def note(self, context, row):
        Effect.objects.create(execution=context.workspace.execution_id, row=row)

    def second(self, context):
        self.note(context, 2)
        if self.parameters["end"] == "fail":
            raise JobError("The second step has nothing to do.")
        end = time.monotonic() + self.parameters["seconds"]
        number = context.cursor or 0
        while time.monotonic() < end:
            time.sleep(0.05)
            number += 1
            context.checkpoint(number)
            if self.parameters["end"] == "sleep":
                time.sleep(self.parameters["seconds"])

    def close(self, outcome):
        row = {"completed": 100, "failed": 101, "stopped": 102, "timed_out": 103}[outcome]
        Effect.objects.create(execution=self.workspace.execution_id, row=row)


@job("samples.section", parameters=Rows)
def section(context, rows, pause, die_at):
    """Post to the ledger, which nobody may cut short."""
    with context.unstoppable("Post to the ledger", max_seconds=max(pause, 0.5) * 2):
        Effect.objects.create(execution=context.workspace.execution_id, row=1)
        time.sleep(pause)
    context.checkpoint(1, processed=1)
    context.check()
    time.sleep(30)


@job("samples.flaky", parameters=Rows, retry_on=(ConnectionError,), retry_backoff_seconds=0.2)
def flaky(context, rows, pause, die_at):
    """Reach the other system only at the attempt number `die_at`, at each of its rows."""
    number = context.attempt
    for row in range(context.cursor or 0, rows):
        Effect.objects.create(execution=context.workspace.execution_id, row=row, attempt=number)
        if number < (die_at or 0):
            raise ConnectionError("The other system does not answer.")
        context.checkpoint(row + 1, processed=1, total=rows)


@job("samples.conflict")
class Conflict(ChunkedJob):
    """Run into a serialization failure at the first try of every chunk."""

    Parameters = Rows
    chunk_size = 10

    def read(self, cursor):
        self.refused = set()
        first = 0 if cursor is None else cursor + 1
        return ((row, row) for row in range(first, self.parameters["rows"]))

    def write(self, rows):
        execution = self.workspace.execution_id
        Effect.objects.bulk_create(Effect(execution=execution, row=row) for row in rows)
        if rows[0] not in self.refused:
            self.refused.add(rows[0])
            with connection.cursor() as cursor:
                cursor.execute("DO $$ BEGIN RAISE serialization_failure; END $$")


@job("samples.parts")
class Parts(ChunkedJob):
    """Write every row once, divided among three children."""

    Parameters = Rows
    chunk_size = 20
    partitions = 3

    def read(self, cursor):
        first = 0 if cursor is None else cursor + 1
        part = self.partition
        return (
            (row, row)
            for row in range(first, self.parameters["rows"])
            if part is None or row % part.of == part.number
        )

    def process(self, row):
        if row % 100 == 8:
            raise forms.ValidationError("It ends in 08.")
        return row

    def write(self, rows):
        time.sleep(self.parameters["pause"])
        if self.parameters["die_at"] in rows:
            raise JobError("The row to die at has come.")
        whole = self.workspace.execution_id
        Effect.objects.bulk_create(Effect(execution=whole, row=row) for row in rows)

    def count(self):
        of = self.partition.of if self.partition else 1
        return self.parameters["rows"] // of


class Family(forms.Form):
    children = forms.IntegerField(initial=2)
    rows = forms.IntegerField(initial=100)
    pause = forms.FloatField(initial=0.0)
    child = forms.CharField(initial="samples.chunks")
    joins = forms.BooleanField(required=False)


@job("samples.family", parameters=Family)
def family(context, children, rows, pause, child, joins):
    """Launch children and wait for them; told to join, count what they have done."""
    if context.cursor is None:
        given = {"rows": rows, "pause": pause} if child == "samples.chunks" else {}
        for number in range(children):
            context.launch(job=child, parameters=given, name=f"Child {number}")
        if not joins:
            context.checkpoint("launched", processed=children)
            return None
        context.join("launched")
    return {"ended": [str(ended.status) for ended in context.children().order_by("pk")]}


def gate_is_closed():
    return Effect.objects.filter(execution=GATE).exists() and "The gate is closed."


@job("samples.throttled", parameters=Rows, throttle=Throttle(gate_is_closed, backoff_seconds=0.5))
def throttled(context, rows, pause, die_at):
    """Work only while the gate is open."""
    for row in range(context.cursor or 0, rows):
        time.sleep(pause)
        context.checkpoint(row + 1, processed=1)


@job("samples.sliced", parameters=Rows, slice_seconds=0.5)
def sliced(context, rows, pause, die_at):
    """Take long, but let others go first."""
    for row in range(context.cursor or 0, rows):
        Effect.objects.create(execution=context.workspace.execution_id, row=row)
        time.sleep(pause)
        context.checkpoint(row + 1, processed=1)


@job("samples.stalls", stall_limit_seconds=1.0)
class Stalls(Job):
    """Be alive without getting anywhere."""

    def steps(self):
        return [FunctionStep(name="wait", function=lambda _: time.sleep(60), atomic=False)]


@job("samples.long", timeout_seconds=1)
class Long(Job):
    """Take longer than it may; on request without looking up."""

    Parameters = Rows

    def steps(self):
        return [
            ChunkStep(
                name="rows",
                read=lambda cursor: ((row, row) for row in range((cursor or 0) + 1, 1000)),
                write=lambda rows: time.sleep(self.parameters["pause"]),
                size=1,
            )
        ]

    def close(self, outcome):
        Effect.objects.create(
            execution=self.workspace.execution_id, row=103 if outcome == "timed_out" else 0
        )


@job("samples.brief", parameters=Rows)
def brief(context, rows, pause, die_at):
    """Be done before anybody can stop it."""
    time.sleep(pause)


@job("samples.selfish", concurrency=1)
def selfish(context):
    """Launch itself, though it may run but once at a time."""
    context.launch(job="samples.selfish")


class SplitProducts(ProductResource):
    """Products whose import is divided among three executions."""

    partitions = 3


@job("samples.split_import", type="import")
class SplitImport(ImportJob):
    """Import products in three parts."""

    resource = SplitProducts
