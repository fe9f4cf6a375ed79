"""People with roles, clients that speak for them, and executions in any status."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from jobs.definition import REGISTRY, register
from jobs.models import JobExecution, JobProfile
from jobs.states import FINISHED, HELD, Status
from tests.api.support import PASSWORD, Api, ImportThings, RunProgram


@pytest.fixture(autouse=True)
def _jobs() -> Iterator[None]:
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
def bob(person: Callable[..., User]) -> User:
    return person("bob")


@pytest.fixture
def lead(person: Callable[..., User]) -> User:
    return person("lead", "Lead")


@pytest.fixture
def api(bob: User) -> Api:
    """A client of bob, who has the role User."""
    return Api(bob)


@pytest.fixture
def lead_api(lead: User) -> Api:
    return Api(lead)


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
