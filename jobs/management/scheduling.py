"""The subcommand that lists schedules."""

from __future__ import annotations

from typing import Any

from django.core.management.base import OutputWrapper
from django.utils.timezone import localtime

from jobs.cron import in_words
from jobs.models import Schedule


def schedules(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """A line for each: code, when it fires next, whom it runs as, when in words."""
    for one in Schedule.objects.select_related("profile", "run_as").order_by("code"):
        then = f"{localtime(one.next_at):%Y-%m-%d %H:%M %Z}" if one.next_at else "off"
        who = one.run_as.get_username() if one.run_as else "-"
        words = f"{one.profile.code} {in_words(one.cron)} ({one.time_zone})"
        out.write(f"{one.code:<24}  {then:<20}  {who:<12}  {words}")
    return 0
