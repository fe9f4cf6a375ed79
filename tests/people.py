"""Fixtures: people with roles, two jobs of known types, executions in any status."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import Group, User
from django.utils import timezone

from jobs.definition import REGISTRY, FunctionStep, Job, register
from jobs.models import JobExecution, JobProfile
from jobs.states import FINISHED, HELD, Status

PASSWORD = "correct horse battery staple"


class ImportThings(Job):
    """Import things from a file.

    Not what people read before they launch it.
    """

    class Parameters(forms.Form):
        file = forms.FileField(required=False)
        second = forms.FileField(required=False)
        separator = forms.ChoiceField(choices=[(";", "Semicolon"), (",", "Comma")], initial=";")
        limit = forms.IntegerField(required=False, min_value=1, max_value=99, help_text="Rows")
        note = forms.CharField(required=False, max_length=20)
        secret = forms.BooleanField(required=False)

    def steps(self):
        return [FunctionStep(name="things", function=lambda _: None)]


class RunProgram(Job):
    """Run a program."""

    def steps(self):
        return [FunctionStep(name="program", function=lambda _: None)]


@pytest.fixture(autouse=True)
def two_jobs() -> Iterator[None]:
    """Two jobs of known types, and no others."""
    before = dict(REGISTRY)
    REGISTRY.clear()
    register("things.import_things", ImportThings, type="import")
    register("things.run_program", RunProgram, type="command")
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.fixture
def person(db: None) -> Callable[..., User]:
    """Make somebody with a role, or with none."""

    def make(name: str, role: str | None = "User", **more: Any) -> User:
        user = User.objects.create_user(name, password=PASSWORD, **more)
        if role:
            user.groups.add(Group.objects.get(name=role))
        return user

    return make


@pytest.fixture
def profile(db: None) -> JobProfile:
    return JobProfile.objects.create(
        code="things", label="Import things", job="things.import_things"
    )


@pytest.fixture
def execution(db: None) -> Callable[..., JobExecution]:
    """Make an execution in any status, with what its status implies."""

    def make(user: User | None = None, status: Status = Status.QUEUED, **fields: Any):
        now = timezone.now()
        values: dict[str, Any] = {
            "name": "Import things",
            "job": "things.import_things",
            "type": "import",
        }
        if status in HELD:
            values |= {"lease_expires_at": now, "started_at": now, "attempt": 1}
        if status in FINISHED:
            values |= {"started_at": now, "finished_at": now, "attempt": 1}
        found = JobExecution.objects.create(user=user, status=status, **(values | fields))
        found.refresh_from_db()
        return found

    return make
