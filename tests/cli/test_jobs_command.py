"""`manage.py jobs …`: what it prints, where, and with which exit status."""

import io
import re
import uuid
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from jobs import control
from jobs.management import watching
from jobs.models import (
    ApiToken,
    ConsoleText,
    ExecutionFile,
    JobExecution,
    Schedule,
    StepExecution,
    StepWarning,
)
from jobs.states import Event, Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db


def run(*arguments: object) -> SimpleNamespace:
    """The subcommand's exit status and what it wrote to stdout and stderr."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    try:
        call_command("jobs", *map(str, arguments), stdout=out, stderr=err)
    except SystemExit as end:
        status = end.code
    return SimpleNamespace(status=status, out=out.getvalue(), err=err.getvalue())


@pytest.fixture
def bob(person):
    return person("bob")


def test_a_launch_prints_only_the_id(profile):
    found = run("launch", "things", "--set", "limit=5", "--name", "By hand")
    made = JobExecution.objects.get()
    assert found.status == 0
    assert found.out == f"{made.pk}\n"
    assert found.err == "“By hand” is queued.\n"
    assert (made.trigger, made.user, made.parameters["limit"]) == ("command", None, "5")


def test_a_launch_takes_files(profile, tmp_path):
    path = tmp_path / "things.csv"
    path.write_bytes(b"sku\n1\n")
    run("launch", "things", "--file", path, "--file", f"second={path}")
    kept = ExecutionFile.objects.order_by("field").values_list("field", "name")
    assert list(kept) == [("file", "things.csv"), ("second", "things.csv")]


def test_a_launch_for_somebody_asks_for_their_rights(profile, person):
    person("viewer", "Viewer")
    found = run("launch", "things", "--user", "viewer")
    assert (found.status, found.out) == (1, "")
    assert "does not allow you to launch imports" in found.err
    assert run("launch", "things", "--user", "nobody").err == "There is no user 'nobody'.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "There is no profile 'nothing'.\n"),
        (("things", "--set", "limit"), "--set 'limit' is not NAME=VALUE.\n"),
        (("things", "--set", "limit=1000"), "limit: Ensure this value is less than"),
        (("things", "--set", "other=1"), "There is no parameter 'other'"),
        (("things", "--file", "/nowhere.csv"), "The file '/nowhere.csv' cannot be read"),
    ],
)
def test_what_is_wrong_with_a_launch_is_one_sentence(profile, arguments, said):
    found = run("launch", *arguments)
    assert (found.status, found.out) == (1, "")
    assert said in found.err
    assert found.err.count("\n") == 1
    assert not JobExecution.objects.exists()


def test_a_followed_launch_prints_the_log_and_ends_as_the_job_does(profile, monkeypatch):
    written = iter([b"one\n", "zw\u00f6lf\n".encode()[:3], "zw\u00f6lf\n".encode()[3:]])

    def work(_: float) -> None:
        """What a worker does while the command sleeps."""
        made = JobExecution.objects.get()
        if made.status == Status.QUEUED:
            made.transition(Event.START, lease_expires_at=made.created_at, attempt=1)
        text = next(written, None)
        if text is None:
            made.transition(Event.COMPLETE, warnings_count=2)
            return
        last = made.console.last()
        offset = last.offset + len(last.text) if last else 0
        ConsoleText.objects.create(execution=made, offset=offset, text=text)

    monkeypatch.setattr(watching.time, "sleep", work)
    found = run("launch", "things", "--follow")
    assert found.status == 2
    assert found.out == "one\nzw\u00f6lf\n"
    assert "is completed: 0 processed, 2 warnings" in found.err


def test_ctrl_c_ends_the_following_and_not_the_job(profile, monkeypatch):
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching.time, "sleep", interrupt)
    found = run("launch", "things", "--follow")
    made = JobExecution.objects.get()
    assert found.status == 130
    assert f"jobs stop {made.pk}" in found.err
    assert made.status == Status.QUEUED


@pytest.mark.parametrize(
    ("status", "warnings", "code"),
    [
        (Status.COMPLETED, 0, 0),
        (Status.COMPLETED, 1, 2),
        (Status.FAILED, 0, 1),
        (Status.STOPPED, 0, 3),
        (Status.ABORTED, 0, 3),
        (Status.TIMED_OUT, 0, 4),
        (Status.EXPIRED, 0, 4),
        (Status.LOST, 0, 5),
    ],
)
def test_the_exit_status_says_how_it_ended(execution, status, warnings, code):
    made = execution(None, status, warnings_count=warnings, error="Why.")
    found = run("log", made.pk, "--follow")
    assert found.status == code
    assert found.err.rstrip().endswith("Why.")


def test_a_log_is_printed_as_it_was_written(execution):
    made = execution(None, Status.FAILED)
    ConsoleText.objects.create(execution=made, offset=0, text="eins\nzw\u00f6lf\n".encode()[:8])
    ConsoleText.objects.create(execution=made, offset=8, text="zw\u00f6lf\n".encode()[3:])
    ConsoleText.objects.create(execution=made, stream="debug", offset=0, text=b"Traceback\n")
    assert run("log", made.pk).out == "eins\nzw\u00f6lf\n"
    assert run("log", made.pk, "--debug").out == "Traceback\n"


def test_a_list_has_a_line_for_each(execution, bob):
    first, second = execution(bob), execution(None, Status.FAILED)
    lines = run("list").out.splitlines()
    assert [line.split()[0] for line in lines] == [str(second.pk), str(first.pk)]
    assert "bob" in lines[1]
    assert run("list", "--status", "ERROR").out.split()[0] == str(second.pk)
    assert run("list", "--user", "bob").out.count("\n") == 1
    assert run("list", "--limit", "1").out.count("\n") == 1
    assert "there are: deferred" in run("list", "--status", "odd").err


def test_one_execution_is_shown(execution, bob):
    made = execution(bob, Status.FAILED, error="It broke.")
    shown = run("show", made.pk).out
    assert re.search(r"^status: +failed$", shown, re.MULTILINE)
    assert re.search(r"^error: +It broke\.$", shown, re.MULTILINE)
    assert run("show", "x").err.startswith("'x' is not the id of an execution")
    assert run("show", uuid.uuid4()).status == 1


@pytest.fixture
def warned(execution):
    """An import that is completed, with a warning for each row whose reason is given."""

    def make(*messages):
        made = execution(None, Status.COMPLETED, warnings_count=len(messages))
        step = StepExecution.objects.create(
            execution=made, order=0, name="rows", label="Rows", status="completed", total=9,
            created=5, unchanged=1, failed=3,
        )  # fmt: skip
        StepWarning.objects.bulk_create(
            StepWarning(execution=made, step=step, row=row, code="odd", message=message)
            for row, message in enumerate(messages, 1)
        )
        return made

    return make


def test_what_is_shown_tells_what_became_of_the_items_and_why(warned):
    shown = run("show", warned("No.", "Odd.", "Odd.", "Odd.", "Odd.").pk).out.splitlines()
    assert shown[-3:] == [
        "step:     Rows – completed: 9 of 9 processed, 5 created, 1 unchanged, 3 failed",
        "warning:  4 × Odd. `odd` (rows 2, 3, 4, …)",
        "warning:  1 × No. `odd` (row 1)",
    ]


def test_only_the_first_reasons_are_shown(warned):
    shown = run("show", warned(*"abcdefghijkl").pk).out.splitlines()
    assert shown[-1] == "warning:  and other reasons"
    assert len([line for line in shown if line.startswith("warning:")]) == 11


def test_a_warning_is_one(warned):
    followed = run("log", warned("No.").pk, "--follow").err
    assert ": 9 processed, 5 created, 1 unchanged, 3 failed, 1 warning, " in followed


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("stop", Status.RUNNING, "stopping"),
        ("abort", Status.QUEUED, "aborted"),
        ("pause", Status.QUEUED, "paused"),
        ("resume", Status.PAUSED, "queued"),
        ("activate", Status.DEFERRED, "queued"),
    ],
)
def test_what_is_asked_for_happens(execution, verb, before, after):
    made = execution(None, before)
    found = run(verb, made.pk, "--reason", "By hand")
    made.refresh_from_db()
    assert (found.status, made.status) == (0, after)
    assert after in found.err


def test_what_cannot_be_is_said(execution, bob):
    made = execution(None, Status.COMPLETED)
    found = run("pause", made.pk)
    assert (found.status, found.err) == (
        1,
        "“Import things” is completed; it cannot be paused any more.\n",
    )
    assert run("stop", made.pk).status == 1
    assert "There is no execution" in run("stop", made.pk, "--user", "bob").err


def test_force_in_somebodys_name_needs_their_right(execution, bob):
    made = execution(bob, Status.RUNNING)
    assert run("stop", made.pk, "--user", "bob", "--level", "kill").status == 1
    assert run("stop", made.pk, "--user", "bob").status == 0


def test_a_token_is_all_that_is_printed(bob):
    found = run("token", "bob", "--name", "nightly")
    assert found.err == ""
    assert re.fullmatch(r"[0-9a-f]{64}\n", found.out)
    assert ApiToken.objects.get().name == "nightly"
    api = Api(authorization=f"Bearer {found.out.strip()}")
    assert api.get("executions/").status_code == 200


def test_a_reading_token_can_be_made(bob):
    found = run("token", "bob", "--read", "--days", "1")
    api = Api(authorization=f"Bearer {found.out.strip()}")
    assert api.send("uploads/", {}).status_code == 403


def test_there_is_no_token_for_nobody(person):
    person("gone", is_active=False)
    assert run("token", "nobody").err == "There is no user 'nobody'.\n"
    assert run("token", "gone").err == "The user 'gone' is disabled.\n"
    assert run("token", "gone", "--days", "0").status == 1
    assert not ApiToken.objects.exists()


def test_wrong_usage_is_told_from_failure():
    with pytest.raises(CommandError):
        call_command("jobs", "launch")
    with pytest.raises(CommandError):
        call_command("jobs")


def test_schedules_are_listed_with_what_they_do(profile, bob):
    Schedule.objects.all().delete()
    assert run("schedules").out == ""
    values = {"profile": profile, "cron": "0 2 * * *", "label": "Nightly"}
    control.save_schedule(Schedule(code="nightly", run_as=bob, **values))
    control.save_schedule(Schedule(code="off", enabled=False, **values))
    first, second = run("schedules").out.splitlines()
    assert re.fullmatch(
        r"nightly +\d{4}-\d\d-\d\d 02:00 UTC +bob +things every day at 02:00 \(UTC\)", first
    )
    assert re.match(r"off +off +- +things", second)
