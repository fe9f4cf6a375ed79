"""The steps that fetch a job's file from a place and send what it made to one."""

from __future__ import annotations

from typing import Any

from django import forms

from jobs.definition import FunctionStep, Job
from jobs.places import PathField, PlaceField


def source_fields() -> tuple[PlaceField, PathField]:
    """`place` and `path` of a job that reads a file."""
    return (
        PlaceField(help_text="Where the file is fetched from; empty for one that is sent."),
        PathField(
            help_text="The file there. Of a pattern such as products-*.csv the newest is taken."
        ),
    )


def target_fields() -> tuple[PlaceField, PathField]:
    """`place` and `path` of a job that makes files."""
    return (
        PlaceField(help_text="Where the files are sent to; empty to keep them here only."),
        PathField(
            help_text="The file's name there, or a folder that ends in a slash. %job_label%,"
            " %datetime% and %execution% are filled in."
        ),
    )


def check_source(form: forms.Form, given: dict[str, Any]) -> None:
    """Add errors unless there is a file, or a place with a path; for `clean()` of a form.

    A form without the field for the file is that of a profile, where both may stay open.
    """
    if "file" not in form.fields:
        return
    if given.get("place") and not given.get("path"):
        form.add_error("path", "Say which file of the place it is.")
    if not given.get("place") and not given.get("file") and "file" not in form.errors:
        other = ", or a place that it is fetched from" if "place" in form.fields else ""
        form.add_error("file", f"Choose a file{other}.")


def fetch_steps(job: Job) -> list[FunctionStep]:
    """The step that fetches the file, where a place is given."""
    place, path = job.parameters.get("place"), job.parameters.get("path")
    if not place:
        return []

    def fetch(context: Any) -> None:
        job.workspace.fetch(context, place, path)

    return [FunctionStep(name="fetch", label="Fetch the file", function=fetch, atomic=False)]


def send_steps(job: Job) -> list[FunctionStep]:
    """The step that sends the files made, where a place is given."""
    place, path = job.parameters.get("place"), job.parameters.get("path") or ""
    if not place:
        return []

    def send(context: Any) -> None:
        job.workspace.deliver(context, place, path)

    return [FunctionStep(name="send", label="Send the file", function=send, atomic=False)]
