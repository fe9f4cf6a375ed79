"""The description: valid, complete, and kept by every address."""

import re
from collections.abc import Iterator

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import Client, override_settings
from django.urls import get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from jobs.models import ApiToken, JobProfile
from jobs.states import Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db


@pytest.fixture
def _requests_keep_the_transaction() -> Iterator[None]:
    """What Django's own test client does: no connection is closed around a request."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


def test_it_is_valid_openapi_3_1_without_warnings(api):
    GENERATOR_STATS.reset()
    schema = api.get("openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    OPENAPI_31_VALIDATOR.validate(schema)
    assert not GENERATOR_STATS, "drf-spectacular has warned"


def test_every_address_is_described(api):
    paths = set(api.get("openapi.json").json()["paths"])
    patterns = next(p for p in get_resolver().url_patterns if getattr(p, "namespace", "") == "api")
    routes = {
        "/api/v1/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(one.pattern))
        for one in patterns.url_patterns
    }
    assert routes - paths == {"/api/v1/openapi.json", "/api/v1/docs/", "/api/v1/{rest}"}


def test_every_operation_says_what_it_answers(api):
    schema = api.get("openapi.json").json()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            said = f"{method} {path}"
            assert operation["summary"], said
            assert {"400", "401", "403"} <= set(operation["responses"]), said
            assert any(code < "400" for code in operation["responses"]), said
            for code, answer in operation["responses"].items():
                assert code < "400" or "application/problem+json" in answer["content"], said


def test_the_filters_are_described(api):
    operation = api.get("openapi.json").json()["paths"]["/api/v1/executions/"]["get"]
    found = {one["name"]: one for one in operation["parameters"]}
    assert "ok" in found["status"]["schema"]["items"]["enum"]
    assert found["created_after"]["schema"]["format"] == "date-time"
    assert {"cursor", "page_size", "ordering", "search"} <= set(found)


def test_strangers_see_neither_description_nor_page(client):
    Api().problem(Api().get("openapi.json"), 401, "unauthorized")
    answer = client.get("/api/v1/docs/")
    assert (answer.status_code, answer.headers["Location"][:7]) == (302, "/login/")


def test_the_page_has_no_inline_script_or_style(bob):
    client = Client()
    client.force_login(bob)
    answer = client.get("/api/v1/docs/")
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "<style" not in html
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    sources = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert all(source.startswith("/") for source in sources)
    script = client.get(next(source for source in sources if "script" in source))
    assert script.headers["Content-Type"].startswith("application/javascript")
    assert b"/api/v1/openapi.json" in script.content


@override_settings(AXES_FAILURE_LIMIT=1000)  # many of the requests have wrong passwords
@pytest.mark.usefixtures("_requests_keep_the_transaction")
def test_every_address_keeps_what_the_description_says(execution, person):
    """A few generated requests to every operation; made-up values must not make server errors."""
    user = person("caller", None, is_superuser=True)
    _, token = ApiToken.objects.create(user, name="schemathesis")
    profile = JobProfile.objects.create(code="things", label="T", job="things.import_things")
    schema = schemathesis.openapi.from_wsgi(
        "/api/v1/openapi.json",
        get_wsgi_application(),
        headers={"Authorization": f"Bearer {token}"},
    )
    for found in schema.get_all_operations():
        _try(found.ok(), token, execution, profile)


def _try(operation, token, execution, profile) -> None:
    @settings(
        max_examples=6,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), status=some.sampled_from([None, *Status]))
    def call(case, status) -> None:
        known = {"code": profile.code, "name": profile.job, "token": "none"}
        if status:
            known["execution_id"] = str(execution(None, status).pk)
        for name, value in known.items():
            if name in case.path_parameters:
                case.path_parameters[name] = value
        case.query.pop("timeout", None)
        if operation.label.endswith("/wait/"):
            case.query["timeout"] = "0"
        case.call_and_validate(
            headers={"Authorization": f"Bearer {token}"},
            excluded_checks=[positive_data_acceptance],  # what fits the schema may still be wrong
        )

    call()
