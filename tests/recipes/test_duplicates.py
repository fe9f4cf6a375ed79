"""Rows of one file that have the same key: which wins, and what is said of the others."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Attribute, Product
from jobs.recipes import duplicates
from jobs.testing import run_now
from tests.recipes.driver import load

pytestmark = pytest.mark.django_db
PRODUCTS = "catalog.product.import"


def told(loaded) -> list[tuple[int, str]]:
    return [(each.row, each.code) for each in loaded.warnings]


def test_an_overwritten_row_of_an_earlier_chunk_is_reported_at_the_end():
    loaded = load(PRODUCTS, "sku;name\na;1\nb;1\nA;2\nc;1\na;3\n", size=2)
    assert loaded.counts == {"created": 3, "updated": 2}
    assert told(loaded) == [(1, "overwritten"), (3, "overwritten")]
    first, second = loaded.warnings
    assert (first.key, first.message) == ("a", "Row 5 has the same key and came later.")
    assert (second.key, second.outcome) == ("a", "kept")
    assert Product.objects.get(sku="a").name == "3"


def test_rows_that_were_not_written_overwrite_nothing():
    loaded = load(PRODUCTS, "sku;price-EUR\na;1\na;x\nb;x\nb;1\nc;1\nc;-1\n", size=1)
    assert loaded.counts == {"created": 3, "failed": 3}
    assert "overwritten" not in {code for _, code in told(loaded)}


def test_what_is_superseded_within_a_chunk_is_not_said_twice():
    loaded = load(PRODUCTS, "sku;name\na;1\na;2\nb;1\na;3\n", size=2)
    assert told(loaded) == [(1, "superseded"), (2, "overwritten")]


def test_parts_of_a_key_that_run_together_are_told_apart():
    for code in ("a", "a/b"):
        Attribute.objects.create(code=code, type="simpleselect")
    file = "attribute;code\na/b;c\na;b/c\nA/B;C\n"
    loaded = load("catalog.attribute_option.import", file, size=1)
    assert told(loaded) == [(1, "overwritten")]


def test_more_than_can_be_listed_are_counted(monkeypatch):
    monkeypatch.setattr(duplicates, "LISTED", 3)
    file = "sku;name\n" + "".join(f"s{n % 5};{n}\n" for n in range(20))
    loaded = load(PRODUCTS, file, size=5)
    assert told(loaded) == [(1, "overwritten"), (2, "overwritten"), (3, "overwritten"),
                            (None, "overwritten")]  # fmt: skip
    assert loaded.warnings[-1].message == "Of 15 overwritten rows 3 are listed."
    monkeypatch.setattr(duplicates, "KEYS", 2)
    said = load(PRODUCTS, file, size=5).warnings[-1].message
    assert said == "Of at least 6 overwritten rows 3 are listed."


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    keys=st.lists(st.sampled_from(["a", "A", "b", "c", "", "é", "É"]), min_size=1, max_size=14),
    size=st.integers(1, 5),
    data=st.data(),
)
def test_every_row_that_another_one_follows_is_reported_once_also_after_a_resume(keys, size, data):
    Product.objects.all().delete()
    file = "sku;name\n" + "".join(f'"{key}";{n}\n' for n, key in enumerate(keys))
    followed = [
        row
        for row, key in enumerate(keys, 1)
        if key and key.lower() in [later.lower() for later in keys[row:]]
    ]
    whole = load(PRODUCTS, file, size=size)
    assert sorted(row for row, code in told(whole) if code != "blank") == followed

    Product.objects.all().delete()
    at = data.draw(st.integers(1, len(whole.cursors)))
    first = load(PRODUCTS, file, size=size, chunks=at)
    rest = load(PRODUCTS, file, size=size, cursor=first.cursors[-1], before=first)
    found = [row for row, code in told(first) + told(rest) if code != "blank"]
    assert sorted(found) == followed


def test_the_report_runs_through_the_platform():
    lines = ["sku;name", "a;1", *(f"s{n};{n:0250}" for n in range(6000)), "a;2"]
    done = run_now(PRODUCTS, {"delimiter": ";"}, {"file": "\n".join(lines).encode()})
    assert (done.status, done.error) == ("completed", "")
    (warning,) = done.warnings.all()
    assert (warning.row, warning.key, warning.code) == (1, "a", "overwritten")
    assert done.steps.get().processed == 6002
