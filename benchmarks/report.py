"""What a benchmark found, as a table for people and as JSON."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine


@dataclass
class Report:
    """The result of one benchmark: `rows` are shown below `columns`, `data` is all there is."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def show(self) -> None:
        """Print the table in Markdown, with its columns aligned."""
        table = [self.columns, *self.rows]
        widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
        table.insert(1, ["-" * width for width in widths])
        print(f"\n## {self.title}\n")
        for line in table:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            print(f"| {' | '.join(cells)} |")
        print()
        for note in self.notes:
            print(f"* {note}")


def progress(what: str, seconds: float) -> None:
    """Say what has just been measured."""
    print(f"  {what}: {seconds:.2f} s", flush=True)


def p95(values: Sequence[float]) -> float:
    """The value that 95 of 100 do not exceed."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def target(name: str, value: float, limit: float, *, at_most: bool = False) -> str:
    """A sentence that says whether a target is reached."""
    reached = value <= limit if at_most else value >= limit
    word = "at most" if at_most else "at least"
    return f"{name}: {value:.2f}, target {word} {limit:.2f}: {'reached' if reached else 'missed'}."


def write(path: Path, machine: Machine, reports: list[Report]) -> None:
    """Write the reports as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": asdict(machine),
        "benchmarks": {
            report.name: {
                "title": report.title,
                "columns": report.columns,
                "rows": report.rows,
                "notes": report.notes,
                "data": report.data,
            }
            for report in reports
        },
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"\nWritten to {path}.")
