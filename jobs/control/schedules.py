"""Schedules: checked when they are saved, switched on and off, deleted by those who may."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from jobs import parameters as form_parameters
from jobs.control.credentials import check_places
from jobs.cron import BadCron, Cron
from jobs.definition import InvalidParameters, find
from jobs.models import Schedule
from jobs.models.base import database_now
from jobs.permissions import Denied, may, require


def save_schedule(schedule: Schedule, *, by: User | None = None) -> None:
    """Check a new or changed schedule and save it with its next time.

    Raises Denied when `by` may not make it or what was there before, and ValidationError unless
    its times, its parameters and the right of the person whom it runs as are in order.
    """
    with transaction.atomic():
        before = Schedule.objects.select_for_update(no_key=True).filter(pk=schedule.pk).first()
        if before:
            require(by, "change", before)
        require(by, "change", schedule)
        schedule.next_at = _next_at(schedule, before)
        schedule.full_clean(exclude=("code",) if before else ())
        check_schedule(schedule)
        schedule.save()


def check_schedule(schedule: Schedule) -> None:
    """Raise ValidationError for its times, and for whatever a launch would refuse by night."""
    _cron(schedule)
    if schedule.run_as:
        decision = may(schedule.run_as, "launch", schedule.profile)
        if not decision:
            raise ValidationError({"run_as": f"{schedule.run_as}: {decision.reason}"})
    try:
        _check_parameters(schedule)
    except LookupError as error:
        raise ValidationError({"profile": str(error)}) from error
    except InvalidParameters as error:
        said = [f"{name}: {' '.join(messages)}" for name, messages in error.errors.items()]
        raise ValidationError({"parameters": said}) from error


def switch_schedule(schedule: Schedule, *, on: bool, by: User | None = None) -> Schedule:
    """Switch it on or off. What passes while it is off is not made up for."""
    require(by, "switch", schedule)
    with transaction.atomic():
        row = Schedule.objects.select_for_update(no_key=True).get(pk=schedule.pk)
        if row.enabled != on:
            row.enabled = on
            row.next_at = _cron(row).next(database_now()) if on else None
            row.save(update_fields=("enabled", "next_at", "updated_at"))
    return row


def delete_schedule(schedule: Schedule, *, by: User | None = None) -> None:
    """Delete it with the record of its firings; its executions stay."""
    require(by, "delete", schedule)
    schedule.delete()


def _next_at(schedule: Schedule, before: Schedule | None) -> Any:
    """As it was while nothing about its times is changed: what is due stays due."""
    cron = _cron(schedule)
    if not schedule.enabled:
        return None
    times = (schedule.cron, schedule.time_zone)
    if before and before.enabled and (before.cron, before.time_zone) == times:
        return before.next_at
    return cron.next(database_now())


def _cron(schedule: Schedule) -> Cron:
    try:
        return Cron(schedule.cron, schedule.time_zone)
    except BadCron as error:
        raise ValidationError({error.field: str(error)}) from None


def _check_parameters(schedule: Schedule) -> None:
    profile = schedule.profile
    job = find(profile.job)
    given = form_parameters.collect(
        job, schedule.parameters, saved=profile.parameters, locked=profile.locked
    )
    if given.uploads:
        raise InvalidParameters({name: ["A schedule has no file."] for name in given.uploads})
    try:
        check_places(job, given, by=schedule.run_as, profile=profile)
    except Denied as error:
        raise InvalidParameters({"place": [f"{schedule.run_as}: {error}"]}) from error
    form_parameters.clean(job, given.values, {})
