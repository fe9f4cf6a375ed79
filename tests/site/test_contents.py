"""What an execution holds: its files and its log."""

import os
import uuid

import pytest
from django.core.files.base import ContentFile

from jobs import control
from jobs.engine.console import Stream
from jobs.models import ConsoleText, ExecutionFile, JobExecution
from jobs.states import Status
from tests.site.support import body


@pytest.fixture
def file(bob, execution):
    """A file of an execution of bob's, under a name that means harm."""
    done = execution(bob, Status.COMPLETED)
    up = control.upload(ContentFile(b"sku;name\n1;One\n", name="things.csv"), user=bob)
    return ExecutionFile.objects.create(
        execution=done, role="input", field="file", name="<b>things</b>.html", file=up.file.name,
        size=up.size, sha256=up.sha256,
    )  # fmt: skip


def address(file):
    return f"/executions/{file.execution_id}/files/{file.pk}/"


def write(execution, *pieces, stream="console"):
    offset = 0
    for piece in pieces:
        ConsoleText.objects.create(execution=execution, stream=stream, offset=offset, text=piece)
        offset += len(piece)


def read(client, execution, offset=0, stream="console"):
    return client.get(f"/executions/{execution.pk}/log/?offset={offset}&stream={stream}")


def test_a_file_is_sent_as_an_attachment_and_never_shown(bobs, file):
    answer = bobs.get(address(file))
    assert body(answer) == b"sku;name\n1;One\n"
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer["Cache-Control"]


def test_a_part_of_a_file_can_be_fetched_and_nothing_twice(bobs, file):
    part = bobs.get(address(file), headers={"Range": "bytes=4-7"})
    assert (part.status_code, body(part)) == (206, b"name")
    assert part["Content-Range"] == f"bytes 4-7/{file.size}"
    behind = bobs.get(address(file), headers={"Range": f"bytes={file.size}-"})
    assert (behind.status_code, behind["Content-Range"]) == (416, f"bytes */{file.size}")
    again = bobs.get(address(file), headers={"If-None-Match": part["ETag"]})
    assert again.status_code == 304


def test_its_name_is_shown_as_text(bobs, file):
    page = bobs.get(f"/executions/{file.execution_id}/?tab=files").content.decode()
    assert "&lt;b&gt;things&lt;/b&gt;.html" in page
    assert "<b>things" not in page


def test_a_file_needs_the_right_to_download(browser, person, file):
    vera = browser(person("vera", "Viewer"))
    answer = vera.get(address(file))
    assert answer.status_code == 403
    assert "Your role does not allow you to download files." in answer.content.decode()
    page = vera.get(f"/executions/{file.execution_id}/?tab=files").content.decode()
    assert "Your role does not allow you to download files." in page
    assert address(file) not in page


def test_a_file_of_what_one_may_not_see_does_not_exist(browser, person, file):
    assert browser(person("eve")).get(address(file)).status_code == 404


def test_a_file_is_found_only_under_its_own_execution(bobs, bob, file, execution):
    other = execution(bob, Status.COMPLETED)
    assert bobs.get(f"/executions/{other.pk}/files/{file.pk}/").status_code == 404
    assert bobs.get(f"/executions/{uuid.uuid4()}/files/{file.pk}/").status_code == 404


def test_a_file_that_is_gone_from_the_storage_is_not_found(bobs, file):
    file.file.storage.delete(file.file.name)
    assert bobs.get(address(file)).status_code == 404


def test_two_uploads_of_one_name_do_not_meet(browser, person, profile):
    """Both are launched, and each execution has read its own."""
    contents = {"ann": b"of ann\n", "ben": b"of ben\n"}
    for name, content in contents.items():
        client = browser(person(name))
        form = {"file": ContentFile(content, name="same.csv"), "mode": "merge"}
        assert client.post("/profiles/things/", form).status_code == 302
    for name, content in contents.items():
        found = ExecutionFile.objects.get(execution__user__username=name)
        assert found.name == "same.csv"
        with found.file.open() as file:
            assert file.read() == content


def test_the_log_is_read_by_byte_offset(bobs, bob, execution):
    running = execution(bob, Status.RUNNING)
    write(running, b"one\n", b"two\n")
    piece = read(bobs, running).json()
    assert piece == {"text": "one\ntwo\n", "offset": 0, "next_offset": 8, "size": 8,
                     "complete": False}  # fmt: skip
    assert read(bobs, running, 4).json()["text"] == "two\n"
    assert read(bobs, running, 8).json()["text"] == ""


def test_the_log_is_complete_when_nothing_can_follow(bobs, bob, execution):
    done = execution(bob, Status.COMPLETED, console_open=True)
    write(done, b"one\n")
    assert read(bobs, done).json()["complete"] is False
    JobExecution.objects.update(console_open=False)
    assert read(bobs, done).json()["complete"] is True


def test_a_character_that_is_cut_in_two_waits_for_its_end(bobs, bob, execution):
    running = execution(bob, Status.RUNNING)
    write(running, "café".encode()[:-1])
    piece = read(bobs, running).json()
    assert piece["text"] == "caf"
    ConsoleText.objects.create(execution=running, offset=4, text="é".encode()[1:])
    assert read(bobs, running, piece["next_offset"]).json()["text"] == "é"


def say(execution, text):
    """Have the engine take this from the pipe of a job."""
    pipe, end = os.pipe()
    os.write(end, text)
    os.close(end)
    stream = Stream.open(execution, "console", pipe)
    stream.read()
    stream.flush(now=True)
    os.close(pipe)


def test_the_log_holds_nothing_but_text(bobs, bob, execution):
    done = execution(bob, Status.COMPLETED)
    say(done, b"\x1b[31mred\x1b[0m \x1b]0;title\x07<script>alert(1)</script>\x00\r\n50 %\r60 %\n")
    expected = "red <script>alert(1)</script>\n50 %\n60 %\n"
    assert read(bobs, done).json()["text"] == expected
    page = bobs.get(f"/executions/{done.pk}/?tab=log").content.decode()
    assert "red &lt;script&gt;" in page
    text = bobs.get(f"/executions/{done.pk}/log.txt")
    assert body(text).decode() == expected
    assert text["Content-Disposition"].startswith("attachment")


def test_a_long_log_opens_at_its_end_from_the_beginning_of_a_line(
    bobs, bob, execution, django_assert_max_num_queries
):
    done = execution(bob, Status.COMPLETED)
    write(done, *[(f"line {number}\n" * 4000).encode() for number in range(40)])
    with django_assert_max_num_queries(12):
        page = bobs.get(f"/executions/{done.pk}/?tab=log")
    piece = page.context["piece"]
    assert 60_000 < len(piece.text) <= 64 * 1024
    assert piece.text.startswith("line ")
    assert piece.text.endswith("line 39\n")
    assert piece.next_offset == piece.size


@pytest.mark.parametrize("bad", ["-1", "x", "9" * 30])
def test_an_offset_that_is_none_is_not_found(bobs, bob, execution, bad):
    assert read(bobs, execution(bob), bad).status_code == 404


def test_a_stream_that_is_none_is_not_found(bobs, bob, execution):
    assert read(bobs, execution(bob), stream="secrets").status_code == 404


def test_the_debug_log_needs_its_own_right(bobs, browser, person, bob, execution):
    done = execution(bob, Status.COMPLETED)
    write(done, b"Traceback\n", stream="debug")
    assert read(bobs, done, stream="debug").status_code == 403
    assert bobs.get(f"/executions/{done.pk}/log.txt?stream=debug").status_code == 403
    olga = browser(person("olga", "Operator"))
    assert read(olga, done, stream="debug").json()["text"] == "Traceback\n"


@pytest.mark.parametrize("path", ["log/", "log.txt", "files/1/"])
def test_they_are_only_read_and_only_by_people_who_are_signed_in(
    client, bobs, bob, execution, path
):
    at = f"/executions/{execution(bob).pk}/{path}"
    assert bobs.post(at).status_code == 405
    assert client.get(at).status_code == 302
