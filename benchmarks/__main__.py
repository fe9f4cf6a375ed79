"""`python -m benchmarks [name …] [options]`; `manage.py bench` starts it with its servers."""

import argparse
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import fleet
from benchmarks.machine import Machine
from benchmarks.report import Report, write

MODULES = {
    "import": "import_rows", "costs": "costs", "memory": "memory", "peers": "peers",
    "files": "files", "real": "real", "stop": "stop", "engine": "engine",
}  # fmt: skip
FOLDER = Path(__file__).resolve().parents[1] / "build" / "benchmarks"


def main() -> int:
    options = _options()
    with TemporaryDirectory(prefix="millrace-") as folder, fleet.running(Path(folder)):
        return _run(options, Path(folder))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(MODULES)}")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the file (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="one file for all results")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(MODULES)):
        parser.error(f"no benchmark is named {', '.join(unknown)}; there are {', '.join(MODULES)}")
    options.names = options.names or list(MODULES)
    return options


def _run(options: argparse.Namespace, folder: Path) -> int:
    from django.db import connection  # noqa: PLC0415 - Django is set up only now

    from benchmarks.launched import Failed  # noqa: PLC0415
    from benchmarks.target import Target  # noqa: PLC0415
    from jobs.engine.database import own_connection  # noqa: PLC0415

    with own_connection() as own:
        Target(own).create()
        machine = Machine.describe(own)
        print(machine, flush=True)
        reports: list[Report] = []
        for name in options.names:
            try:
                report = _measured(name, own, folder, options)
            except Failed as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1
            report.show()
            reports.append(report)
            if not options.json:
                write(FOLDER / f"{name}.json", machine, [report])
    connection.close()
    if options.json:
        write(options.json, machine, reports)
    return 0


def _measured(name: str, own: Any, folder: Path, options: argparse.Namespace) -> Report:
    """The report of one benchmark, with the machine's load around it."""
    print(f"\n{name} …", flush=True)
    began, before = time.monotonic(), os.getloadavg()[0]
    measure = import_module(f"benchmarks.{MODULES[name]}").measure
    report = measure(own, folder, options.rows, options.rounds)
    took, after = time.monotonic() - began, os.getloadavg()[0]
    report.notes.append(
        f"Load of the machine: {before:.1f} before, {after:.1f} after; it took {took:.0f} s."
    )
    report.data["load"] = {"before": before, "after": after, "seconds": took}
    return report


if __name__ == "__main__":
    sys.exit(main())
