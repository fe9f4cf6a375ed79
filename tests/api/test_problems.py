"""Errors of every kind are problem documents, and none of them is a server error."""

import pytest
from django.db import OperationalError
from django.test import Client

from jobs.api import executions
from tests.api.support import Api

pytestmark = pytest.mark.django_db


def test_without_a_token_nothing_is_told():
    answer = Api().get("executions/")
    Api().problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("token", ["wrong", "", "a b", "é", "%00", "a" * 64])
def test_a_wrong_token_is_refused(token):
    api = Api(authorization=f"Bearer {token}")
    api.problem(api.get("executions/"), 401, "unauthorized")


def test_a_token_of_a_disabled_person_is_refused(api, bob):
    bob.is_active = False
    bob.save()
    api.problem(api.get("executions/"), 401, "unauthorized")


def test_a_role_that_is_taken_away_is_gone_with_the_next_request(api, bob):
    assert api.get("executions/").status_code == 200
    bob.groups.clear()
    found = api.problem(api.get("executions/"), 403, "denied")
    assert found["needs"] == "jobs.view_tracker"


def test_an_unknown_address_is_said(api):
    api.problem(api.get("nothing/"), 404, "not-found")
    found = api.problem(api.get("executions"), 404, "not-found")
    assert "end with '/'" in found["detail"]


def test_an_unknown_address_is_not_told_to_strangers():
    Api().problem(Api().get("nothing/"), 401, "unauthorized")


def test_a_wrong_method_names_the_right_ones(api):
    answer = api.send("executions/", {})
    api.problem(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "body", ["{", "[" * 100_000, '{"a": NaN}', '{"note": "\\u0000"}', '{"note": "\\ud800"}']
)
def test_what_is_no_json_is_refused(api, profile, body):
    api.problem(api.send("profiles/things/executions/", body), 400, "bad-request")


def test_a_backslash_before_u0000_is_no_nul(api, profile):
    answer = api.send("profiles/things/executions/", {"note": "\\u0000"})
    assert answer.status_code == 201
    assert answer.json()["note"] == "\\u0000"


@pytest.mark.parametrize("body", ["[]", "1", "null", '"text"'])
def test_json_of_another_shape_is_refused(api, profile, body):
    api.problem(api.send("profiles/things/executions/", body), 422, "invalid")


def test_a_huge_body_is_refused(api, profile, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = api.send("profiles/things/executions/", {"note": "x" * 1000})
    api.problem(answer, 413, "too-large")


def test_another_content_type_is_refused(api, profile):
    answer = Client.post(
        api, "/api/v1/profiles/things/executions/", "a=1", content_type="text/plain"
    )
    api.problem(answer, 415, "unsupported-media-type")


def test_an_unknown_field_is_named_with_its_pointer(api, profile):
    answer = api.send("profiles/things/executions/", {"paramters": {}, "a/b~c": 1})
    found = api.problem(answer, 422, "invalid")
    assert {error["pointer"] for error in found["errors"]} == {"/paramters", "/a~1b~0c"}
    assert {error["code"] for error in found["errors"]} == {"unknown"}
    assert "parameters" in found["errors"][0]["detail"]


def test_an_unknown_query_parameter_is_named_with_the_valid_ones(api):
    found = api.problem(api.get("executions/?statsu=failed"), 400, "bad-query")
    assert found["errors"][0]["parameter"] == "statsu"
    assert "status" in found["valid"]


def test_a_nul_in_the_query_is_refused(api):
    api.problem(api.get("executions/?name=a%00"), 400, "bad-query")


def test_a_database_that_is_away_is_said(api, monkeypatch):
    def away(*_):
        raise OperationalError("connection refused")

    monkeypatch.setattr(executions, "visible_to", away)
    answer = api.get("executions/")
    api.problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"]


def test_a_bug_is_reported_and_said(api, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(executions, "visible_to", broken)
    api.raise_request_exception = False
    found = api.problem(api.get("executions/"), 500, "server-error")
    assert "ZeroDivisionError" not in found["detail"]
    assert "ZeroDivisionError" in caplog.text
    api.raise_request_exception = True
    with pytest.raises(ZeroDivisionError):
        api.get("executions/")


def test_a_session_needs_the_csrf_token_to_change_anything(bob, execution):
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    address = f"/api/v1/executions/{execution(bob).pk}/"
    assert client.get(address).status_code == 200
    answer = client.delete(address)
    Api().problem(answer, 403, "forbidden")
    assert "CSRF" in answer.json()["detail"]


def test_answers_are_kept_by_nobody_but_the_client(api):
    answer = api.get("executions/")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Vary"] == "Authorization, Cookie"
