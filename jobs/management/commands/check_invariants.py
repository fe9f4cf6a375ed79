"""`manage.py check_invariants`: whether the rows are as they must be, and what is not."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from jobs.invariants import INVARIANTS, Result, look_at_all


class Command(BaseCommand):
    help = (
        "Look at every invariant among all executions. Exit status 1 when one is violated, or"
        " could not be looked at."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--repair", action="store_true", help="put right what a machine may")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        results = look_at_all()
        if options["repair"]:
            results = _repaired(results)
        if options["json"]:
            self.stdout.write(json.dumps({"invariants": [_data(each) for each in results]}))
        else:
            self._tell(results)
        if not all(result.holds for result in results):
            sys.exit(1)

    def _tell(self, results: list[Result]) -> None:
        for result in results:
            if not result.holds:
                self.stdout.write("\n".join(_lines(result)))
        broken = sum(not result.holds for result in results)
        found = f"{broken} not kept" if broken else "all of them hold"
        self.stdout.write(f"{len(INVARIANTS)} invariants looked at: {found}.")


def _repaired(results: list[Result]) -> list[Result]:
    """What is found after every repair that there is."""
    from jobs.repairs import repair  # noqa: PLC0415 - only a repair needs the engine

    for result in results:
        if result.violations:
            repair(result.invariant)
    return look_at_all()


def _lines(result: Result) -> list[str]:
    invariant = result.invariant
    if result.error:
        return [f"{invariant.code}: could not be looked at: {result.error}"]
    by_hand = f"A person must look: {invariant.look}"
    return [
        f"{invariant.code}: {invariant.sentence}",
        *(f"  {violation}" for violation in result.violations),
        f"  Repair: {invariant.repair}" if invariant.repair else f"  {by_hand}",
    ]


def _data(result: Result) -> dict[str, Any]:
    invariant = result.invariant
    return {
        "code": invariant.code,
        "sentence": invariant.sentence,
        "violations": [
            {
                "execution": violation.execution and str(violation.execution),
                "subject": violation.subject,
                "wrong": violation.wrong,
            }
            for violation in result.violations
        ],
        "repair": invariant.repair,
        "look": invariant.look,
        "error": result.error,
    }
