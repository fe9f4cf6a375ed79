"""What people may send: how much, and what."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import override_settings

from jobs import control
from jobs.models import JobProfile, Upload


@pytest.fixture
def ann(person) -> User:
    return person("ann")


@pytest.fixture
def send_file(client, ann: User):
    client.force_login(ann)

    def sent(content: bytes, name: str = "a.csv"):
        return client.post("/api/v1/uploads/", {"file": ContentFile(content, name=name)})

    return sent


@override_settings(JOBS_UPLOAD_BYTES=1000)
@pytest.mark.parametrize("size", [1001, 5_000_000])
def test_a_file_over_the_limit_is_refused_and_kept_nowhere(send_file, size: int):
    answer = send_file(b"x" * size)
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:millrace:problem:too-large"
    assert "'a.csv' is larger than 1000 bytes, the most" in answer.json()["detail"]
    assert not Upload.objects.exists()
    assert send_file(b"x" * 1000).status_code == 201


@override_settings(JOBS_UPLOADS_PER_DAY_BYTES=1500)
def test_a_person_sends_so_much_a_day_and_no_more(send_file, person):
    assert send_file(b"x" * 1000).status_code == 201
    answer = send_file(b"x" * 501)
    assert answer.status_code == 413
    assert "would have sent 1.5 KB within a day; 1.5 KB are allowed" in answer.json()["detail"]
    assert send_file(b"x" * 500).status_code == 201
    other = control.upload(ContentFile(b"x" * 1000, name="b.csv"), user=person("bob"))
    assert other.size == 1000


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"MZ\x90\0\3\0\0\0", "products.csv", "a program for Windows"),
        (b"\x7fELF\2\1\1", "products.csv", "a program for Linux"),
        (b"#!/bin/sh\nrm -rf /\n", "products.csv", "a script"),
        (b"sku;name\na;b\n", "products.exe", "a program by its ending .exe"),
    ],
)
def test_programs_are_refused_whatever_they_are_called(send_file, content, name, said):
    answer = send_file(content, name)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:millrace:problem:file-refused"
    assert said in answer.json()["detail"]
    assert not Upload.objects.exists()


def test_a_column_may_be_called_mz(send_file):
    assert send_file(b"MZ;name\n1;a\n").status_code == 201


@pytest.mark.parametrize("name", ["../../etc/passwd.csv", "/etc/a.csv", "a\0b.csv"])
def test_a_name_is_shown_and_never_a_path(ann: User, name: str):
    class Named(ContentFile):
        """A file whose name Django has not cleaned."""

    file = Named(b"sku\n")
    found = control.upload(file, user=ann, name=name)
    assert "/" not in found.name
    assert "\0" not in found.name
    assert found.file.name.startswith("uploads/")
    assert ".." not in found.file.name
    assert default_storage.exists(found.file.name)


def test_the_page_says_why_a_file_is_not_taken(client, person, settings):
    settings.JOBS_UPLOAD_BYTES = 1000
    client.force_login(person("ann"))
    JobProfile.objects.create(code="things", label="Things", job="things.import_things")
    sent = {"file": ContentFile(b"x" * 2000, name="a.csv"), "separator": ";"}
    answer = client.post("/profiles/things/", sent)
    assert answer.status_code == 422
    assert "is larger than 1000 bytes" in answer.content.decode()
