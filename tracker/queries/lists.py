"""The Process Tracker's list: tabs with counts, filters, one page of rows, and its address."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone

from jobs.filters import ExecutionFilter, without_parts
from jobs.models import JobExecution
from jobs.models.execution import TYPE_LABELS
from jobs.permissions import may, visible_notifications, visible_to
from jobs.states import GROUPS, Group, Status
from tracker.queries.look import Count, Look, digest, look
from tracker.queries.rows import Row, rows
from tracker.request import Request

PAGE_SIZE = 25
OF_THE_PAGE = ("before", "after", "since")
FIELDS = ("search", "name", "type", "status", "user")  # those with an input of their own
INDEXED = {"user", "type", "profile"}
ALIVE = (Group.READY, Group.ACTIVE, Group.STOPPING)


class FilterError(Exception):
    """The address names filters that do not exist, or values that do not fit them."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        self.valid = ExecutionFilter.valid_names(OF_THE_PAGE)
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    label: str
    count: Count | None
    address: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force, and the address of the list without it."""

    name: str
    label: str
    value: str
    address: str


class ExecutionList:
    """The list that an address asks for, as its reader may see it. Raises FilterError."""

    def __init__(self, request: Request):
        self.user = request.user
        self.request = request
        self.params = request.GET
        self.before, self.after = self._id("before"), self._id("after")
        if unknown := ExecutionFilter.unknown(self.params, OF_THE_PAGE):
            raise FilterError([f"There is no filter {name!r}." for name in unknown])
        self.executions = self._filtered(self.params)

    def _id(self, name: str) -> uuid.UUID | None:
        try:
            return uuid.UUID(self.params[name]) if self.params.get(name) else None
        except ValueError:
            raise FilterError([f"{name!r} must be the id of an execution."]) from None

    def _filtered(self, params: QueryDict) -> QuerySet[JobExecution]:
        seen = without_parts(visible_to(self.user), params)
        found = ExecutionFilter(params, queryset=seen, request=self.request)
        if not found.is_valid():
            raise FilterError(
                [f"{name}: {' '.join(errors)}" for name, errors in found.errors.items()]
            )
        return found.qs

    @property
    def sees_all(self) -> bool:
        return bool(may(self.user, "view_all_executions"))

    @cached_property
    def look(self) -> Look:
        """The ids of the page and one more, and what the tabs count."""
        unread = {"unread": visible_notifications(self.user).unread()}
        counts = self._counted() if self.can_count else {}
        return look(unread | counts, {"page": self._page()})

    def _counted(self) -> dict[str, QuerySet[JobExecution]]:
        """The groups under the same filters but those of the status."""
        of_any_status = self._filtered(_without(self.params, "group", "status"))
        return {
            str(group): of_any_status.filter(status__in=sorted(statuses))
            for group, statuses in GROUPS.items()
        }

    @property
    def can_count(self) -> bool:
        """Whether an index counts every status under these filters; else many rows were read."""
        kept = _without(self.params, *OF_THE_PAGE, "group", "status")
        names = {name for name in kept if any(kept.getlist(name))}
        return names <= INDEXED and len(names) + (not self.sees_all) <= 1

    def _page(self) -> QuerySet[JobExecution]:
        if self.after:
            return self.executions.filter(pk__gt=self.after).order_by("pk")[: PAGE_SIZE + 1]
        found = self.executions.filter(pk__lt=self.before) if self.before else self.executions
        return found.order_by("-pk")[: PAGE_SIZE + 1]

    @cached_property
    def ids(self) -> list[uuid.UUID]:
        shown = self.look.pages["page"][:PAGE_SIZE]
        return shown[::-1] if self.after else shown

    @property
    def token(self) -> str:
        """Changes with the list; while something waits every ten seconds, as its reason may."""
        waits = self.look.counts.get(Group.READY, True)
        return digest(self.look.token, int(timezone.now().timestamp() / 10) if waits else 0)

    @property
    def is_alive(self) -> bool:
        if self.can_count:
            return bool(self.look.total(ALIVE))
        return any(row.execution.group in ALIVE for row in self.rows)

    @cached_property
    def rows(self) -> list[Row]:
        found = JobExecution.objects.filter(pk__in=self.ids)
        by_id = rows(self.user, found.select_related("user").prefetch_related("steps"))
        return [by_id[pk] for pk in self.ids if pk in by_id]

    @property
    def tabs(self) -> list[Tab]:
        shown, counts = self.params.getlist("group"), self.look.counts
        total = self.look.total(GROUPS) if self.can_count else None
        everything = Tab("", "All", total, self._tab(), not shown)
        return [everything] + [
            Tab(str(group), group.label, counts.get(group), self._tab(group), shown == [group])
            for group in GROUPS
        ]

    def _tab(self, group: str = "") -> str:
        kept = _without(self.params, *OF_THE_PAGE, "group", "status")
        return _address(kept, **({"group": str(group)} if group else {}))

    def _page_at(self, **position: str) -> str:
        return _address(_without(self.params, *OF_THE_PAGE), **position)

    @property
    def live_address(self) -> str:
        """Where the live part asks for news of itself."""
        return _address(_without(self.params, "since"), since=self.token)

    @property
    def older(self) -> str:
        more = self.after or len(self.look.pages["page"]) > PAGE_SIZE
        return self._page_at(before=str(self.ids[-1])) if more and self.ids else ""

    @property
    def newer(self) -> str:
        more = self.before or (self.after and len(self.look.pages["page"]) > PAGE_SIZE)
        return self._page_at(after=str(self.ids[0])) if more and self.ids else ""

    @property
    def values(self) -> dict[str, str]:
        """What the filters' inputs hold; several words of one name are joined by commas."""
        return {name: ",".join(filter(None, self.params.getlist(name))) for name in FIELDS}

    @property
    def statuses(self) -> list[tuple[str, str]]:
        return _choices(Status.choices, self.values["status"])

    @property
    def types(self) -> list[tuple[str, str]]:
        return _choices(TYPE_LABELS, self.values["type"])

    @property
    def others(self) -> list[Chip]:
        """The filters in force that have no input: shown with a way to drop each."""
        kept = _without(self.params, *OF_THE_PAGE)
        names = [name for name in kept if name not in FIELDS and any(kept.getlist(name))]
        if len(kept.getlist("group")) == 1:
            names.remove("group")
        return [
            Chip(
                name=name,
                label=name.replace("_", " "),
                value=", ".join(kept.getlist(name)).replace("_", " "),
                address=_address(_without(kept, name)),
            )
            for name in names
        ]

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """What the filter form must send along."""
        kept = _without(self.params, *OF_THE_PAGE, *FIELDS)
        return [(name, value) for name, values in kept.lists() for value in values if value]

    @property
    def is_filtered(self) -> bool:
        return any(self.values.values()) or bool(self.others)


def _without(params: QueryDict, *names: str) -> QueryDict:
    kept = params.copy()
    for name in names:
        kept.pop(name, None)
    return kept


def _address(params: QueryDict, **more: str) -> str:
    pairs = [(name, value) for name, values in params.lists() for value in values if value]
    return "?" + urlencode([*pairs, *more.items()])


def _choices(choices: list[tuple[str, str]], chosen: str) -> list[tuple[str, str]]:
    """The choices of a filter, and a combination that came with the address."""
    labels = dict(choices)
    if not chosen or chosen in labels:
        return choices
    said = ", ".join(labels.get(word, word) for word in chosen.split(","))
    return [*choices, (chosen, said)]
