"""`manage.py jobs …`: launch, watch and control executions from the command line."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from jobs import control
from jobs.credentials import NoKey
from jobs.definition import UnknownJob
from jobs.management import asking, credentials, operating, pruning, scheduling, stopping, watching
from jobs.management.finding import UsageError

# What is said in a sentence; anything else is a bug and shows its traceback.
EXPECTED = (
    UsageError,
    UnknownJob,
    NoKey,
    control.Denied,
    control.InvalidParameters,
    control.NotAllowed,
    control.Refused,
    DatabaseError,
)


def _no_arguments(_: ArgumentParser) -> None:
    """The subcommand takes none."""


def _controller(*_: Any) -> int:
    """Run a controller in this process."""
    from jobs.controller import run  # noqa: PLC0415 - no other subcommand needs the engine

    run()
    return 0


SUBCOMMANDS: dict[str, tuple[str, Callable[[ArgumentParser], None], Callable[..., int]]] = {
    "launch": ("Launch a profile.", asking.add_launch, asking.launch),
    "list": ("List executions, newest first.", watching.add_list, watching.list_executions),
    "show": ("Show one execution.", watching.add_show, watching.show),
    "log": ("Print the log of an execution.", watching.add_log, watching.log),
    "stop": (
        "Stop at the next checkpoint: one execution or many.",
        stopping.add_stop,
        stopping.stop,
    ),
    "abort": ("Stop an execution by force.", asking.add_request, asking.abort),
    "pause": ("Pause an execution.", asking.add_request, asking.pause),
    "resume": ("Resume a paused execution.", asking.add_request, asking.resume),
    "activate": ("Queue a deferred execution.", asking.add_request, asking.activate),
    "continue": ("Go on behind the last checkpoint.", asking.add_again, asking.continue_),
    "relaunch": ("Launch an execution again.", asking.add_again, asking.relaunch),
    "for-real": ("Run for real what was run dry.", asking.add_again, asking.for_real),
    "retry-failed": ("Take up the failed rows.", asking.add_again, asking.retry_failed),
    "undo": ("Undo what an execution changed.", asking.add_undo, asking.undo),
    "token": ("Print a new API token, and nothing else.", asking.add_token, asking.token),
    "workers": ("List the workers.", _no_arguments, operating.workers),
    "drain": ("Let workers hand over what they have.", operating.add_drain, operating.drain),
    "undrain": ("Let workers take jobs again.", operating.add_undrain, operating.undrain),
    "queue": ("List, pause or resume queues.", operating.add_queue, operating.queue),
    "maintenance": (
        "Start nothing anywhere, or start again.",
        operating.add_maintenance,
        operating.maintenance,
    ),
    "prune": ("Delete what is older than the settings keep.", pruning.add_prune, pruning.prune),
    "schedules": ("List the schedules.", _no_arguments, scheduling.schedules),
    "credential-key": (
        "Print a key for JOBS_CREDENTIAL_KEYS.",
        _no_arguments,
        credentials.new_key,
    ),
    "rotate-credentials": (
        "Encrypt every secret with the newest key.",
        _no_arguments,
        credentials.rotate_credentials,
    ),
    "controller": ("Run a controller until SIGTERM.", _no_arguments, _controller),
}


class Command(BaseCommand):
    help = "Launch jobs, watch and control their executions, make API tokens, run a controller."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        for name, (text, add, _) in SUBCOMMANDS.items():
            add(commands.add_parser(name, help=text, description=text))

    def handle(self, *_: Any, **options: Any) -> None:
        """Run the subcommand; errors are one sentence on stderr and exit status 1."""
        run = SUBCOMMANDS[options["command"]][2]
        try:
            status = run(options, self.stdout, self.stderr)
        except EXPECTED as error:
            self.stderr.write(" ".join(str(error).split()))
            sys.exit(1)
        if status:
            sys.exit(status)
