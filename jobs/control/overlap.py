"""How many of a launch may run at once, how often they start, and what is done about open ones."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet

from jobs.control.refusals import Overlapping
from jobs.control.requests import stop
from jobs.definition import JobClass
from jobs.models import JobExecution, JobProfile
from jobs.models.limits import limit_key
from jobs.permissions import visible_to
from jobs.states import HELD, Overlap, Status

# What is in line or at work. A deferred or paused one is not: it may rest for weeks, and holds no
# slot; when it is activated or resumed it waits for one.
IN_LINE = HELD | {Status.QUEUED, Status.JOINING}
# Of two launches at one moment the second sees the first.
TAKE_TURN = """
SELECT pg_advisory_xact_lock(hashtextextended('launch ' || key, 0))
FROM (SELECT unnest(%s::text[]) AS key ORDER BY 1) keys
"""


def limit(execution: JobExecution, job: JobClass, profile: JobProfile | None) -> None:
    """Give a new execution the limits and start rates that its profile and its job declare."""
    declared = [(limit_key("job", job.name), job.concurrency, job.start_rate)]
    if profile:
        key = limit_key("profile", profile.code)
        declared.append((key, profile.concurrency, profile.start_rate))
    if about := str(job.key(execution.parameters) or ""):
        key = limit_key("key", job.name, about)
        declared.append((key, job.key_concurrency, job.key_start_rate))
    execution.limits = {key: most for key, most, _ in declared if most}
    execution.start_rates = {key: rate for key, _, rate in declared if rate}


def policy_of(job: JobClass, profile: JobProfile | None) -> Overlap:
    """What a launch does when as many are open as may run at once: the profile's word counts
    where the profile says how many, else the job's."""
    return Overlap(profile.overlap if profile and profile.concurrency else job.overlap)


def applies(execution: JobExecution, policy: Overlap) -> bool:
    """Whether a new execution is stored only after a look at the open ones."""
    queued = execution.status == Status.QUEUED
    return policy != Overlap.QUEUE and queued and bool(execution.limits)


def take_turn(execution: JobExecution) -> None:
    """Wait for launches under the same keys whose transactions have not ended yet."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE_TURN, [list(execution.limits)])


def heed(execution: JobExecution, policy: Overlap) -> JobExecution | None:
    """Do what the policy says about open executions, before a new one is stored.

    Returns the oldest open one when nothing is to be launched; raises Overlapping when the launch
    is refused, Denied when it may not stop what it would replace.
    """
    in_the_way = [
        found
        for key, most in execution.limits.items()
        if len(found := _open(key)[: None if policy == Overlap.REPLACE else most]) >= most
    ]
    if not in_the_way:
        return None
    if policy == Overlap.REPLACE:
        for one in {one.pk: one for found in in_the_way for one in found}.values():
            stop(one, by=execution.user, reason="Replaced by a newer launch.")
        return None
    oldest = min((found[0] for found in in_the_way), key=lambda one: one.pk)
    seen = _sees(execution.user, oldest)
    if policy == Overlap.REJECT or not seen:
        raise Overlapping(oldest, seen=seen)
    oldest.skipped = True
    return oldest


def _open(key: str) -> QuerySet[JobExecution]:
    open_ones = JobExecution.objects.filter(status__in=IN_LINE, limits__has_key=key)
    return open_ones.exclude(limits={}).order_by("pk")  # as execution_limits_idx has it


def _sees(user: User | None, execution: JobExecution) -> bool:
    return visible_to(user).filter(pk=execution.pk).exists()
