"""docs/invariants.md lists every invariant with its sentence, and every metric."""

import re
from pathlib import Path

import pytest

from config import metrics
from jobs.invariants import INVARIANTS, look_and_keep

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "invariants.md").read_text("utf-8")
TABLE = TEXT[: TEXT.index("## Metrics")]
LINE = re.compile(r"^\| `(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def test_the_table_is_that_of_the_code():
    said = {code: (sentence, way) for code, sentence, way in LINE.findall(TABLE)}
    there = {
        code: (each.sentence, each.repair or f"*A person:* {each.look}")
        for code, each in INVARIANTS.items()
    }
    assert said == there


@pytest.mark.django_db
def test_every_metric_is_listed():
    look_and_keep()
    collected = {family.name for family in metrics.Rows().collect()}
    assert len(collected) > 10
    assert set(re.findall(r"`(millrace_\w+)", TEXT)) == collected
