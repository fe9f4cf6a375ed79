"""What the tutorial's reader does and sees; test_tutorial.py runs it with the app installed."""

import os
import re
from pathlib import Path

import pytest
from suppliers.models import Supplier

from jobs.testing import run_now

FOLDER = Path(os.environ["TUTORIAL"])
TUTORIAL = Path("docs/tutorial.md").read_text(encoding="utf-8")
# | 2 | DATE | country | AT | 'AT' is not one of DE, FR, PT. `invalid_choice` |
LINE = re.compile(r"^\| (\d) \| (.*?) ?\| (.*?) ?\| (.*?) ?\| (.*) `(\w+)` \|$", re.MULTILINE)


def imported(name: str):
    file = (FOLDER / name).read_bytes()
    execution = run_now("suppliers.supplier.import", files={"file": (name, file)})
    assert execution.status == "completed", execution.error
    step = execution.steps.get()
    return execution, (step.created, step.updated, step.unchanged, step.failed)


@pytest.mark.django_db
def test_the_story():
    assert imported("suppliers.csv")[1] == (4, 0, 0, 0)
    assert imported("suppliers.csv")[1] == (0, 0, 4, 0)

    execution, counted = imported("suppliers-2.csv")
    assert counted == (0, 1, 1, 4)
    shown = [
        (str(found.row), found.key, found.column, found.value, found.message, found.code)
        for found in execution.warnings.order_by("row", "id")
    ]
    assert shown == LINE.findall(TUTORIAL)

    closed = run_now("suppliers.close", {"below": "1000"})
    assert (closed.status, closed.steps.get().processed, closed.warnings_count) == (
        "completed",
        3,
        1,
    )
    step = closed.steps.get()
    assert (step.updated, step.unchanged, step.skipped) == (1, 1, 1)
    assert not Supplier.objects.get(code="ELDER").active

    raised = run_now("suppliers.raise_limits", {"percent": 10})
    assert raised.steps.get().updated == 2
    assert Supplier.objects.get(code="ALDER").credit_limit == 33000
