"""Profiles: list, make, show, change with If-Match, delete, and what a launch needs."""

import datetime as dt

import jsonschema
import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from jobs.models import JobProfile, ProfileGrant
from jobs.states import Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db

NEW = {"code": "nightly", "label": "Nightly", "job": "things.import_things"}


@pytest.fixture
def manager(person) -> Api:
    return Api(person("manager", "Data manager"))


def grant(profile: JobProfile, role: str, **rights: bool) -> None:
    ProfileGrant.objects.create(profile=profile, group=Group.objects.get(name=role), **rights)


def test_profiles_are_listed_with_what_one_may(api, profile):
    found = api.get("profiles/?job=things.import_things").json()["results"]
    assert [one["code"] for one in found] == ["things"]
    assert found[0]["actions"] == {"launch": {"allowed": True, "reason": ""}}


def test_a_profile_is_shown_with_an_etag(api, profile):
    answer = api.get("profiles/things/")
    assert answer.json()["job"] == "things.import_things"
    assert answer.json()["actions"]["edit"]["allowed"] is False
    again = api.get("profiles/things/", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert again.content == b""


def test_profiles_of_other_groups_do_not_exist(api, profile):
    grant(profile, "Lead", launch=True)
    assert "things" not in {one["code"] for one in api.get("profiles/").json()["results"]}
    for path in ("profiles/things/", "profiles/things/launch/"):
        api.problem(api.get(path), 404, "not-found")
    api.problem(api.send("profiles/things/executions/", {}), 404, "not-found")


def test_a_group_that_only_views_does_not_launch(api, profile):
    grant(profile, "User")
    found = api.problem(api.send("profiles/things/executions/", {}), 403, "denied")
    assert "other groups" in found["detail"]
    assert api.get("profiles/things/launch/").json()["allowed"] is False


def test_a_profile_is_made(manager):
    body = NEW | {
        "parameters": {"separator": ","},
        "locked": ["separator"],
        "timeout_seconds": 60,
        "grants": [{"group": "User", "launch": True}],
    }
    answer = manager.send("profiles/", body)
    assert answer.status_code == 201, answer.content
    made = JobProfile.objects.get(code="nightly")
    assert made.parameters == {"separator": ","}
    assert list(made.grants.values_list("group__name", "view", "launch", "edit")) == [
        ("User", True, True, False)
    ]
    assert answer.headers["Location"].endswith("/api/v1/profiles/nightly/")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"code": "Not A Code"}, "/code"),
        ({"code": "things"}, "/code"),
        ({"job": "nothing.here"}, "/job"),
        ({"parameters": {"limit": 1000}}, "/parameters"),
        ({"parameters": {"nothing": 1}}, "/parameters"),
        ({"parameters": {"file": "x"}}, "/parameters"),
        ({"priority": 100_000}, "/priority"),
        ({"timeout_seconds": 0}, "/timeout_seconds"),
        ({"queue": "a b"}, "/queue"),
        ({"grants": [{"group": "Nobody"}]}, "/grants"),
        ({"grants": [{"group": "User"}, {"group": "User"}]}, "/grants"),
        ({"grants": [{"group": "User", "own": True}]}, "/grants/0/own"),
        ({"version": 7}, "/version"),
        ({"locked": ["nothing"]}, "/locked"),
        ({"concurrency": 0}, "/concurrency"),
        ({"overlap": "stop"}, "/overlap"),
        ({"start_rate": "often"}, "/start_rate"),
    ],
)
def test_what_is_wrong_with_a_new_profile_is_said(manager, profile, change, pointer):
    found = manager.problem(manager.send("profiles/", NEW | change), 422, "invalid")
    assert {error["pointer"] for error in found["errors"]} == {pointer}
    assert not JobProfile.objects.filter(label="Nightly").exists()


def test_a_user_makes_no_profiles(api):
    found = api.problem(api.send("profiles/", NEW), 403, "denied")
    assert found["needs"] == "jobs.add_jobprofile"


def test_a_manager_makes_no_profiles_of_commands(manager):
    answer = manager.send("profiles/", NEW | {"job": "things.run_program"})
    found = manager.problem(answer, 403, "denied")
    assert found["needs"] == "jobs.manage_commands"


def test_a_change_needs_what_was_read(manager, profile):
    found = manager.send("profiles/things/", {"label": "New"}, method="patch")
    manager.problem(found, 428, "precondition-required")
    etag = manager.get("profiles/things/").headers["ETag"]
    changed = manager.send(
        "profiles/things/", {"label": "New", "priority": 3}, method="patch", **{"If-Match": etag}
    )
    assert changed.status_code == 200
    assert changed.json()["label"] == "New"
    assert changed.json()["version"] == 2
    late = manager.send("profiles/things/", {"label": "Old"}, method="patch", **{"If-Match": etag})
    manager.problem(late, 412, "precondition-failed")
    assert changed.headers["ETag"] == manager.get("profiles/things/").headers["ETag"]


@pytest.mark.parametrize("name", ["code", "job", "version", "type"])
def test_what_a_profile_is_cannot_be_changed(manager, profile, name):
    etag = manager.get("profiles/things/").headers["ETag"]
    answer = manager.send("profiles/things/", {name: "x"}, method="patch", **{"If-Match": etag})
    manager.problem(answer, 422, "invalid")


def test_grants_are_changed_as_a_whole(manager, profile, person):
    grant(profile, "User", launch=True)
    grant(profile, "Data manager", edit=True)
    etag = manager.get("profiles/things/").headers["ETag"]
    body = {"grants": [{"group": "Lead", "launch": True}, {"group": "Data manager", "edit": True}]}
    answer = manager.send("profiles/things/", body, method="patch", **{"If-Match": etag})
    assert [one["group"] for one in answer.json()["grants"]] == ["Data manager", "Lead"]


def test_a_user_changes_and_deletes_nothing(api, profile):
    answer = api.send("profiles/things/", {"label": "x"}, method="patch", **{"If-Match": "*"})
    assert api.problem(answer, 403, "denied")["needs"] == "jobs.change_jobprofile"
    answer = api.delete("profiles/things/")
    assert api.problem(answer, 403, "denied")["needs"] == "jobs.delete_jobprofile"


def test_a_profile_is_deleted_and_its_executions_stay(manager, profile, execution, bob):
    ended = execution(bob, Status.COMPLETED, profile=profile)
    assert manager.delete("profiles/things/").status_code == 204
    ended.refresh_from_db()
    assert ended.profile is None
    manager.problem(manager.delete("profiles/things/"), 404, "not-found")


def test_a_profile_with_open_executions_is_not_deleted(manager, profile, execution, bob):
    execution(bob, Status.QUEUED, profile=profile)
    manager.problem(manager.delete("profiles/things/"), 409, "refused")


def test_a_sensitive_profile_keeps_guarding_its_executions(manager, profile, execution, bob):
    JobProfile.objects.update(sensitive=True)
    execution(bob, Status.COMPLETED, profile=profile)
    manager.problem(manager.delete("profiles/things/"), 409, "refused")


def test_what_a_launch_needs(api, profile, execution, bob):
    JobProfile.objects.update(parameters={"separator": ","}, locked=["separator"])
    began = timezone.now() - dt.timedelta(seconds=60)
    execution(bob, Status.COMPLETED, profile=profile, started_at=began)
    execution(bob, Status.QUEUED)
    found = api.get("profiles/things/launch/").json()
    jsonschema.Draft202012Validator.check_schema(found["schema"])
    assert found["allowed"] is True
    assert found["schema"]["properties"]["separator"]["default"] == ","
    assert found["locked"] == ["separator"]
    assert found["queued"] == 1
    assert found["usual"]["executions"] == 1
    assert 55 < found["usual"]["running_seconds"] < 65


def test_a_profile_without_its_job_is_still_shown(api, profile):
    JobProfile.objects.update(job="gone.away")
    assert api.get("profiles/things/").json()["type"] == "other"
    needs = api.get("profiles/things/launch/").json()
    assert "no longer installed" in needs["reason"]
    api.problem(api.send("profiles/things/executions/", {}), 409, "unknown-job")
