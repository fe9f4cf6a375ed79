"""API tokens: made with a password or a session, shown once, expiring, revocable."""

import base64
import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from jobs.models import ApiToken
from tests.api.support import Api
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


def basic(name: str, password: str = PASSWORD) -> Api:
    """A client that logs in with name and password at every request."""
    return Api(authorization="Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())


def test_a_token_is_made_with_a_password_and_shown_once(bob):
    made = basic("bob").send("tokens/", {"name": "nightly"})
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    token = made.json()["token"]
    api = Api(authorization=f"Bearer {token}")
    listed = api.get("tokens/").json()
    assert [one["name"] for one in listed] == ["nightly"]
    assert token not in str(listed)
    assert listed[0]["id"] == token[: len(listed[0]["id"])]


def test_no_usable_token_is_stored(bob):
    token = basic("bob").send("tokens/", {"name": "nightly"}).json()["token"]
    row = ApiToken.objects.values().get()
    assert token not in {str(value) for value in row.values()}
    assert row["digest"] not in str(Api(bob).get("tokens/").json())


def test_a_token_is_made_with_a_session(bob):
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    refused = client.post("/api/v1/tokens/", {"name": "x"}, content_type="application/json")
    Api().problem(refused, 403, "forbidden")
    client.handler.enforce_csrf_checks = False
    made = client.post("/api/v1/tokens/", {"name": "x"}, content_type="application/json")
    assert made.status_code == 201


def test_a_token_makes_no_tokens(api):
    api.problem(api.send("tokens/", {"name": "child"}), 403, "forbidden")


def test_it_lives_ninety_days_unless_said_otherwise(bob):
    made = basic("bob").send("tokens/", {"name": "a"}).json()
    life = dt.datetime.fromisoformat(made["expires_at"]) - timezone.now()
    assert dt.timedelta(days=89) < life <= dt.timedelta(days=90)
    soon = (timezone.now() + dt.timedelta(days=1)).isoformat()
    made = basic("bob").send("tokens/", {"name": "b", "expires_at": soon}).json()
    assert dt.datetime.fromisoformat(made["expires_at"]) < timezone.now() + dt.timedelta(days=1)


@pytest.mark.parametrize("days", [-1, 400])
def test_an_end_in_the_past_or_years_away_is_refused(bob, days):
    ends = (timezone.now() + dt.timedelta(days=days)).isoformat()
    answer = basic("bob").send("tokens/", {"name": "a", "expires_at": ends})
    found = Api().problem(answer, 422, "invalid")
    assert found["errors"][0]["pointer"] == "/expires_at"


def test_an_expired_token_is_refused(bob):
    _, token = ApiToken.objects.create(bob, expiry=dt.timedelta(seconds=-1))
    api = Api(authorization=f"Bearer {token}")
    api.problem(api.get("executions/"), 401, "unauthorized")


def test_a_revoked_token_is_refused(api):
    token = api.get("tokens/").json()[0]["id"]
    assert api.delete(f"tokens/{token}/").status_code == 204
    api.problem(api.get("tokens/"), 401, "unauthorized")


def test_other_peoples_tokens_do_not_exist(api, person):
    made, _ = ApiToken.objects.create(person("ann"), name="hers")
    api.problem(api.delete(f"tokens/{made.token_key}/"), 404, "not-found")
    assert "hers" not in str(api.get("tokens/").json())


def test_a_reading_token_changes_nothing(bob, execution):
    made = basic("bob").send("tokens/", {"name": "dashboard", "scopes": ["read"]}).json()
    api = Api(authorization=f"Bearer {made['token']}")
    mine = execution(bob)
    assert api.get(f"executions/{mine.pk}/").status_code == 200
    found = api.problem(api.send(f"executions/{mine.pk}/stop/", {}), 403, "forbidden")
    assert "only read" in found["detail"]
    api.problem(api.delete(f"tokens/{made['id']}/"), 403, "forbidden")


def test_an_unknown_scope_is_refused(bob):
    answer = basic("bob").send("tokens/", {"name": "a", "scopes": ["everything"]})
    Api().problem(answer, 422, "invalid")


def test_its_use_is_noted_to_the_minute(api):
    api.get("executions/")
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    api.get("executions/")
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=first - dt.timedelta(minutes=2))
    api.get("executions/")
    assert ApiToken.objects.get().last_used_at > first


def test_a_password_opens_no_other_door(bob):
    api = basic("bob")
    api.problem(api.get("executions/"), 401, "unauthorized")


def test_failed_passwords_lock_the_name(bob):
    for _ in range(5):
        answer = basic("bob", "wrong").send("tokens/", {"name": "a"})
        Api().problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    answer = basic("bob", "wrong").send("tokens/", {"name": "a"})
    Api().problem(answer, 429, "too-many-requests")
    answer = basic("bob").send("tokens/", {"name": "a"})
    Api().problem(answer, 429, "too-many-requests")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("credentials", ["", "x", "bm9jb2xvbg=="])
def test_a_malformed_password_header_is_refused(db, credentials):
    api = Api(authorization=f"Basic {credentials}")
    api.problem(api.send("tokens/", {"name": "a"}), 401, "unauthorized")
