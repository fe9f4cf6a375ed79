"""The subcommand that deletes what is old."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import OutputWrapper

from jobs import control
from jobs.management.asking import add_user
from jobs.management.finding import find_user
from jobs.management.watching import follow
from jobs.retention import Prune, Rules, preview
from jobs.states import FINISHED, Status


def days(text: str) -> float:
    """`90d` or `90` as 90.0."""
    try:
        found = float(text.removesuffix("d"))
    except ValueError:
        found = 0
    if found < 1:
        raise ArgumentTypeError(f"{text!r} is not an age of a day or more, such as 90d")
    return found


def add_prune(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only count what would go")
    parser.add_argument(
        "--older-than", type=days, metavar="90d", help="executions; else as the settings say"
    )
    parser.add_argument(
        "--status",
        action="append",
        default=[],
        choices=[status.value for status in Status if status in FINISHED],
        help="only executions that ended so; may be repeated",
    )
    add_user(parser)


def prune(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Launch the job and follow it; with --dry-run count, and delete nothing."""
    older, statuses = options["older_than"], options["status"]
    if options["dry_run"]:
        for name, number in preview(Rules.of(older, statuses)).items():
            out.write(f"{number:>10,}  {name}")
        return 0
    execution = control.launch(
        job=Prune.name,
        parameters={"older_than_days": older, "statuses": statuses},
        user=find_user(options["user"]),
        trigger="command",
    )
    say.write(f"“{execution.name}” is execution {execution.pk}.")
    return follow(execution, out, say)
