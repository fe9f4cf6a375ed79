"""Files of an execution: listed, downloaded whole or by range, only by those who may."""

import hashlib
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from jobs.models import ExecutionFile, JobProfile
from jobs.states import Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db

DATA = b"0123456789"


@pytest.fixture
def ended(bob, execution, profile):
    return execution(bob, Status.COMPLETED, profile=profile)


@pytest.fixture
def file(ended) -> ExecutionFile:
    return keep(ended, "result.csv", DATA)


def keep(execution, name: str, data: bytes, role: str = "output") -> ExecutionFile:
    found = ExecutionFile(
        execution=execution,
        role=role,
        name=name,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    found.file.save(name, ContentFile(data))
    return found


def content(answer) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_files_are_listed_with_their_addresses(api, ended, file):
    (found,) = api.get(f"executions/{ended.pk}/files/").json()
    assert (found["name"], found["size"], found["role"]) == ("result.csv", 10, "output")
    assert content(api.get(found["links"]["download"])) == DATA


def test_a_file_is_an_attachment_whatever_it_holds(api, ended):
    keep(ended, "page.html", b"<script>alert(1)</script>")
    answer = api.get(f"executions/{ended.pk}/files/page.html/")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="page.html"'
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert content(answer) == b"<script>alert(1)</script>"


def test_a_name_with_quotes_and_umlauts_is_sent_safely(api, ended):
    kept = keep(ended, 'ä"\\.csv', DATA)
    answer = api.get(f"executions/{ended.pk}/files/{kept.pk}/")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=utf-8''%C3%A4%22%5C.csv"
    content(answer)


def test_the_newest_of_a_name_is_meant(api, ended, file):
    keep(ended, "result.csv", b"input", "input")
    assert content(api.get(f"executions/{ended.pk}/files/result.csv/")) == b"input"
    assert content(api.get(f"executions/{ended.pk}/files/{file.pk}/")) == DATA


@pytest.mark.parametrize(
    ("header", "part", "said"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=8-100", b"89", "bytes 8-9/10"),
        ("bytes=-100", DATA, "bytes 0-9/10"),
        ("bytes=0-0", b"0", "bytes 0-0/10"),
    ],
)
def test_a_range_is_answered_with_206(api, file, header, part, said):
    path = f"executions/{file.execution_id}/files/result.csv/"
    answer = api.get(path, headers={"Range": header})
    assert answer.status_code == 206
    assert content(answer) == part
    assert answer.headers["Content-Range"] == said
    assert answer.headers["Content-Length"] == str(len(part))


@pytest.mark.parametrize(
    "header",
    ["bytes=5-2", "bytes=0-1,3-4", "rows=0-1", "bytes=-", "bytes=x-y", "bytes=" + "9" * 50],
)
def test_a_range_that_makes_no_sense_is_left_aside(api, ended, file, header):
    answer = api.get(f"executions/{ended.pk}/files/result.csv/", headers={"Range": header})
    assert answer.status_code == 200
    assert content(answer) == DATA


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_a_range_behind_the_end_is_answered_with_416(api, ended, file, header):
    answer = api.get(f"executions/{ended.pk}/files/result.csv/", headers={"Range": header})
    api.problem(answer, 416, "range-not-satisfiable")
    assert answer.headers["Content-Range"] == "bytes */10"


def test_a_download_is_resumed_only_of_the_same_content(api, ended, file):
    path = f"executions/{ended.pk}/files/result.csv/"
    answer = api.get(path, headers={"Range": "bytes=4-", "If-Range": '"other"'})
    assert (answer.status_code, content(answer)) == (200, DATA)
    etag = answer.headers["ETag"]
    answer = api.get(path, headers={"Range": "bytes=4-", "If-Range": etag})
    assert (answer.status_code, content(answer)) == (206, b"456789")
    assert api.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_an_empty_file_is_sent(api, ended):
    keep(ended, "empty.csv", b"")
    path = f"executions/{ended.pk}/files/empty.csv/"
    assert content(api.get(path)) == b""
    assert api.get(path, headers={"Range": "bytes=0-"}).status_code == 416


def test_downloading_needs_the_right(ended, file, person):
    viewer = Api(person("viewer", "Viewer"))
    assert viewer.get(f"executions/{ended.pk}/files/").status_code == 200
    answer = viewer.get(f"executions/{ended.pk}/files/{file.pk}/")
    assert viewer.problem(answer, 403, "denied")["needs"] == "jobs.download_files"


def test_files_of_sensitive_profiles_are_their_owners(api, lead_api, ended, file):
    path = f"executions/{ended.pk}/files/{file.pk}/"
    assert content(lead_api.get(path)) == DATA
    JobProfile.objects.update(sensitive=True)
    lead_api.problem(lead_api.get(path), 403, "denied")
    assert content(api.get(path)) == DATA


def test_a_file_belongs_to_its_execution(api, bob, execution, file):
    other = execution(bob, Status.COMPLETED)
    for key in (file.pk, "result.csv", "9" * 40, "%00", "..%2F..%2Fetc%2Fpasswd"):
        answer = api.get(f"executions/{other.pk}/files/{key}/")
        api.problem(answer, 404, "not-found")


def test_a_stranger_finds_no_file(person, ended, file):
    stranger = Api(person("ann"))
    answer = stranger.get(f"executions/{ended.pk}/files/{file.pk}/")
    stranger.problem(answer, 404, "not-found")


def test_a_file_whose_content_is_gone_is_said(api, ended, file):
    Path(file.file.path).unlink()
    found = api.problem(api.get(f"executions/{ended.pk}/files/{file.pk}/"), 404, "not-found")
    assert "no longer stored" in found["detail"]
