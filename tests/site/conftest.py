"""People with roles and their browsers, profiles, and executions in any status."""

# ruff: noqa: F811 (a fixture that is imported is the parameter of those that use it)

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from jobs.definition import REGISTRY, register
from jobs.models import JobExecution, JobProfile, StatusChange, StepExecution, Worker
from jobs.states import FINISHED, HELD, Status
from tests.people import person  # noqa: F401 - a fixture
from tests.site.support import ExportThings, ImportThings


@pytest.fixture(autouse=True)
def _jobs() -> Iterator[None]:
    """An import and an export, and no other jobs."""
    before = dict(REGISTRY)
    REGISTRY.clear()
    register("things.import_things", ImportThings, type="import")
    register("things.export_things", ExportThings, type="export")
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.fixture
def bob(person: Callable[..., User]) -> User:
    return person("bob")


@pytest.fixture
def lead(person: Callable[..., User]) -> User:
    return person("lead", "Lead")


@pytest.fixture
def browser() -> Callable[[User], Client]:
    """The browser of somebody who is signed in."""

    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def bobs(browser: Callable[[User], Client], bob: User) -> Client:
    """The browser of bob, who has the role User."""
    return browser(bob)


@pytest.fixture
def leads(browser: Callable[[User], Client], lead: User) -> Client:
    return browser(lead)


@pytest.fixture
def profile(db: None) -> JobProfile:
    JobProfile.objects.all().delete()
    return JobProfile.objects.create(
        code="things", label="Import things", job="things.import_things"
    )


@pytest.fixture
def worker(db: None) -> Worker:
    """A live worker with four slots that knows the jobs."""
    versions = {name: job.version() for name, job in REGISTRY.items()}
    return Worker.objects.create(
        name="w1", kind="worker", node="n1", pid=1, queues=["default"], slots=4,
        definitions=versions,
    )  # fmt: skip


@pytest.fixture
def execution(db: None) -> Callable[..., JobExecution]:
    """Make an execution in any status, with what its status implies and one step."""

    def make(user: User | None = None, status: Status = Status.QUEUED, **fields: Any):
        now = timezone.now()
        values: dict[str, Any] = {
            "name": "Import things",
            "job": "things.import_things",
            "type": "import",
        }
        if status in HELD:
            values |= {"lease_expires_at": now, "started_at": now, "attempt": 1, "pid": 77}
        if status in FINISHED:
            values |= {"started_at": now, "finished_at": now, "attempt": 1}
        done = fields.pop("done", 412)
        found = JobExecution.objects.create(user=user, status=status, **(values | fields))
        StatusChange.objects.create(execution=found, event="launch", after="queued", by=user)
        if found.started_at:
            status = "running" if found.status in HELD else "completed"
            StepExecution.objects.create(
                execution=found, order=0, name="things", label="Things", status=status,
                total=1000, created=done, started_at=now,
            )  # fmt: skip
        found.refresh_from_db()
        return found

    return make
