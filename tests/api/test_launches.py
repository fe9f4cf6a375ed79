"""Launching: with files, with parameters, held, and once for every idempotency key."""

import datetime as dt
import threading
import uuid
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from jobs import control
from jobs.models import ExecutionFile, JobExecution, JobProfile, Upload
from jobs.states import Status
from tests.api.support import Api

LAUNCH = "profiles/things/executions/"

pytestmark = pytest.mark.django_db


def file(data: bytes = b"sku\n1\n", name: str = "things.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def test_a_profile_is_launched(api, profile, bob):
    answer = api.send(LAUNCH, {"name": "Tuesday", "parameters": {"limit": 5}, "note": "Try"})
    assert answer.status_code == 201
    found = answer.json()
    made = JobExecution.objects.get()
    assert answer.headers["Location"] == f"http://testserver/api/v1/executions/{made.pk}/"
    assert "Idempotent-Replayed" not in answer.headers
    assert (made.user, made.profile, made.trigger) == (bob, profile, "api")
    assert found["name"] == "Tuesday"
    assert found["status"] == "queued"
    assert found["parameters"] == {"separator": ";", "limit": 5}
    assert found["note"] == "Try"
    assert found["actions"]["stop"] == {"allowed": True, "reason": ""}
    assert found["waiting"]["reason"] == "no_worker"


def test_a_job_is_launched_without_a_profile(api):
    found = api.send("jobs/things.import_things/executions/", {}).json()
    assert found["profile"] is None
    assert found["job"] == "things.import_things"


def test_an_unknown_job_is_not_launched(api):
    api.problem(api.send("jobs/nothing.here/executions/", {}), 404, "unknown-job")


def test_a_role_without_the_right_is_told_which(api, person, profile):
    viewer = Api(person("viewer", "Viewer"))
    found = viewer.problem(viewer.send(LAUNCH, {}), 403, "denied")
    assert found["needs"] == "jobs.launch_import"
    found = api.problem(api.send("jobs/things.run_program/executions/", {}), 403, "denied")
    assert found["needs"] == "jobs.launch_command"
    assert not JobExecution.objects.exists()


def test_a_disabled_profile_is_not_launched(api, profile):
    JobProfile.objects.update(enabled=False)
    api.problem(api.send(LAUNCH, {}), 409, "profile-disabled")


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"limit": 100}, "/parameters/limit"),
        ({"separator": "|"}, "/parameters/separator"),
        ({"nothing": 1}, "/parameters/nothing"),
        ({"file": str(uuid.uuid4())}, "/parameters/file"),
        ({"file": "x"}, "/parameters/file"),
        ({"file": ["x"]}, "/parameters/file"),
    ],
)
def test_wrong_parameters_are_named(api, profile, parameters, pointer):
    answer = api.send(LAUNCH, {"parameters": parameters})
    found = api.problem(answer, 422, "invalid")
    assert [error["pointer"] for error in found["errors"]] == [pointer]
    assert not JobExecution.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"priority": 40_000},
        {"priority": "high"},
        {"not_before": "tomorrow"},
        {"name": "x" * 201},
        {"deferred": "perhaps"},
        {"parameters": []},
        {"file": "x"},
    ],
)
def test_wrong_fields_are_named(api, profile, body):
    found = api.problem(api.send(LAUNCH, body), 422, "invalid")
    assert [error["pointer"] for error in found["errors"]] == [f"/{name}" for name in body]


def test_locked_parameters_stay_as_they_are(api, profile):
    JobProfile.objects.update(parameters={"separator": ","}, locked=["separator"])
    answer = api.send(LAUNCH, {"parameters": {"separator": ";"}})
    found = api.problem(answer, 422, "invalid")
    assert "locked" in found["errors"][0]["detail"]


def test_it_can_be_held(api, profile):
    assert api.send(LAUNCH, {"deferred": True}).json()["status"] == "deferred"
    later = (timezone.now() + dt.timedelta(hours=1)).isoformat()
    found = api.send(LAUNCH, {"not_before": later, "expires_at": later, "priority": -5}).json()
    assert found["status"] == "deferred"
    assert found["waiting"]["reason"] == "not_before"
    assert found["priority"] == -5


def test_an_upload_is_named_by_its_id(api, profile, bob):
    sent = control.upload(ContentFile(b"sku\n1\n", name="a.csv"), user=bob)
    found = api.send(LAUNCH, {"file": str(sent.pk)}).json()
    kept = ExecutionFile.objects.get(execution=found["id"])
    assert (kept.field, kept.name, kept.role) == ("file", "a.csv", "input")


def test_somebody_elses_upload_does_not_exist(api, profile, person):
    sent = control.upload(ContentFile(b"sku\n1\n", name="a.csv"), user=person("ann"))
    found = api.problem(api.send(LAUNCH, {"file": str(sent.pk)}), 422, "invalid")
    assert str(sent.pk) in found["detail"]


def test_a_form_brings_its_files_with_it(api, profile):
    answer = api.form(
        LAUNCH,
        {
            "file": file(),
            "second": file(name="more.csv"),
            "parameters": '{"limit": 5}',
            "name": "By form",
            "deferred": "true",
        },
    )
    assert answer.status_code == 201, answer.content
    found = answer.json()
    assert found["name"] == "By form"
    assert found["status"] == "deferred"
    assert found["parameters"]["limit"] == 5
    kept = ExecutionFile.objects.filter(execution=found["id"])
    assert sorted(kept.values_list("field", "name")) == [
        ("file", "things.csv"),
        ("second", "more.csv"),
    ]


@pytest.mark.parametrize(
    ("form", "pointer"),
    [
        ({"parameters": "{"}, "/parameters"),
        ({"parameters": "[]"}, "/parameters"),
        ({"third": "text"}, "/third"),
        ({"priority": "high"}, "/priority"),
    ],
)
def test_what_is_wrong_with_a_form_is_named(api, profile, form, pointer):
    found = api.problem(api.form(LAUNCH, {"file": file()} | form), 422, "invalid")
    assert [error["pointer"] for error in found["errors"]] == [pointer]


def test_a_file_for_no_parameter_is_refused(api, profile):
    found = api.problem(api.form(LAUNCH, {"third": file()}), 422, "invalid")
    assert found["errors"][0]["pointer"] == "/third"


def test_a_failed_launch_leaves_no_file(api, profile, settings):
    data = b"sku\nleaves no file\n"
    answer = api.form(LAUNCH, {"file": file(data), "parameters": '{"limit": 1000}'})
    api.problem(answer, 422, "invalid")
    assert not Upload.objects.exists()
    stored = [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]
    assert not [path for path in stored if path.read_bytes() == data]


def test_the_same_request_launches_once(api, profile, bob):
    first = api.send(LAUNCH, {"parameters": {"limit": 5}}, **{"Idempotency-Key": "monday"})
    again = api.send(LAUNCH, {"parameters": {"limit": 5}}, **{"Idempotency-Key": "monday"})
    assert again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert JobExecution.objects.count() == 1


def test_the_same_key_for_another_request_is_refused(api, profile):
    api.send(LAUNCH, {}, **{"Idempotency-Key": "monday"})
    answer = api.send(LAUNCH, {"parameters": {"limit": 5}}, **{"Idempotency-Key": "monday"})
    found = api.problem(answer, 422, "idempotency-mismatch")
    assert "'monday'" in found["detail"]
    answer = api.send("jobs/things.import_things/executions/", {}, **{"Idempotency-Key": "monday"})
    api.problem(answer, 422, "idempotency-mismatch")


def test_a_key_belongs_to_one_person(api, profile, lead_api):
    api.send(LAUNCH, {}, **{"Idempotency-Key": "monday"})
    assert lead_api.send(LAUNCH, {}, **{"Idempotency-Key": "monday"}).status_code == 201
    assert JobExecution.objects.count() == 2


def test_a_repeated_form_is_known_by_its_content(api, profile):
    key = {"Idempotency-Key": "monday"}
    first = api.form(LAUNCH, {"file": file()}, **key)
    again = api.form(LAUNCH, {"file": file(name="renamed.csv")}, **key)
    assert again.json()["id"] == first.json()["id"]
    assert Upload.objects.count() == 1
    other = api.form(LAUNCH, {"file": file(b"sku\n2\n")}, **key)
    api.problem(other, 422, "idempotency-mismatch")


@pytest.mark.parametrize("key", ["", "x" * 256, "\x07", "a\x00b"])
def test_an_unusable_key_is_refused(api, profile, key):
    api.problem(api.send(LAUNCH, {}, **{"Idempotency-Key": key}), 422, "invalid")


def test_a_finished_execution_is_replayed_too(api, profile):
    first = api.send(LAUNCH, {}, **{"Idempotency-Key": "monday"}).json()
    api.send(f"executions/{first['id']}/stop/", {})
    again = api.send(LAUNCH, {}, **{"Idempotency-Key": "monday"})
    assert again.json()["status"] == Status.STOPPED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("as_form", [False, True])
def test_two_requests_at_once_launch_once(person, as_form):
    JobProfile.objects.create(code="things", label="Things", job="things.import_things")
    user = person("bob")
    clients, start = [Api(user) for _ in range(8)], threading.Barrier(8)
    answers = []

    def send(api: Api) -> None:
        start.wait()
        key = {"Idempotency-Key": "monday"}
        if as_form:
            answers.append(api.form(LAUNCH, {"file": file()}, **key))
        else:
            answers.append(api.send(LAUNCH, {}, **key))
        connection.close()

    threads = [threading.Thread(target=send, args=(api,)) for api in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [a.headers.get("Idempotent-Replayed") for a in answers].count("true") == 7
    assert JobExecution.objects.count() == 1
    assert Upload.objects.count() == (1 if as_form else 0)


def test_a_launch_that_is_skipped_answers_with_the_open_one(api, profile, bob):
    profile.concurrency, profile.overlap = 1, "skip"
    profile.save()
    first = control.launch(profile=profile, user=bob)
    answer = api.form(LAUNCH, {"file": file()})
    assert (answer.status_code, answer.headers["Launch-Skipped"]) == (200, "true")
    assert answer.json()["id"] == str(first.pk)
    assert not Upload.objects.exists()


def test_a_launch_that_is_rejected_names_the_open_one(api, profile, bob):
    profile.concurrency, profile.overlap = 1, "reject"
    profile.save()
    first = control.launch(profile=profile, user=bob)
    found = api.problem(api.send(LAUNCH, {}), 409, "overlapping")
    assert found["execution"] == str(first.pk)
    assert "nothing was launched" in found["detail"]


def test_a_launch_is_aimed(api, profile):
    found = api.send(LAUNCH, {"node": "a", "node_roles": ["gpu"]}).json()
    assert (found["aimed_node"], found["aimed_roles"]) == ("a", ["gpu"])
