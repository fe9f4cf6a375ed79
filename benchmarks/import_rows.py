"""`import`: the whole platform against COPY and one merge; new, changed and unchanged rows."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psycopg

from benchmarks import launched, raw
from benchmarks.launched import JOB, Failed, Run
from benchmarks.product_files import ProductFile, write_products
from benchmarks.report import Report, progress, target
from benchmarks.target import Target
from benchmarks.usage import Server
from jobs.engine.database import session_name

DIVIDED = "products.divided.import"
COUNTED = {"new": "created", "changed": "updated", "unchanged": "unchanged"}
LIMITS = {
    "new": 0.80, "changed": 0.85, "unchanged": 1.8, "new, in two parts": 1.25,
    "changed, in two parts": 1.4,
}  # fmt: skip
MOST_BYTES, MOST_CPU = 150_000_000, 12  # of the job process; µs a row
COLUMNS = [
    "rows are", "ratio", "ratio, launch to seen", "Millrace rows/s", "COPY + merge rows/s",
    "job CPU µs/row", "server CPU µs/row", "the same, COPY + merge",
]  # fmt: skip
END_SECONDS = 30


@dataclass
class Case:
    """What one kind of rows took, round after round; `server` is PostgreSQL's CPU time."""

    runs: list[Run] = field(default_factory=list)
    server: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return median(run.seconds for run in self.runs)


class Import:
    """Both sides, by turns, each from the same state of the table."""

    def __init__(self, connection: psycopg.Connection, folder: Path, rows: int):
        self.connection, self.table, self.server = (
            connection,
            Target(connection),
            Server(connection),
        )
        before = write_products(folder, rows)
        self.files = {"new": before, "unchanged": before}
        self.files["changed"] = write_products(folder, rows, changed=True)
        self.cases: dict[str, Case] = defaultdict(Case)
        self.raw: dict[str, list[float]] = defaultdict(list)
        self.raw_server: dict[str, list[float]] = defaultdict(list)
        self.table.empty()
        raw.load(connection, before.good_path)
        self.table.remember()

    def round(self, number: int) -> None:
        """Measure everything once; another side begins each time."""
        sides = (self._by_hand, self._whole, self._divided)
        for mode in ("new", "changed"):
            digests = set()
            for side in sides[number % 3 :] + sides[: number % 3]:
                self.table.empty() if mode == "new" else self.table.fill()
                side(mode)
                digests.add(self.table.digest())
            if len(digests) != 1:
                raise Failed(f"The sides left different rows behind ({mode}): {digests}.")
        self.table.fill()
        self.table.forget_writes()
        self._whole("unchanged")
        self._look_for_writes(self.cases["unchanged"].runs[-1])

    def _by_hand(self, mode: str) -> None:
        before = self.server.cpu_seconds()
        self.raw[mode].append(raw.load(self.connection, self.files[mode].good_path))
        self.raw_server[mode].append(self.server.cpu_seconds() - before)
        progress(f"{mode}, COPY + merge", self.raw[mode][-1])

    def _whole(self, mode: str) -> None:
        self._import(mode, mode, JOB)

    def _divided(self, mode: str) -> None:
        self._import(f"{mode}, in two parts", mode, DIVIDED)

    def _import(self, name: str, mode: str, job: str) -> None:
        before, file, case = self.server.cpu_seconds(), self.files[mode], self.cases[name]
        run = launched.run(file.path, job)
        run.expect(**{COUNTED[mode]: file.good}, failed=file.bad)
        case.runs.append(run)
        case.server.append(self.server.cpu_seconds() - before)
        progress(f"{name}, Millrace", run.seconds)

    def _look_for_writes(self, run: Run) -> None:
        """A session's statistics are complete when it has ended."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        deadline = time.monotonic() + END_SECONDS
        while self.connection.execute(query, [session_name(run.execution)]).fetchone()[0]:
            if time.monotonic() > deadline:
                raise Failed("The sessions of an import have not ended with it.")
            time.sleep(0.05)
        if any((writes := self.table.writes()).values()):
            raise Failed(f"Unchanged rows were written: {writes}.")


def measure(connection: psycopg.Connection, folder: Path, rows: int, rounds: int) -> Report:
    """Import the same files again and again, with one bad row in a hundred."""
    sides = Import(connection, folder, rows)
    for number in range(rounds):
        sides.round(number)
    report = Report("import", f"Import of {rows:,} rows, median of {rounds} rounds", COLUMNS)
    for name, case in sides.cases.items():
        _add(report, sides, name, case, sides.files["new"])
    whole = [run for name in COUNTED for run in sides.cases[name].runs]
    peak = max(run.peak_bytes for run in whole) / 1e6
    report.notes.append(
        target("Peak memory of the job process in MB", peak, MOST_BYTES / 1e6, at_most=True)
    )
    used = median(run.cpu_seconds for run in sides.cases["new"].runs) / rows * 1e6
    report.notes.append(
        target("CPU of the job process, µs a new row", used, MOST_CPU, at_most=True)
    )
    report.notes.append("Unchanged rows: none inserted, none updated, no dead tuples.")
    return report


def _add(report: Report, sides: Import, name: str, case: Case, file: ProductFile) -> None:
    """A line of the table. Unchanged rows are compared with the full update by hand."""
    mode = "new" if name.startswith("new") else "changed"
    by_hand, rows = median(sides.raw[mode]), file.rows
    seen = median(run.seen_seconds for run in case.runs)
    job = median(run.cpu_seconds for run in case.runs)
    divided = "parts" in name  # whose processes are those of its parts
    times = (job, median(case.server), median(sides.raw_server[mode]))
    cpu = [f"{seconds / rows * 1e6:.1f}" for seconds in times]
    report.rows.append([
        name, f"{by_hand / case.seconds:.2f}", f"{by_hand / seen:.2f}",
        f"{rows / case.seconds:,.0f}", f"{file.good / by_hand:,.0f}",
        "" if divided else cpu[0], *cpu[1:],
    ])  # fmt: skip
    report.notes.append(target(f"Ratio, {name}", by_hand / case.seconds, LIMITS[name]))
    report.data[name] = {
        "rows": rows,
        "ratio": by_hand / case.seconds,
        "counts": case.runs[-1].counts,
        "millrace": [run.seconds for run in case.runs],
        "millrace_seen": [run.seen_seconds for run in case.runs],
        "copy_and_merge": sides.raw[mode],
        "job_cpu_seconds": [run.cpu_seconds for run in case.runs],
        "server_cpu_seconds": case.server,
        "copy_and_merge_server_cpu_seconds": sides.raw_server[mode],
        "peak_bytes": [run.peak_bytes for run in case.runs],
    }
