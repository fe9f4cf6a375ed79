"""Every benchmark on few rows: not how fast it is, but that it counts right and reports it all."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
SECONDS = 300

Bench = Callable[..., dict[str, Any]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Run one benchmark once, in a database of its own; returns its part of the JSON file."""

    def run(name: str, rows: int = 2000) -> dict[str, Any]:
        file = tmp_path / "found.json"
        options = ["--rows", str(rows), "--rounds", "1", "--json", str(file)]
        environment = os.environ | {
            "DATABASE_URL": settings.DATABASE_URL,
            "MILLRACE_BENCHMARKS": f"benchmarks_{WORKER}",
            "MILLRACE_APPS": "",
        }
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", name, *options],
            env=environment, cwd=ROOT, timeout=SECONDS, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(file.read_text())["benchmarks"][name]

    return run


def test_an_import_has_the_same_bad_rows_however_it_is_done(bench: Bench) -> None:
    found = bench("import")
    counts = {name: each["counts"] for name, each in found["data"].items() if name != "load"}
    assert counts == {
        "new": {"created": 1980, "failed": 20},
        "new, in two parts": {"created": 1980, "failed": 20},
        "changed": {"updated": 1980, "failed": 20},
        "changed, in two parts": {"updated": 1980, "failed": 20},
        "unchanged": {"unchanged": 1980, "failed": 20},
    }
    assert [row[0] for row in found["rows"]] == list(counts)
    assert all(found["data"][name]["ratio"] > 0 for name in counts)
    assert found["data"]["load"]["seconds"] > 0


def test_what_options_cost_is_compared_with_the_import_without_them(bench: Bench) -> None:
    found = bench("costs")
    counts = {name: each["counts"] for name, each in found["data"].items() if name != "load"}
    assert counts == {
        "new": {"created": 1980},
        "new, with ledger": {"created": 1980},
        "new, a refused row in each chunk": {"created": 1979, "failed": 1},
        "new, with field.clean()": {"created": 1980},
        "changed": {"updated": 1980},
        "changed, with ledger": {"updated": 1980},
    }
    compared = {row[0]: row[2].partition(" ")[2] for row in found["rows"]}
    assert compared["changed, with ledger"] == "changed"


def test_memory_is_compared_with_a_tenth_of_the_rows(bench: Bench) -> None:
    found = bench("memory")
    assert list(found["data"]["peak_bytes"]) == ["200", "2000"]


def test_others_leave_the_rows_that_copy_and_merge_leave(bench: Bench) -> None:
    found = bench("peers", rows=300)
    peers = ["django-import-export", "django-import-export, tuned", "bulk_create(update_conflicts)"]
    assert [(row[0], row[1]) for row in found["rows"]] == [
        (name, mode) for mode in ("new", "changed") for name in ("Millrace", *peers)
    ]
    assert {row[5] for row in found["rows"]} == {"300", "297"}


def test_a_stopped_import_has_written_what_it_counts(bench: Bench) -> None:
    found = bench("stop", rows=60_000)["data"]
    assert len(found["stopped"]) == len(found["seen"]) == 5


def test_files_of_every_format_have_all_rows_and_xlsx_comes_back(bench: Bench) -> None:
    found = bench("files")
    formats = ["csv", "jsonl", "parquet", "xlsx"]  # whose rows the benchmark counts itself
    assert [name for name in found["data"] if name.startswith("export")] == [
        f"export, {name}" for name in formats
    ]
    assert found["data"]["import, xlsx"]["counts"] == {"created": 1980}
    for verb in ("reading", "writing"):
        sides = found["data"][f"xlsx_{verb}"]
        assert {"openpyxl", "Millrace"} < set(sides)
        assert all(len(seconds) == 1 for seconds in sides.values())


def test_real_files_change_nothing_the_second_time(bench: Bench, real_data: Path) -> None:
    found = bench("real", rows=3000)["data"]
    first, again = (found[f"food products, {time}"]["counts"] for time in ("first", "again"))
    assert sum(first.values()) == 3000
    assert again == {"unchanged": first["created"], "failed": first["failed"]}
    products = [found[f"icecat/products.csv, {time}"]["counts"] for time in ("first", "again")]
    assert products == [{"created": 1239}, {"unchanged": 1239}]
    assert found["food products, first"]["warnings"]["barcode"] > 0


def test_a_name_that_no_benchmark_has_is_told_with_those_there_are() -> None:
    command = [sys.executable, "-m", "benchmarks", "imports"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "no benchmark is named imports; there are import," in done.stderr
