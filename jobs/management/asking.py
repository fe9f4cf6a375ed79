"""Subcommands that ask for something: launch, abort, pause, resume, activate, continue,
relaunch, retry failed, undo, token."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import File
from django.core.management.base import OutputWrapper

from jobs import control
from jobs.definition import find
from jobs.management.finding import UsageError, find_execution, find_user
from jobs.management.watching import follow
from jobs.models import ApiToken, JobExecution, JobProfile
from jobs.parameters import file_fields
from jobs.permissions import require


def add_launch(parser: ArgumentParser) -> None:
    parser.add_argument("profile", help="code of the profile")
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="[FIELD=]PATH",
        help="file for a parameter; FIELD is `file` unless named",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter, laid over the profile's; repeated for a list",
    )
    parser.add_argument("--name", default="", help="shown instead of the profile's label")
    parser.add_argument("--note", default="")
    parser.add_argument("--deferred", action="store_true", help="hold it until it is activated")
    parser.add_argument("--follow", action="store_true", help="print its log; exit as it ends")
    add_user(parser)


def add_user(parser: ArgumentParser) -> None:
    parser.add_argument("--user", metavar="NAME", help="on whose behalf, with this person's rights")


def launch(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Print the id of the execution; with --follow its log, and exit as it ended."""
    user = find_user(options["user"])
    profile = JobProfile.objects.filter(code=options["profile"]).first()
    if profile is None:
        raise UsageError(f"There is no profile {options['profile']!r}.")
    execution = control.launch(
        profile=profile,
        parameters=_parameters(options["set"]) | _files(profile, options["file"], user),
        user=user,
        name=options["name"],
        note=options["note"],
        deferred=options["deferred"],
        trigger="command",
    )
    if execution.skipped:
        say.write("Nothing was launched: this one is open, and no more may be.")
    return _announce(execution, options["follow"], out, say)


def _parameters(pairs: list[str]) -> dict[str, Any]:
    """`--set a=1 --set b=2 --set b=3` as {"a": "1", "b": ["2", "3"]}."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise UsageError(f"--set {pair!r} is not NAME=VALUE.")
        before = found.get(name)
        found[name] = value if before is None else [*_as_list(before), value]
    return found


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _files(profile: JobProfile, given: list[str], user: User | None) -> dict[str, str]:
    """Upload the files and name them by their ids."""
    fields = file_fields(find(profile.job))
    found = {}
    for text in given:
        field, equals, path = text.partition("=")
        if not equals or field not in fields:
            field, path = "file", text
        if field not in fields:
            there = ", ".join(fields) or "none"
            raise UsageError(f"The job has no file parameter {field!r}; there are: {there}.")
        try:
            with Path(path).open("rb") as file:
                upload = control.upload(File(file, Path(path).name), user=user)
        except OSError as error:
            raise UsageError(f"The file {path!r} cannot be read: {error.strerror}.") from error
        found[field] = str(upload.pk)
    return found


def add_request(parser: ArgumentParser) -> None:
    parser.add_argument("execution", help="id of the execution")
    parser.add_argument("--reason", default="", help="for the history")
    add_user(parser)


def abort(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Stop it by force, at once."""
    reason = options["reason"]
    return _ask(options, say, lambda found, by: control.abort(found, by=by, reason=reason))


def pause(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Let it rest at its next checkpoint."""
    reason = options["reason"]
    return _ask(options, say, lambda found, by: control.pause(found, by=by, reason=reason))


def resume(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Let it go on from its last checkpoint."""
    return _ask(options, say, lambda found, by: control.resume(found, by=by))


def activate(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Queue what is deferred."""
    return _ask(options, say, lambda found, by: control.activate(found, by=by))


def add_again(parser: ArgumentParser) -> None:
    parser.add_argument("execution", help="id of the execution that has ended")
    parser.add_argument("--follow", action="store_true", help="print its log; exit as it ends")
    add_user(parser)


def continue_(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Go on behind its last checkpoint in a new execution; print its id."""
    return _again(options, out, say, control.continue_)


def relaunch(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Launch it afresh with the same parameters and files; print its id."""
    return _again(options, out, say, control.relaunch)


def for_real(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Launch a dry run so that it writes; print its id."""
    return _again(options, out, say, control.run_for_real)


def retry_failed(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Take up its failed rows in a new execution; print its id."""
    return _again(options, out, say, control.retry_failed)


def add_undo(parser: ArgumentParser) -> None:
    add_again(parser)
    parser.add_argument(
        "--chain", action="store_true", help="also what the executions did that it continues"
    )
    parser.add_argument("--preview", action="store_true", help="only say what would happen")


def undo(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Put rows back in a new execution, and print its id; with --preview only count them."""
    by, chain = find_user(options["user"]), options["chain"]
    execution = find_execution(options["execution"], by)
    if not options["preview"]:
        made = control.undo(execution, by=by, chain=chain)
        return _announce(made, options["follow"], out, say)
    require(by, "view_contents", execution)
    preview = control.undo_preview(execution, chain=chain)
    for verdict, count in sorted(preview.counts.items()):
        out.write(f"{count:>10,}  {verdict}")
    say.write(f"{preview.undone:,} would be undone, {preview.conflicts:,} left alone.")
    return 0


def _again(
    options: dict[str, Any],
    out: OutputWrapper,
    say: OutputWrapper,
    ask: Callable[..., JobExecution],
) -> int:
    by = find_user(options["user"])
    made = ask(find_execution(options["execution"], by), by=by)
    return _announce(made, options["follow"], out, say)


def _announce(
    execution: JobExecution, to_be_followed: bool, out: OutputWrapper, say: OutputWrapper
) -> int:
    if to_be_followed:
        say.write(f"“{execution.name}” is execution {execution.pk}.")
        return follow(execution, out, say)
    out.write(f"{execution.pk}")
    say.write(f"“{execution.name}” is {execution.get_status_display().lower()}.")
    return 0


def _ask(options: dict[str, Any], say: OutputWrapper, request: Any) -> int:
    by = find_user(options["user"])
    execution = find_execution(options["execution"], by)
    request(execution, by)
    execution.refresh_from_db()
    say.write(f"“{execution.name}” is {execution.get_status_display().lower()}.")
    return 0


def add_token(parser: ArgumentParser) -> None:
    parser.add_argument("user", help="whose token")
    parser.add_argument("--name", default="command line", help="what it is for")
    parser.add_argument("--days", type=int, default=90, help="until it expires (default: 90)")
    parser.add_argument("--read", action="store_true", help="it changes nothing")


def token(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Print a new API token, and nothing else."""
    if options["days"] < 1:
        raise UsageError(f"--days is {options['days']}; a token lives at least one day.")
    _, made = ApiToken.objects.create(
        find_user(options["user"]),
        expiry=dt.timedelta(days=options["days"]),
        name=options["name"],
        scopes=["read"] if options["read"] else [],
    )
    out.write(f"{made}")
    return 0
