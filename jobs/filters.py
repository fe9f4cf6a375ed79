"""One set of filters over executions, for REST, the Process Tracker and bulk actions."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import django_filters as filters
from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet, Subquery
from django_filters.fields import IsoDateTimeField

from jobs.models import JobExecution, JobProfile
from jobs.models.base import first_id
from jobs.models.execution import TYPE_LABELS
from jobs.states import GROUPS, PEER_WORDS, Group, Status

OUTCOMES = ("succeeded", "warned", "failed", "lost", "timed_out", "expired", "stopped", "aborted")
_STATUSES_OF = {**PEER_WORDS, **{str(group): statuses for group, statuses in GROUPS.items()}}
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)  # no id is older
MARGIN = dt.timedelta(seconds=1)  # between an id and its created_at
TRUTH = {"true": True, "1": True, "false": False, "0": False}


class WordsInput(forms.SelectMultiple):
    """A list of words: the parameter repeated (`status=failed&status=lost`), or with commas."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        given = super().value_from_datadict(data, files, name) or []
        given = [given] if isinstance(given, str) else given
        return [word for text in given for word in str(text).lower().split(",") if word]


class WordsField(forms.MultipleChoiceField):
    """Several of the choices; `peers` are accepted besides, but not offered by forms."""

    widget = WordsInput

    def __init__(
        self,
        *,
        choices: Sequence[tuple[str, str]] = (),
        peers: Sequence[str] = (),
        **kwargs: Any,
    ):
        super().__init__(choices=choices, **kwargs)
        self.words = [*(name for name, _ in choices), *peers]

    def validate(self, value: list[str]) -> None:
        valid = self.words
        for word in value:
            if word not in valid:
                raise ValidationError(f"There is no {word!r}; there are: {', '.join(valid)}.")


class WordsFilter(filters.MultipleChoiceFilter):
    field_class = WordsField


class TruthField(forms.ChoiceField):
    """true or false, and nothing else: a misspelt word must not be taken for no filter at all."""

    def to_python(self, value: Any) -> bool | None:
        if value in (None, ""):
            return None
        try:
            return TRUTH[str(value).lower()]
        except KeyError:
            raise ValidationError(f"{value!r} is neither true nor false.") from None

    def validate(self, value: Any) -> None:
        """Whatever `to_python` has let through is valid."""


class TruthFilter(filters.Filter):
    field_class = TruthField

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, choices=[("true", "Yes"), ("false", "No")], **kwargs)


class MomentField(IsoDateTimeField):
    """A moment as in ISO 8601, in UTC: PostgreSQL reads no offsets of 16 hours and more."""

    def to_python(self, value: Any) -> dt.datetime | None:
        try:
            moment = super().to_python(value)
            return moment and moment.astimezone(dt.UTC)
        except OverflowError:
            raise ValidationError(f"{value!r} is too far away.") from None


class MomentFilter(filters.IsoDateTimeFilter):
    field_class = MomentField


class ExecutionFilter(filters.FilterSet):
    """Filters over executions that the person may see: give it `visible_to(user)` and `request`.

    Filters of different names narrow each other; several words of one name widen it.
    """

    group = WordsFilter(
        choices=Group.choices,
        peers=tuple(PEER_WORDS),
        method="by_group",
        label="Run-state group, also in the words of other systems; may be repeated",
    )
    status = WordsFilter(
        choices=Status.choices,
        peers=tuple(PEER_WORDS),
        method="by_status",
        label="Status, also in the words of other systems (OK, ERROR, …); may be repeated",
    )
    outcome = WordsFilter(
        choices=[(name, name.replace("_", " ").capitalize()) for name in OUTCOMES],
        method="by_outcome",
        label="How a finished execution ended; may be repeated",
    )
    type = WordsFilter(choices=TYPE_LABELS, method="by_type", label="Type; may be repeated")
    user = filters.CharFilter(method="by_user", label="Username of who launched it, or `me`")
    job = filters.CharFilter(label="Name of the job")
    profile = filters.CharFilter(field_name="profile__code", label="Code of the profile")
    name = filters.CharFilter(method="by_name", label="Part of its name, or of its profile's")
    queue = filters.CharFilter(label="Queue")
    node = filters.CharFilter(label="Machine that worked on it last")
    has_warnings = TruthFilter(method="by_warnings", label="With warnings, or without")
    parent = filters.UUIDFilter(field_name="parent_id", label="Id of its parent")
    created_after = MomentFilter(method="by_created_after", label="Created at or after")
    created_before = MomentFilter("created_at", "lt", label="Created before")
    started_after = MomentFilter("started_at", "gte", label="Started at or after")
    started_before = MomentFilter("started_at", "lt", label="Started before")
    search = filters.CharFilter(
        method="by_text", label="Part of its name, job or node; or its whole id"
    )

    class Meta:
        model = JobExecution
        fields: list[str] = []

    @classmethod
    def valid_names(cls, also: Iterable[str] = ()) -> list[str]:
        """The parameters that a list understands: these filters and `also`."""
        return sorted({*cls.base_filters, *also})

    @classmethod
    def unknown(cls, params: Mapping[str, Any], also: Iterable[str] = ()) -> list[str]:
        """The parameters that are neither filters nor in `also`: the list is refused with them."""
        return sorted(set(params) - set(cls.valid_names(also)))

    def by_group(self, executions: QuerySet, _: str, words: list[str]) -> QuerySet:
        wanted = {status for word in words for status in _STATUSES_OF[word]}
        return executions.filter(status__in=sorted(wanted))

    def by_status(self, executions: QuerySet, _: str, words: list[str]) -> QuerySet:
        wanted = {status for word in words for status in PEER_WORDS.get(word, (word,))}
        return executions.filter(status__in=sorted(wanted))

    def by_outcome(self, executions: QuerySet, _: str, words: list[str]) -> QuerySet:
        wanted = Q(status__in=sorted({*words} - {"succeeded", "warned"}))
        completed = Q(status=Status.COMPLETED)
        if "succeeded" in words:
            wanted |= completed & Q(warnings_count=0)
        if "warned" in words:
            wanted |= completed & Q(warnings_count__gt=0)
        return executions.filter(wanted)

    def by_type(self, executions: QuerySet, _: str, words: list[str]) -> QuerySet:
        return executions.filter(type__in=words)

    def by_user(self, executions: QuerySet, _: str, username: str) -> QuerySet:
        if username == "me":
            me = self.request.user if self.request else None
            return executions.filter(user_id=me.pk) if me else executions.none()
        # A subquery, not a join: its id leads to the index on user and status.
        found = User.objects.filter(username=username).values("pk")[:1]
        return executions.filter(user_id=Subquery(found))

    def by_created_after(self, executions: QuerySet, _: str, moment: dt.datetime) -> QuerySet:
        # Ids are in order of time: the search begins there instead of reading every row.
        begin = max(moment, EPOCH)
        return executions.filter(created_at__gte=moment, pk__gte=first_id(begin - MARGIN))

    def by_name(self, executions: QuerySet, _: str, text: str) -> QuerySet:
        return executions.filter(_named(text))

    def by_warnings(self, executions: QuerySet, _: str, wanted: bool) -> QuerySet:
        return executions.filter(**({"warnings_count__gt": 0} if wanted else {"warnings_count": 0}))

    def by_text(self, executions: QuerySet, _: str, text: str) -> QuerySet:
        try:
            return executions.filter(pk=uuid.UUID(text))
        except ValueError:
            found = Q(job__icontains=text) | Q(node__icontains=text)
            return executions.filter(_named(text) | found)


def without_parts(
    executions: QuerySet[JobExecution], parameters: Mapping[str, Any]
) -> QuerySet[JobExecution]:
    """What a list shows: the parts of a step only when their parent is asked for."""
    return executions if parameters.get("parent") else executions.filter(partition=None)


def _named(text: str) -> Q:
    """Own names, or those of profiles: a renamed profile is found by its present label too.

    The profiles are few and are looked up first, so that the executions need no join.
    """
    profiles = JobProfile.objects.filter(label__icontains=text).values_list("pk", flat=True)
    found = Q(name__icontains=text)
    return found | Q(profile_id__in=ids) if (ids := list(profiles)) else found
