"""The subcommand `stop`: one execution, one of its steps, or many by profile, job or worker."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import OutputWrapper

from jobs import control
from jobs.control.scopes import Kind
from jobs.management.asking import add_user
from jobs.management.finding import UsageError, find_execution, find_user
from jobs.states import StopLevel


def add_stop(parser: ArgumentParser) -> None:
    parser.add_argument("execution", nargs="?", help="id of the execution")
    parser.add_argument("--profile", metavar="CODE", help="all open executions of a profile")
    parser.add_argument("--job", metavar="NAME", help="all open executions of a job")
    parser.add_argument("--worker", metavar="NAME", help="all executions that a worker has")
    parser.add_argument("--step", default="", metavar="NAME", help="only where this step runs")
    parser.add_argument("--preview", action="store_true", help="only say what would happen")
    parser.add_argument("--level", choices=StopLevel.values, default=StopLevel.GRACEFUL.value)
    parser.add_argument("--grace", type=float, metavar="SECONDS", help="before force is used")
    parser.add_argument("--reason", default="", help="for the history")
    add_user(parser)


def stop(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Stop at the next checkpoint, or as hard as --level says; exit 1 if anything was refused."""
    by, scope = find_user(options["user"]), _scope(options)
    if options["preview"]:
        return _preview(control.plan(by, scope, level=options["level"]), out, say)
    how: dict[str, Any] = {"level": options["level"], "grace_seconds": options["grace"]}
    how |= {"by": by, "reason": options["reason"]}
    if scope.kind == Kind.EXECUTION:
        execution = find_execution(scope.id, by)
        if scope.step:
            control.stop_step(execution, scope.step, **how)
        else:
            control.stop(execution, **how)
        say.write(f"“{execution.name}” is {execution.get_status_display().lower()}.")
        return 0
    results = control.stop_all(scope, **how)
    for result in results:
        out.write(f"{result.execution.pk}  {result.execution.name}: {result.text}")
    asked = sum(result.asked for result in results)
    say.write(f"{asked} asked to stop, {len(results) - asked} left out.")
    return 0 if asked == len(results) else 1


def _preview(plan: control.Plan, out: OutputWrapper, say: OutputWrapper) -> int:
    for item in plan.items:
        out.write(f"{item.execution.pk}  {item.execution.name}: {item.text}")
    more = " There are more than one call stops." if plan.more else ""
    say.write(f"{len(plan.stopped)} would stop, {len(plan.left_out)} would be left out.{more}")
    return 0


def _scope(options: dict[str, Any]) -> control.Scope:
    """Exactly one of the ways of naming what is to be stopped."""
    kinds = (Kind.EXECUTION, Kind.PROFILE, Kind.JOB, Kind.WORKER)
    given = [(kind, options[kind.value]) for kind in kinds if options[kind.value]]
    if len(given) != 1:
        raise UsageError("Name one execution, or --profile, --job or --worker.")
    kind, name = given[0]
    step = options["step"]
    if step and kind in {Kind.PROFILE, Kind.WORKER}:
        raise UsageError("--step goes with an execution or with --job.")
    return control.Scope(kind=Kind.STEP if step and kind == Kind.JOB else kind, id=name, step=step)
