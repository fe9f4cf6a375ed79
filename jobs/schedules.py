"""Schedules are fired: each time exactly once, whatever happens to the controllers.

One transaction locks the schedule, launches, writes the time down, which is unique, and moves
`next_at` on. Killed anywhere in it, nothing has happened, and the next look does it.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from contextlib import suppress
from itertools import islice, takewhile
from typing import Any

from django.db import InterfaceError, OperationalError, transaction

from jobs import control
from jobs.cron import BadCron, Cron
from jobs.definition import UnknownJob
from jobs.models import Firing, JobExecution, Schedule
from jobs.models.base import ClockNow, database_now
from jobs.notices import tell_not_launched
from jobs.states import OPEN, Overlap

log = logging.getLogger(__name__)

LATE = dt.timedelta(seconds=60)  # a time that passed longer ago was missed
AT_ONCE = 100  # times that one look fires; the rest waits for the next
COUNTED = 1000  # missed times are counted up to here

Outcome = Firing.Outcome
Result = tuple[Outcome, str, JobExecution | None]


def fire_due() -> int:
    """Fire what is due, in rounds of one time a schedule, oldest first; returns how many."""
    due = Schedule.objects.filter(next_at__lte=ClockNow()).order_by("next_at", "pk")
    fired = 0
    while fired < AT_ONCE:
        ids = list(due.values_list("pk", flat=True)[: AT_ONCE - fired])
        done = sum(map(_fire_safely, ids))
        fired += done
        if done < len(ids) or not ids:
            break
    return fired


def _fire_safely(pk: int) -> bool:
    try:
        return fire(pk)
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # one schedule's trouble is not the others'
        log.exception("Schedule %s could not be fired; it is tried again.", pk)
        return False


def fire(pk: int) -> bool:
    """Fire the schedule's next time, if it is due and no other controller has it."""
    with transaction.atomic():
        found = Schedule.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
        due = found.filter(pk=pk, next_at__lte=ClockNow())
        schedule = due.select_related("profile", "run_as").first()
        if schedule is None:
            return False
        schedule.next_at = _settle(schedule)
        schedule.save(update_fields=("next_at",))
    return True


def _settle(schedule: Schedule) -> dt.datetime | None:
    """Fire what has to be fired, write down what is left out; returns the next time."""
    first: Any = schedule.next_at
    try:
        cron = Cron(schedule.cron, schedule.time_zone)
    except BadCron as error:
        said = str(error)
        _write(schedule, first, lambda: (Outcome.REFUSED, said, None))
        return None
    newest = first
    if schedule.missed != Schedule.Missed.ALL:
        now = database_now()
        newest = cron.last(first, now) or first
        fires = schedule.missed == Schedule.Missed.ONCE or now - newest <= LATE
        _write_missed(schedule, cron, first, newest, fires)
        if not fires:
            return cron.next(newest)
    _write(schedule, newest, lambda: _launch(schedule, newest))
    return cron.next(newest)


def _write_missed(
    schedule: Schedule, cron: Cron, first: dt.datetime, newest: dt.datetime, fires: bool
) -> None:
    """One row for the times from `first` to `newest`; without the newest if that one fires."""
    times = takewhile(lambda time: time.at < newest, cron.after(first))
    count = 1 + sum(1 for _ in islice(times, COUNTED)) if newest > first else 0
    count += 0 if fires else 1
    if count:
        said = f"{_times(count, schedule, first)} passed while no controller was there."
        _write(schedule, first, lambda: (Outcome.MISSED, said, None))


def _times(count: int, schedule: Schedule, first: dt.datetime) -> str:
    local = first.astimezone(Cron(schedule.cron, schedule.time_zone).zone)
    begin = f"{local:%Y-%m-%d %H:%M} {schedule.time_zone}"
    if count == 1:
        return f"The time {begin}"
    return f"{f'More than {COUNTED:,}' if count > COUNTED else count} times from {begin} on"


def _write(schedule: Schedule, at: dt.datetime, happen: Callable[[], Result]) -> None:
    """Let it happen and write it down, unless that time has been fired before."""
    if schedule.firings.filter(scheduled_for=at).exists():
        return
    outcome, reason, execution = happen()
    schedule.firings.create(scheduled_for=at, outcome=outcome, reason=reason, execution=execution)
    if outcome == Outcome.REFUSED:
        tell_not_launched(schedule, reason)


def _launch(schedule: Schedule, at: dt.datetime) -> Result:
    """Launch as the person it runs as, by the rights that they have now."""
    open_ones = list(schedule.executions.filter(status__in=OPEN).order_by("pk"))
    if open_ones and schedule.overlap in {Overlap.SKIP, Overlap.REJECT}:
        refused = schedule.overlap == Overlap.REJECT
        said = f"“{open_ones[0]}”, launched before it, has not ended."
        return Outcome.REFUSED if refused else Outcome.SKIPPED, said, open_ones[0]
    if schedule.run_as and not schedule.run_as.is_active:
        return Outcome.REFUSED, f"The account {schedule.run_as} is disabled.", None
    try:
        with transaction.atomic():
            return _launched(schedule, at, open_ones)
    except control.Denied as error:
        return Outcome.REFUSED, f"It runs as {schedule.run_as}: {error}", None
    except (control.Refused, control.InvalidParameters, UnknownJob) as error:
        return Outcome.REFUSED, str(error), None
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        log.exception("The launch of schedule %s failed.", schedule.code)
        return Outcome.REFUSED, f"The launch failed: {type(error).__name__}: {error}", None


def _launched(schedule: Schedule, at: dt.datetime, open_ones: list[JobExecution]) -> Result:
    if schedule.overlap == Overlap.REPLACE:
        for one in open_ones:
            with suppress(control.AlreadyFinished):
                control.stop(one, reason=f"Replaced by the next launch of “{schedule.label}”.")
    execution = control.launch(
        profile=schedule.profile,
        parameters=schedule.parameters,
        user=schedule.run_as,
        trigger="schedule",
        schedule=schedule,
        scheduled_for=at,
    )
    if execution.skipped:
        said = f"“{execution}” of the same profile has not ended."
        return Outcome.SKIPPED, said, execution
    if schedule.overlap in {Overlap.QUEUE, Overlap.REPLACE}:  # side by side with none before it
        execution.limits |= {f"schedule:{schedule.pk}": 1}
        execution.save(update_fields=("limits",))
    return Outcome.LAUNCHED, "", execution
