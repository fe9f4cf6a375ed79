"""What the fault tests saw, as lines of JSON, and the table of docs/operations.md made from them.

python -m tests.faults.record seen.jsonl docs/operations.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- seen -->", "<!-- /seen -->"
HEAD = ("fault", "how", "expected", "recovered", "doubled", "lost", "seen")


def write(path: str, line: dict[str, Any]) -> None:
    with Path(path).open("a") as target:
        target.write(json.dumps(line) + "\n")


def table(lines: list[dict[str, Any]]) -> str:
    """One row a fault, in the order of their numbers; the last line seen of a test counts."""
    latest = {line["test"]: line for line in lines}
    ordered = sorted(latest.values(), key=lambda line: (int(line["fault"][1:]), line["test"]))
    rows = [_row(line) for line in ordered if line["outcome"] == "passed"]
    text = _markdown(HEAD, rows)
    skipped = [line for line in ordered if line["outcome"] == "skipped"]
    if skipped:
        rows = [[line["fault"], line["how"], line["reason"]] for line in skipped]
        text += "\nNot run on this machine:\n\n" + _markdown(("fault", "how", "why not"), rows)
    return text


def _row(line: dict[str, Any]) -> list[str]:
    seen = dict(line["seen"])
    recovered = seen.pop("recovered", None)
    return [
        line["fault"],
        line["how"],
        line["expected"],
        f"{recovered:.1f} s" if recovered is not None else "–",
        str(seen.pop("doubled", "–")),
        str(seen.pop("lost", "–")),
        ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in seen.items()),
    ]


def _markdown(head: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell for cell in line)} |\n" for line in lines)


def main(source: str, target: str) -> None:
    """Replace what stands between the marks of the page by the table."""
    lines = [json.loads(line) for line in Path(source).read_text().splitlines()]
    page = Path(target).read_text()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    Path(target).write_text(f"{before}{BEGIN}\n{table(lines)}{END}{after}")


if __name__ == "__main__":
    main(*sys.argv[1:])
