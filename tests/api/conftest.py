"""Clients that speak for people."""

import pytest
from django.contrib.auth.models import User

from tests.api.support import Api
from tests.people import execution, person, profile, two_jobs  # noqa: F401 - fixtures


@pytest.fixture
def bob(person) -> User:  # noqa: F811
    return person("bob")


@pytest.fixture
def lead(person) -> User:  # noqa: F811
    return person("lead", "Lead")


@pytest.fixture
def api(bob: User) -> Api:
    """A client of bob, who has the role User."""
    return Api(bob)


@pytest.fixture
def lead_api(lead: User) -> Api:
    return Api(lead)
