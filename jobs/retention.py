"""What is old goes: a job of the platform itself, every night.

Rows go in transactions of at most 1,000, and files after their rows: what a crash leaves behind is
a file without a row, which the next night finds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from jobs.definition import ChunkStep, Counters, Job, job, profile, schedule
from jobs.models import (
    ConsoleText,
    ExecutionFile,
    Firing,
    JobExecution,
    Notification,
    OutboxMessage,
    RejectedRow,
    RowChange,
    StepWarning,
    Upload,
    discard_files,
    orphans,
)
from jobs.models.base import database_now, first_id
from jobs.states import FINISHED, OPEN, Status

FOLDERS = ("executions", "uploads")  # of the storage, in the order of their names
YOUNG = dt.timedelta(days=1)  # a file's row may still be on its way
AT_ONCE = 1000
OWNERS_AT_ONCE = 100
EXECUTIONS_AT_ONCE = 50  # each has some twenty rows beside its log and its warnings

Items = Iterator[tuple[Any, Any]]


@dataclass(frozen=True)
class Rules:
    """What is old, as querysets. Ages are in days; 0 keeps for ever."""

    succeeded_days: float
    others_days: float
    statuses: Sequence[str] = ()

    @classmethod
    def of(cls, older_than_days: float | None = None, statuses: Sequence[str] = ()) -> Rules:
        """The settings', or one age for all executions, or for those of some statuses."""
        return cls(
            older_than_days or settings.JOBS_KEEP_SUCCEEDED_DAYS,
            older_than_days or settings.JOBS_KEEP_OTHERS_DAYS,
            tuple(statuses),
        )

    def executions(self) -> QuerySet[JobExecution]:
        """Ended executions that go, with their children.

        What another one continues stays until that is gone: the chain remembers what was sent.
        """
        succeeded = ended({Status.COMPLETED}, self.succeeded_days)
        others = ended(FINISHED - {Status.COMPLETED}, self.others_days)
        found = (succeeded | others).filter(parent=None)
        if self.statuses:
            found = found.filter(status__in=self.statuses)
        continued = JobExecution.objects.filter(continues=OuterRef("pk"))
        open_child = JobExecution.objects.filter(parent=OuterRef("pk"), status__in=OPEN)
        return found.filter(~Exists(continued), ~Exists(open_child))

    def logged(self) -> QuerySet[JobExecution]:
        """Executions whose log and warnings go: those that go themselves, and their children."""
        going = self.executions()
        of_age = ended(FINISHED, settings.JOBS_KEEP_LOG_DAYS)
        going_too = Q(pk__in=going.values("pk")) | Q(parent__in=going.values("pk"))
        return JobExecution.objects.filter(going_too | Q(pk__in=of_age.values("pk")))

    def ledgers(self) -> QuerySet[JobExecution]:
        """Executions whose ledger and rejected rows go; what is being undone keeps them."""
        of_age = ended(FINISHED, settings.JOBS_KEEP_LEDGER_DAYS)
        undoing = JobExecution.objects.filter(undoes=OuterRef("pk"), status__in=OPEN)
        going = Q(pk__in=self.executions().values("pk")) | Q(pk__in=of_age.values("pk"))
        return JobExecution.objects.filter(going).filter(~Exists(undoing))


def ended(statuses: Any, days: float) -> QuerySet[JobExecution]:
    """Executions of these statuses that ended so many days ago."""
    if not days:
        return JobExecution.objects.none()
    moment = ago(days)
    # What has ended before a moment was made before it: ids, which are ordered by time, are quick.
    return JobExecution.objects.filter(
        pk__lt=first_id(moment), status__in=statuses, finished_at__lt=moment
    )


def ago(days: float) -> dt.datetime:
    return database_now() - dt.timedelta(days=days)


def unused_uploads() -> QuerySet[Upload]:
    """Uploads of age that no execution was given; an execution has its files in its own name."""
    used = ExecutionFile.objects.filter(file=OuterRef("file"))
    return of_age(Upload, "created_at", settings.JOBS_KEEP_UPLOAD_DAYS).filter(~Exists(used))


def old_notices() -> QuerySet[Notification]:
    """Notifications that were read."""
    found = of_age(Notification, "created_at", settings.JOBS_KEEP_NOTICE_DAYS)
    return found.exclude(read_at=None)


def old_firings() -> QuerySet[Firing]:
    """Firings, but for the last of each schedule."""
    later = Firing.objects.filter(
        schedule=OuterRef("schedule"), scheduled_for__gt=OuterRef("scheduled_for")
    )
    return of_age(Firing, "at", settings.JOBS_KEEP_NOTICE_DAYS).filter(Exists(later))


def old_messages() -> QuerySet[OutboxMessage]:
    """Messages sent or given up whose execution is gone; before, they keep it from repeating."""
    found = of_age(OutboxMessage, "created_at", settings.JOBS_KEEP_NOTICE_DAYS)
    return found.filter(execution=None).exclude(sent_at=None, given_up_at=None)


def of_age(model: type[Any], field: str, days: float) -> QuerySet[Any]:
    rows = model._default_manager.all()
    return rows.filter(**{f"{field}__lt": ago(days)}) if days else rows.none()


@job("jobs.prune", label="Prune", permissions=("jobs.operate_queues",), concurrency=1)
class Prune(Job):
    """Delete what is older than the settings keep, and files that no row names."""

    class Parameters(forms.Form):
        older_than_days = forms.FloatField(
            required=False, min_value=1, help_text="Executions only, in place of the settings."
        )
        statuses = forms.MultipleChoiceField(
            required=False,
            choices=[(status.value, status.label) for status in Status if status in FINISHED],
            help_text="Of executions; none chosen means all.",
        )

    def steps(self) -> list[ChunkStep]:
        rules = Rules.of(self.parameters["older_than_days"], self.parameters["statuses"])
        return [
            _logs("warnings", "Warnings", StepWarning, rules.logged),
            _logs("log", "Log", ConsoleText, rules.logged),
            _logs("ledger", "Ledgers", RowChange, rules.ledgers),
            _logs("rejected_rows", "Rejected rows", RejectedRow, rules.ledgers),
            ChunkStep(
                name="executions",
                read=lambda cursor: newest_first(rules.executions(), cursor),
                write=lambda ids: delete_still(rules.executions(), ids),
                count=lambda: rules.executions().count(),
                size=EXECUTIONS_AT_ONCE,
            ),
            _rows("uploads", "Unused uploads", unused_uploads),
            _rows("notifications", "Read notifications", old_notices),
            _rows("firings", "Firings of schedules", old_firings),
            _rows("messages", "Messages to others", old_messages),
            ChunkStep(
                name="files",
                label="Files without a row",
                read=stored_files,
                write=sweep,
                size=AT_ONCE,
            ),
        ]


def _logs(
    name: str, label: str, model: type[Model], owners: Callable[[], QuerySet[JobExecution]]
) -> ChunkStep:
    return ChunkStep(
        name=name,
        label=label,
        read=lambda cursor: belongings(model, owners(), cursor),
        write=lambda ids: delete_still(model._default_manager.all(), ids),
        size=AT_ONCE,
    )


def _rows(name: str, label: str, old: Callable[[], QuerySet[Any]]) -> ChunkStep:
    return ChunkStep(
        name=name,
        label=label,
        read=lambda cursor: newest_first(old(), cursor),
        write=lambda ids: delete_still(old(), ids),
        count=lambda: old().count(),
        size=AT_ONCE,
    )


def newest_first(rows: QuerySet[Any], cursor: Any) -> Items:
    """Primary keys from the newest on: what continues an execution goes before that one."""
    rows = rows.order_by("-pk")
    while True:
        behind = rows if cursor is None else rows.filter(pk__lt=cursor)
        page = list(behind.values_list("pk", flat=True)[:AT_ONCE])
        yield from ((str(key), key) for key in page)
        if len(page) < AT_ONCE:
            return
        cursor = page[-1]


def belongings(model: type[Any], executions: QuerySet[JobExecution], cursor: Any) -> Items:
    """Primary keys of what belongs to these executions, one execution after the other."""
    last, after = cursor or (None, None)
    if last:
        executions = executions.filter(pk__lte=last)
    some = Exists(model._default_manager.filter(execution=OuterRef("pk")))
    owners = (key for _, key in newest_first(executions.filter(some), None))
    while batch := list(islice(owners, OWNERS_AT_ONCE)):
        rows = model._default_manager.filter(execution__in=batch).order_by("-execution_id", "-pk")
        full = True
        while full:
            behind = rows
            if last:
                behind = rows.filter(execution__lte=last).exclude(execution=last, pk__gte=after)
            page = list(behind.values_list("execution_id", "pk")[:AT_ONCE])
            for owner, key in page:
                yield (str(owner), key), key
                last, after = owner, key
            full = len(page) == AT_ONCE


def delete_still(old: QuerySet[Any], keys: Sequence[Any]) -> Counters:
    """Delete those that are still old and that nobody holds; the others stay for the next night.

    Locked first and looked at then: whoever is about to refer to a row holds it, or is seen.
    """
    rows = old.model._default_manager.filter(pk__in=keys)
    free = list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
    going = list(old.filter(pk__in=free).values_list("pk", flat=True))
    rows.filter(pk__in=going).delete()
    return Counters(deleted=len(going), unchanged=len(keys) - len(going))


def stored_files(cursor: str | None) -> Items:
    """The keys of all stored files, in their order."""
    for folder in FOLDERS:
        for part in _listed(folder)[0]:
            if cursor and f"{folder}/{part}" < cursor.rpartition("/")[0]:
                continue
            for name in _listed(f"{folder}/{part}")[1]:
                key = f"{folder}/{part}/{name}"
                if cursor is None or key > cursor:
                    yield key, key


def _listed(path: str) -> tuple[list[str], list[str]]:
    try:
        folders, files = default_storage.listdir(path)
    except FileNotFoundError:
        return [], []
    return sorted(folders), sorted(files)


def sweep(names: Sequence[str]) -> Counters:
    """Delete the files among these that no row names, but for the young."""
    try:
        gone = discard_files(names, older_than=YOUNG)
    except OSError as error:
        raise ValidationError(f"It cannot be deleted: {error.strerror or error}.") from error
    return Counters(deleted=gone, unchanged=len(names) - gone)


def preview(rules: Rules) -> dict[str, int]:
    """How many of each would go now. Uploads that become unused by it are not among them."""
    logged, ledgers = rules.logged().values("pk"), rules.ledgers().values("pk")
    return {
        "executions": rules.executions().count(),
        "warnings": StepWarning.objects.filter(execution__in=logged).count(),
        "pieces of logs": ConsoleText.objects.filter(execution__in=logged).count(),
        "lines of ledgers": RowChange.objects.filter(execution__in=ledgers).count(),
        "rejected rows": RejectedRow.objects.filter(execution__in=ledgers).count(),
        "uploads": unused_uploads().count(),
        "notifications": old_notices().count(),
        "firings": old_firings().count(),
        "messages": old_messages().count(),
        "files": _count_orphans(),
    }


def _count_orphans() -> int:
    names = (key for key, _ in stored_files(None))
    found = 0
    while batch := list(islice(names, AT_ONCE)):
        found += len(orphans(batch, older_than=YOUNG))
    return found


profile(
    "prune",
    job="jobs.prune",
    label="Prune",
    description="Deletes what is older than the settings keep.",
)
schedule("prune", profile="prune", cron="15 3 * * *", label="Prune every night")
