"""Uploads: files that wait for a launch."""

import hashlib
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from jobs.models import Upload
from tests.api.support import Api

pytestmark = pytest.mark.django_db


def file(data: bytes = b"sku;name\n", name: str = "things.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def test_a_file_is_kept_and_described(api, bob):
    answer = api.form("uploads/", {"file": file(b"a" * 3_000_000)})
    assert answer.status_code == 201
    found = answer.json()
    assert found["name"] == "things.csv"
    assert found["size"] == 3_000_000
    assert found["sha256"] == hashlib.sha256(b"a" * 3_000_000).hexdigest()
    stored = Upload.objects.get(pk=found["id"])
    assert stored.user == bob
    assert "things" not in stored.file.name


def test_two_files_of_one_name_do_not_meet(api):
    first = api.form("uploads/", {"file": file(b"1")}).json()
    second = api.form("uploads/", {"file": file(b"2")}).json()
    assert first["id"] != second["id"]
    assert {Path(up.file.path).read_bytes() for up in Upload.objects.all()} == {b"1", b"2"}


def test_an_empty_file_is_a_file(api):
    assert api.form("uploads/", {"file": file(b"")}).json()["size"] == 0


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\\..\\b.csv"])
def test_a_path_in_the_name_reaches_no_folder(api, name):
    found = api.form("uploads/", {"file": file(name=name)}).json()
    assert "/" not in found["name"]
    assert Upload.objects.get().file.name.startswith("uploads/")
    assert ".." not in Upload.objects.get().file.name


def test_without_a_file_nothing_is_kept(api):
    found = api.problem(api.form("uploads/", {"text": "x"}), 422, "invalid")
    assert {error["pointer"] for error in found["errors"]} <= {"/file", "/text"}
    api.problem(api.form("uploads/", {"file": "no file"}), 422, "invalid")


def test_json_is_no_upload(api):
    api.problem(api.send("uploads/", {}), 415, "unsupported-media-type")


def test_uploads_are_not_listed(api):
    api.problem(api.get("uploads/"), 405, "method-not-allowed")


def test_without_the_tracker_nothing_is_kept(person):
    api = Api(person("nobody", None))
    api.problem(api.form("uploads/", {"file": file()}), 403, "denied")
    assert not Upload.objects.exists()
