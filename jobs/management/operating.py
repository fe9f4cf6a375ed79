"""Subcommands for operators: drain, undrain, queue, maintenance, workers."""

from __future__ import annotations

import socket
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import OutputWrapper
from django.utils.timezone import localtime

from jobs import control
from jobs.control.fleet import Fleet, WorkerState
from jobs.management.asking import add_user
from jobs.management.finding import UsageError, find_user
from jobs.models import Worker

LOOK_SECONDS = 0.5


def add_drain(parser: ArgumentParser) -> None:
    add_undrain(parser)
    parser.add_argument("--wait", action="store_true", help="until they are drained")
    parser.add_argument(
        "--timeout", type=float, default=120, metavar="SECONDS", help="to wait (default: 120)"
    )


def add_undrain(parser: ArgumentParser) -> None:
    parser.add_argument("worker", nargs="?", help="name of the worker, as `jobs workers` prints it")
    parser.add_argument("--node", help="all workers of a node; `.` is this machine")
    parser.add_argument("--all", action="store_true", help="all workers")
    add_user(parser)


def drain(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Let workers hand over what they have; with --wait exit 0 when it is safe to restart them."""
    drained = control.drain(_named(options), by=find_user(options["user"]))
    names = {worker.name for worker in drained}
    say.write(f"{_workers(len(names))} asked to drain.")
    return _wait(names, options["timeout"], out, say) if options["wait"] else 0


def undrain(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Let workers take jobs again."""
    resumed = control.undrain(_named(options), by=find_user(options["user"]))
    say.write(f"{_workers(len(resumed))} asked to take jobs again.")
    return 0


def _named(options: dict[str, Any]) -> list[str]:
    """The names of the workers that the options mean; exactly one way of naming them."""
    given = [options["worker"], options["node"], options["all"]]
    if sum(map(bool, given)) != 1:
        raise UsageError("Name one worker, or a node with --node, or all with --all.")
    found = Worker.objects.filter(kind=Worker.Kind.WORKER)
    if options["worker"]:
        found, word = found.filter(name=options["worker"]), f"named {options['worker']!r}"
    elif options["node"]:
        node = socket.gethostname() if options["node"] == "." else options["node"]
        found, word = found.filter(node=node), f"on the node {node!r}"
    else:
        word = "at all"
    names = list(found.values_list("name", flat=True))
    if not names:
        raise UsageError(f"There is no worker {word}.")
    return names


def _workers(count: int) -> str:
    return f"{count} {'worker' if count == 1 else 'workers'}"


def _wait(names: set[str], seconds: float, out: OutputWrapper, say: OutputWrapper) -> int:
    """Until none of them has a job; one that is gone has none."""
    deadline = time.monotonic() + seconds
    while left := [one for one in Fleet().workers if one.worker.name in names and _is_left(one)]:
        if time.monotonic() > deadline:
            out.write("\n".join(map(_line, left)))
            say.write(f"{_workers(len(left))} not drained within {seconds:g} s.")
            return 1
        time.sleep(LOOK_SECONDS)
    say.write("Drained: safe to restart.")
    return 0


def _is_left(state: WorkerState) -> bool:
    return state.state != "drained" and (state.state != "silent" or state.busy > 0)


def workers(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """A line for each: name, node, busy of slots, state, queues."""
    for state in Fleet().workers:
        out.write(_line(state))
    return 0


def _line(state: WorkerState) -> str:
    worker = state.worker
    places = f"{state.busy}/{worker.slots}"
    return f"{worker.name}  {worker.node}  {places}  {state.text}  {','.join(worker.queues)}"


def add_queue(parser: ArgumentParser) -> None:
    parser.add_argument("what", choices=("list", "pause", "resume"))
    parser.add_argument("queue", nargs="?", help="name of the queue")
    parser.add_argument("--reason", default="", help="why it is paused; everybody may read it")
    add_user(parser)


def queue(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """List the queues, pause one or resume it."""
    by, name = find_user(options["user"]), options["queue"]
    if options["what"] == "list":
        for found in Fleet().queues:
            paused = f"  paused: {found.paused.reason}" if found.paused else ""
            out.write(f"{found.name}  {found.depth} waiting, {found.running} running{paused}")
        return 0
    if not name or Fleet().queue(name) is None:
        there = ", ".join(found.name for found in Fleet().queues)
        raise UsageError(f"There is no queue {name!r}; there are: {there}.")
    if options["what"] == "pause":
        control.pause_queue(name, by=by, reason=options["reason"])
        say.write(f"The queue “{name}” is paused: nothing is started from it, what runs goes on.")
    else:
        control.resume_queue(name, by=by)
        say.write(f"The queue “{name}” is resumed.")
    return 0


def add_maintenance(parser: ArgumentParser) -> None:
    parser.add_argument("what", choices=("on", "off", "show"))
    parser.add_argument("reason", nargs="?", default="", help="shown on every page")
    parser.add_argument("--refuse", action="store_true", help="refuse launches, not queue them")
    add_user(parser)


def maintenance(options: dict[str, Any], out: OutputWrapper, say: OutputWrapper) -> int:
    """Start nothing anywhere, or start again."""
    by = find_user(options["user"])
    if options["what"] == "on":
        control.begin_maintenance(options["reason"], refuses_launches=options["refuse"], by=by)
        launches = "refused" if options["refuse"] else "queued"
        say.write(f"Nothing is started any more, launches are {launches}; what runs goes on.")
    elif options["what"] == "off":
        control.end_maintenance(by=by)
        say.write("The maintenance has ended; what waits is started.")
    elif found := control.maintenance():
        out.write(f"Since {localtime(found.began_at):%Y-%m-%d %H:%M:%S}: {found.reason}")
    else:
        out.write("There is no maintenance.")
    return 0
