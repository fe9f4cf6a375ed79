"""What is old goes, what is needed stays, and nothing is left behind."""

from __future__ import annotations

import io
import os
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from jobs import control, retention
from jobs.models import (
    ConsoleText,
    ExecutionFile,
    Firing,
    JobExecution,
    JobProfile,
    Notification,
    OutboxMessage,
    RejectedRow,
    RowChange,
    Schedule,
    StepExecution,
    StepWarning,
    Upload,
)
from jobs.models.base import first_id
from jobs.permissions import may
from jobs.states import FINISHED, HELD, OPEN, Status
from jobs.testing import run_now
from tests.people import person  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_storage(tmp_path):
    """Files of this test alone."""
    with override_settings(MEDIA_ROOT=tmp_path):
        yield tmp_path


def ago(days: float):
    return timezone.now() - timedelta(days=days)


def made(status: Status = Status.COMPLETED, *, days: float = 0, **fields: Any) -> JobExecution:
    """An execution that was made, and ended if it has, so many days ago."""
    at = ago(days)
    values: dict[str, Any] = {"created_at": at, "started_at": at}
    if status in FINISHED:
        values["finished_at"] = at
    if status in HELD:
        values["lease_expires_at"] = timezone.now()
    # An id of that moment, like the database's own.
    pk = first_id(at)
    while JobExecution.objects.filter(pk=pk).exists():
        pk = type(pk)(int=pk.int + 1)
    return JobExecution.objects.create(
        pk=pk, name="It", job="samples.function", type="other", status=status, **values | fields
    )


def with_rows(execution: JobExecution, *, warnings: int = 2) -> JobExecution:
    step = StepExecution.objects.create(execution=execution, order=0, name="rows")
    StepWarning.objects.bulk_create(
        StepWarning(execution=execution, step=step, row=row, code="odd", message="Odd.")
        for row in range(warnings)
    )
    ConsoleText.objects.create(execution=execution, offset=0, text=b"said")
    return execution


def left(*executions: JobExecution) -> list[bool]:
    return [JobExecution.objects.filter(pk=each.pk).exists() for each in executions]


def prune(**parameters: Any) -> dict[str, int]:
    """Run the job; how many of each were deleted."""
    execution = run_now("jobs.prune", parameters)
    assert execution.status == Status.COMPLETED, execution.error_detail or execution.error
    return {step.name: step.deleted for step in execution.steps.all()}


# --- Executions -----------------------------------------------------------------------------


def test_the_succeeded_go_earlier_than_the_others():
    stays = [made(days=89), made(Status.FAILED, days=91), made(Status.LOST, days=364)]
    goes = [made(days=91), made(Status.FAILED, days=366), made(Status.STOPPED, days=366)]
    assert prune()["executions"] == 3
    assert left(*stays, *goes) == [True] * 3 + [False] * 3


@pytest.mark.parametrize("status", sorted(OPEN))
def test_what_is_open_stays_however_old(status):
    execution = made(Status(status), days=9999)
    prune()
    assert left(execution) == [True]


def test_it_goes_with_all_it_has_and_its_children():
    parent = with_rows(made(days=100))
    child = with_rows(made(days=100, parent=parent, partition=0, partitions=1))
    Notification.objects.create(
        user=User.objects.create(username="ann"), kind="failed", text="It.", execution=parent
    )
    deleted = prune()
    assert (deleted["executions"], deleted["warnings"], deleted["log"]) == (1, 4, 2)
    assert left(parent, child) == [False, False]
    assert not StepExecution.objects.filter(name="rows").exists()
    assert not Notification.objects.exists()


def test_children_wait_for_their_parent_and_parents_for_an_open_child():
    young = made(days=10)
    child = made(days=500, parent=young)
    parent = made(days=500)
    open_child = made(Status.PAUSED, days=500, parent=parent)
    prune()
    assert left(young, child, parent, open_child) == [True] * 4


def test_what_another_continues_stays_until_that_one_goes():
    first = made(Status.FAILED, days=900)
    second = made(Status.FAILED, days=800, continues=first)
    third = made(days=30, continues=second)
    prune()
    assert left(first, second, third) == [True] * 3
    JobExecution.objects.filter(pk=third.pk).delete()
    assert prune()["executions"] == 1  # from the newest end of the chain, one a night
    assert left(first, second) == [True, False]
    prune()
    assert left(first) == [False]


def test_the_ledger_has_an_age_of_its_own_and_waits_for_an_undo(settings):
    settings.JOBS_KEEP_LEDGER_DAYS = 30
    old, young, undone = made(days=40), made(days=20), made(days=40)
    made(Status.RUNNING, undoes=undone)
    for execution in (old, young, undone):
        RowChange.objects.create(execution=execution, key="a", target="1", outcome="created")
        step = StepExecution.objects.create(execution=execution, order=0, name="import")
        RejectedRow.objects.create(execution=execution, step=step, row=1, cells=["a"])
    deleted = prune()
    assert (deleted["ledger"], deleted["rejected_rows"], deleted["executions"]) == (1, 1, 0)
    assert left(old, young, undone) == [True] * 3
    assert set(RowChange.objects.values_list("execution", flat=True)) == {young.pk, undone.pk}
    assert "30 days, which are over" in control.cannot_undo(_with_ledger(old))


def _with_ledger(execution: JobExecution) -> JobExecution:
    execution.job, execution.parameters = "catalog.product.import", {"ledger": True}
    return execution


def test_zero_days_keep_for_ever(settings):
    settings.JOBS_KEEP_LEDGER_DAYS = 0
    settings.JOBS_KEEP_SUCCEEDED_DAYS = settings.JOBS_KEEP_OTHERS_DAYS = 0
    settings.JOBS_KEEP_UPLOAD_DAYS = settings.JOBS_KEEP_NOTICE_DAYS = 0
    execution = with_rows(made(days=9999))
    upload = uploaded(days=9999)
    assert not any(prune().values())
    assert left(execution) == [True]
    assert Upload.objects.filter(pk=upload.pk).exists()


def test_an_age_and_statuses_may_be_given():
    failed, aborted, completed = (
        made(status, days=20) for status in (Status.FAILED, Status.ABORTED, Status.COMPLETED)
    )
    prune(older_than_days=30)
    assert left(failed, aborted, completed) == [True] * 3
    prune(older_than_days=10, statuses=["failed", "aborted"])
    assert left(failed, aborted, completed) == [False, False, True]


def test_logs_and_warnings_may_go_earlier(settings):
    settings.JOBS_KEEP_LOG_DAYS = 30
    old, young = with_rows(made(days=40), warnings=3), with_rows(made(days=20))
    running = with_rows(made(Status.RUNNING, days=400))
    deleted = prune()
    assert (deleted["executions"], deleted["warnings"], deleted["log"]) == (0, 3, 1)
    assert left(old) == [True]
    assert young.warnings.count() == running.warnings.count() == 2
    assert young.console.exists()
    assert running.console.exists()


def test_more_than_a_chunk_of_everything_goes(settings):
    settings.JOBS_KEEP_LOG_DAYS = 1
    for number in range(3):
        with_rows(made(days=100 + number), warnings=900)
    for number in range(120):
        made(days=200 + number)
    deleted = prune()
    assert (deleted["executions"], deleted["warnings"]) == (123, 2700)


def test_it_goes_on_from_its_cursor():
    ids = sorted((made(days=100 + number).pk for number in range(5)), reverse=True)
    old = JobExecution.objects.all()
    assert [key for _, key in retention.newest_first(old, None)] == ids
    assert [key for _, key in retention.newest_first(old, str(ids[2]))] == ids[3:]
    for each in JobExecution.objects.all():
        with_rows(each, warnings=3)
    all_of_it = list(retention.belongings(StepWarning, old, None))
    assert len(all_of_it) == 15
    for position in (0, 1, 2, 3, 8, 13):
        behind = list(retention.belongings(StepWarning, old, [*all_of_it[position][0]]))
        assert behind == all_of_it[position + 1 :]


def test_every_foreign_key_to_executions_has_an_index():
    """Without one, deleting a thousand executions reads a whole table a thousand times."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, attname FROM pg_constraint"
            " JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1]"
            " WHERE contype = 'f' AND confrelid IN"
            "  ('jobs_jobexecution'::regclass, 'jobs_stepexecution'::regclass)"
            " AND NOT EXISTS (SELECT FROM pg_index"
            "  WHERE indrelid = conrelid AND indkey[0] = conkey[1] AND indpred IS NULL)"
        )
        assert cursor.fetchall() == []


# --- Uploads and files ----------------------------------------------------------------------


def uploaded(name: str = "a.csv", *, days: float = 0) -> Upload:
    upload = control.upload(ContentFile(name.encode(), name=name), user=None)
    Upload.objects.filter(pk=upload.pk).update(created_at=ago(days))
    make_old(upload.file.name, days)
    return upload


def make_old(name: str, days: float) -> None:
    at = ago(days).timestamp()
    os.utime(default_storage.path(name), (at, at))


def given(execution: JobExecution, upload: Upload) -> ExecutionFile:
    return ExecutionFile.objects.create(
        execution=execution, role="input", field="file", name=upload.name,
        file=upload.file.name, size=upload.size, sha256=upload.sha256,
    )  # fmt: skip


def files(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


def test_an_upload_goes_when_nothing_used_it_and_a_used_one_with_its_execution(own_storage):
    young, unused, used = uploaded(days=6), uploaded(days=8), uploaded(days=400)
    execution = made(days=80)
    given(execution, used)
    assert prune()["uploads"] == 1
    assert set(Upload.objects.values_list("pk", flat=True)) == {young.pk, used.pk}
    assert not default_storage.exists(unused.file.name)
    assert default_storage.exists(used.file.name)
    JobExecution.objects.filter(pk=execution.pk).delete()
    deleted = prune()
    assert (deleted["uploads"], deleted["files"]) == (1, 1)
    assert files(own_storage) == 1


def test_files_without_a_row_go_when_they_are_a_day_old(own_storage):
    old, young = (
        default_storage.save(f"executions/ab/{name}.csv", ContentFile(b"x")) for name in "ab"
    )
    make_old(old, 1.1)
    elsewhere = default_storage.save("other/ab/c.csv", ContentFile(b"x"))
    make_old(elsewhere, 100)
    kept = uploaded(days=2)
    assert prune()["files"] == 1
    assert [default_storage.exists(name) for name in (old, young, elsewhere, kept.file.name)] == [
        False,
        True,
        True,
        True,
    ]


def test_the_scan_of_files_goes_on_behind_its_cursor():
    for part in ("0a", "0b", "ff"):
        for folder in ("executions", "uploads"):
            for name in ("a", "b"):
                default_storage.save(f"{folder}/{part}/{name}", ContentFile(b"x"))
    every = [key for key, _ in retention.stored_files(None)]
    assert len(every) == 12
    assert every == sorted(every)
    for position, key in enumerate(every):
        assert [found for found, _ in retention.stored_files(key)] == every[position + 1 :]


def test_a_file_that_cannot_be_deleted_is_a_warning(own_storage, monkeypatch):
    names = [default_storage.save(f"executions/ab/{n}", ContentFile(b"x")) for n in "abc"]
    for name in names:
        make_old(name, 2)
    remove = os.remove

    def refuse(path: Any) -> None:
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied")
        remove(path)

    monkeypatch.setattr(os, "remove", refuse)
    execution = run_now("jobs.prune")
    assert execution.outcome == "warned"
    (warning,) = execution.warnings.all()
    assert (warning.key, warning.message) == (
        "executions/ab/b",
        "It cannot be deleted: Permission denied.",
    )
    assert [default_storage.exists(name) for name in names] == [False, True, False]


def test_what_is_deleted_by_hand_leaves_no_file(own_storage, django_capture_on_commit_callbacks):
    upload, shared = uploaded("a.csv"), uploaded("b.csv")
    execution, other = made(), made()
    child = made(parent=execution)
    given(execution, upload)
    given(child, shared)
    given(other, shared)
    Upload.objects.all().delete()
    with django_capture_on_commit_callbacks(execute=True):
        control.delete(execution)
    assert not default_storage.exists(upload.file.name)
    assert default_storage.exists(shared.file.name)
    with django_capture_on_commit_callbacks(execute=True):
        control.delete(other)
    assert files(own_storage) == 0


def test_an_upload_stays_for_the_next_launch_when_an_execution_is_deleted(
    django_capture_on_commit_callbacks,
):
    upload, execution = uploaded(), made()
    given(execution, upload)
    with django_capture_on_commit_callbacks(execute=True):
        control.delete(execution)
    assert default_storage.exists(upload.file.name)


# --- Notices --------------------------------------------------------------------------------


def test_notices_go_when_they_were_read_and_messages_with_their_execution():
    ann = User.objects.create(username="ann")
    for days, read in ((91, True), (91, False), (89, True)):
        Notification.objects.create(
            user=ann, kind="stalled", text=f"{days} {read}", created_at=ago(days),
            read_at=timezone.now() if read else None,
        )  # fmt: skip
    execution = made()
    for key, fields in {
        "sent": {"sent_at": ago(91)},
        "given up": {"given_up_at": ago(91)},
        "waiting": {},
        "remembered": {"sent_at": ago(91), "execution": execution},
    }.items():
        OutboxMessage.objects.create(
            dedupe_key=key, kind="mail", payload={}, created_at=ago(91), **fields
        )
    deleted = prune()
    assert (deleted["notifications"], deleted["messages"]) == (1, 2)
    assert {each.text for each in Notification.objects.all()} == {"91 False", "89 True"}
    assert {each.dedupe_key for each in OutboxMessage.objects.all()} == {"waiting", "remembered"}


def test_the_last_firing_of_a_schedule_stays():
    profile = JobProfile.objects.get(code="prune")
    one, two = (
        Schedule.objects.create(code=code, label=code, profile=profile, cron="0 0 * * *")
        for code in ("one", "two")
    )
    for which, days in ((one, 200), (one, 100), (two, 200), (two, 1)):
        Firing.objects.create(
            schedule=which, scheduled_for=ago(days), at=ago(days), outcome="launched"
        )
    assert prune()["firings"] == 2
    assert one.firings.get().scheduled_for < ago(99)
    assert two.firings.get().scheduled_for > ago(2)


# --- The command and the rights -------------------------------------------------------------


def run(*arguments: str) -> SimpleNamespace:
    out, err, status = io.StringIO(), io.StringIO(), 0
    try:
        call_command("jobs", "prune", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        status = end.code
    return SimpleNamespace(status=status, out=out.getvalue(), err=err.getvalue())


def test_a_dry_run_counts_and_deletes_nothing(own_storage):
    execution = with_rows(made(days=100))
    orphan = default_storage.save("uploads/ab/x", ContentFile(b"x"))
    make_old(orphan, 2)
    uploaded(days=8)
    counted = {}
    for line in run("--dry-run").out.splitlines():
        number, _, name = line.strip().partition("  ")
        counted[name] = int(number)
    assert counted == {
        "executions": 1, "warnings": 2, "pieces of logs": 1, "lines of ledgers": 0,
        "rejected rows": 0, "uploads": 1, "notifications": 0, "firings": 0,
        "messages": 0, "files": 1,
    }  # fmt: skip
    assert left(execution) == [True]
    assert files(own_storage) == 2
    assert run("--dry-run", "--older-than", "200d").out.split()[0] == "0"
    assert run("--dry-run", "--status", "failed").out.split()[0] == "0"


def test_the_command_launches_the_job_and_follows_it(monkeypatch):
    from jobs.management import watching

    def work(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching.time, "sleep", work)
    assert run("--older-than", "30d", "--status", "failed").status == 130
    launched = JobExecution.objects.get()
    assert (launched.job, launched.trigger) == ("jobs.prune", "command")
    assert launched.parameters == {"older_than_days": 30.0, "statuses": ["failed"]}
    with pytest.raises(CommandError, match="not an age"):
        run("--older-than", "0d")


def test_only_who_operates_queues_may_prune_or_change_what_runs_at_night(person):  # noqa: F811
    manager, root = person("ann", "Data manager"), person("root", "Administrator")
    profile = JobProfile.objects.get(code="prune")
    for action in ("launch", "edit", "delete"):
        decision = may(manager, action, profile)
        assert not decision
        assert decision.needs == "jobs.operate_queues"
        assert may(root, action, profile)
    assert not may(manager, "launch", retention.Prune)


def test_it_is_declared_for_every_night():
    found = Schedule.objects.get(code="prune")
    assert (found.cron, found.profile.code, found.run_as) == ("15 3 * * *", "prune", None)
