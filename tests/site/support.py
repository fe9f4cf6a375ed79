"""Two jobs that need no worker, and what the tests of pages ask again and again."""

import re
from typing import Any

from django import forms
from django.test import Client

from jobs.definition import FunctionStep, Job


class ImportThings(Job):
    """Import things from a file."""

    class Parameters(forms.Form):
        file = forms.FileField(required=False, help_text="A CSV file.")
        mode = forms.ChoiceField(choices=[("merge", "Merge"), ("replace", "Replace")])
        limit = forms.IntegerField(required=False, min_value=1, max_value=99)
        note = forms.CharField(required=False)

    def steps(self):
        return [FunctionStep(name="things", function=lambda _: None)]


class ExportThings(Job):
    """Export things."""

    def steps(self):
        return [FunctionStep(name="things", function=lambda _: None)]


def since(page: str) -> str:
    """The address from which the live part of a page asks for news."""
    found = re.search(r'id="live"[^>]* hx-get="([^"]*)"', page, re.DOTALL)
    assert found, "The page has no live part."
    return found[1].replace("&amp;", "&")


def news(client: Client, path: str, address: str) -> Any:
    """What htmx gets when it asks for news."""
    return client.get(path + address, headers={"HX-Request": "true"})


def body(answer: Any) -> bytes:
    """All of an answer; a streamed one is closed at its end."""
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def flashes(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]
