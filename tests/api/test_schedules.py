"""Schedules over REST."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from jobs.models import Schedule
from jobs.models.base import database_now
from tests.api.support import Api

pytestmark = pytest.mark.django_db

NEW = {
    "code": "nightly",
    "label": "Nightly",
    "profile": "things",
    "cron": "30 2 * * *",
    "time_zone": "Europe/Berlin",
    "parameters": {"separator": ","},
}


@pytest.fixture(autouse=True)
def _no_declared_ones(db):
    Schedule.objects.all().delete()


@pytest.fixture
def dora(person) -> User:
    return person("dora", "Data manager")


@pytest.fixture
def manager(dora) -> Api:
    return Api(dora)


@pytest.fixture
def nightly(manager, profile) -> dict[str, Any]:
    answer = manager.send("schedules/", NEW)
    assert answer.status_code == 201, answer.content
    assert answer.headers["Location"].endswith("/api/v1/schedules/nightly/")
    return answer.json()


def patch(client: Api, body: Any, **headers: str) -> Any:
    etag = client.get("schedules/nightly/").headers["ETag"]
    return client.send("schedules/nightly/", body, method="patch", **({"If-Match": etag} | headers))


def test_a_new_one_runs_as_who_makes_it_and_says_when(nightly, dora):
    assert nightly["words"] == "every day at 02:30"
    assert nightly["run_as"] == "dora"
    assert nightly["next_at"]
    assert nightly["actions"]["change"] == {"allowed": True, "reason": ""}
    made = Schedule.objects.get()
    assert (made.run_as, made.parameters) == (dora, {"separator": ","})


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"code": "Not A Code"}, "/code"),
        ({"cron": "nightly"}, "/cron"),
        ({"cron": "0 0 30 2 *"}, "/cron"),
        ({"time_zone": "Mars/Base"}, "/time_zone"),
        ({"parameters": {"limit": 1000}}, "/parameters/0"),
        ({"parameters": {"file": "x"}}, "/parameters/0"),
        ({"missed": "never"}, "/missed"),
        ({"overlap": "perhaps"}, "/overlap"),
        ({"next_at": None}, "/next_at"),
        ({"run_as": "nobody"}, "/run_as"),
    ],
)
def test_what_is_wrong_with_a_new_one_is_said(manager, profile, change, pointer):
    found = manager.problem(manager.send("schedules/", NEW | change), 422, "invalid")
    assert [error["pointer"].removesuffix("/0") for error in found["errors"]] == [
        pointer.removesuffix("/0")
    ]
    assert not Schedule.objects.exists()


def test_a_code_is_taken_once(manager, nightly):
    found = manager.problem(manager.send("schedules/", NEW), 422, "invalid")
    assert found["errors"][0]["pointer"] == "/code"


def test_a_profile_that_one_does_not_see_is_not_found(manager, profile):
    profile.grants.create(group=Group.objects.get(name="Lead"))
    manager.problem(manager.send("schedules/", NEW), 404, "not-found")


def test_only_administrators_name_whom_it_runs_as(manager, profile, bob, person):
    for name in ("bob", None):
        found = manager.problem(manager.send("schedules/", NEW | {"run_as": name}), 403, "denied")
        assert found["needs"] == "auth.change_user"
    admin = Api(person("adam", "Administrator"))
    assert admin.send("schedules/", NEW | {"run_as": "bob"}).json()["run_as"] == "bob"
    nobody = admin.send("schedules/", NEW | {"run_as": None, "code": "platform"})
    assert nobody.json()["run_as"] is None


def test_a_change_needs_what_was_read(manager, nightly):
    body = {"label": "Later", "cron": "0 4 * * *"}
    manager.problem(
        manager.send("schedules/nightly/", body, method="patch"), 428, "precondition-required"
    )
    manager.problem(patch(manager, body, **{"If-Match": '"old"'}), 412, "precondition-failed")
    assert patch(manager, body).json()["words"] == "every day at 04:00"
    manager.problem(patch(manager, {"cron": "x"}), 422, "invalid")
    assert Schedule.objects.get().cron == "0 4 * * *"


def test_another_manager_only_switches_it(nightly, person):
    other = Api(person("emil", "Data manager"))
    other.problem(patch(other, {"label": "Mine"}), 403, "denied")
    other.problem(patch(other, {"enabled": False, "label": "Mine"}), 403, "denied")
    other.problem(other.delete("schedules/nightly/"), 403, "denied")
    assert patch(other, {"enabled": False}).json()["next_at"] is None
    assert patch(other, {"enabled": True}).json()["next_at"]


def test_a_user_reads_and_changes_nothing(api, nightly):
    assert [one["code"] for one in api.get("schedules/").json()["results"]] == ["nightly"]
    shown = api.get("schedules/nightly/").json()
    assert not any(answer["allowed"] for answer in shown["actions"].values())
    for answer in (
        api.send("schedules/", NEW | {"code": "other"}),
        patch(api, {"enabled": False}),
        api.delete("schedules/nightly/"),
    ):
        assert api.problem(answer, 403, "denied")["needs"] == "jobs.manage_schedules"


def test_one_of_a_hidden_profile_does_not_exist(api, nightly, profile):
    profile.grants.create(group=Group.objects.get(name="Lead"))
    assert api.get("schedules/").json()["results"] == []
    for answer in (api.get("schedules/nightly/"), api.get("schedules/nightly/firings/"),
                   api.delete("schedules/nightly/")):  # fmt: skip
        api.problem(answer, 404, "not-found")


def test_it_is_deleted(manager, nightly):
    assert manager.delete("schedules/nightly/").status_code == 204
    assert not Schedule.objects.exists()


def test_what_came_of_its_times_is_listed(api, nightly):
    made = Schedule.objects.get()
    made.firings.create(scheduled_for=database_now(), outcome="missed", reason="Nobody was there.")
    made.firings.create(scheduled_for=database_now(), outcome="refused", reason="Disabled.")
    found = api.get("schedules/nightly/firings/").json()["results"]
    assert [one["outcome"] for one in found] == ["refused", "missed"]


def test_an_expression_is_looked_ahead(api):
    body = {"cron": "30 2 * * *", "time_zone": "Europe/Berlin", "count": 400}
    api.problem(api.send("schedules/preview/", body), 422, "invalid")
    found = api.send("schedules/preview/", body | {"count": 100}).json()
    assert found["words"] == "every day at 02:30"
    assert len(found["times"]) == 100
    assert all(one["local"][11:16] in {"02:30", "03:00"} for one in found["times"])
    wrong = api.problem(api.send("schedules/preview/", {"cron": "x"}), 422, "invalid")
    assert wrong["errors"][0]["pointer"] == "/cron"
