"""Imports of rows that name parents in the same file."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Category
from jobs.recipes import trees
from tests.recipes.driver import load

pytestmark = pytest.mark.django_db
CATEGORIES = "catalog.category.import"


def parents() -> dict[str, str | None]:
    return dict(Category.objects.values_list("code", "parent__code"))


def tree(*rows: tuple[str, str]) -> str:
    return "code;parent\n" + "".join(f"{code};{parent}\n" for code, parent in rows)


def test_parents_may_stand_behind_their_children_and_match_whatever_their_case():
    file = tree(("leaf", "BRANCH"), ("branch", "root"), ("root", ""), ("other", "Root"))
    for size in (1, 2, 100):
        Category.objects.all().update(parent=None)
        Category.objects.all().delete()
        loaded = load(CATEGORIES, file, size=size)
        assert loaded.counts == {"created": 4}
        assert parents() == {"root": None, "branch": "root", "leaf": "branch", "other": "root"}


def test_an_unchanged_tree_is_unchanged_and_a_moved_branch_is_one_update():
    file = tree(("a", ""), ("b", "a"), ("c", "b"))
    load(CATEGORIES, file)
    assert load(CATEGORIES, file).counts == {"unchanged": 3}
    moved = load(CATEGORIES, tree(("a", ""), ("b", "a"), ("c", "a")))
    assert moved.counts == {"updated": 1, "unchanged": 2}
    assert load(CATEGORIES, tree(("c", ""))).counts == {"updated": 1}
    assert parents()["c"] is None


def test_an_absent_parent_column_leaves_the_tree():
    load(CATEGORIES, tree(("a", ""), ("b", "a")))
    assert load(CATEGORIES, "code;label-en_US\nb;Bee\n").counts == {"updated": 1}
    assert parents()["b"] == "a"


def test_an_unknown_parent_costs_the_row_and_those_below_it():
    loaded = load(CATEGORIES, tree(("b", "a"), ("x", ""), ("a", "nowhere"), ("y", "x")), size=2)
    assert loaded.counts == {"created": 2, "failed": 2}
    assert loaded.codes == [(1, "parent", "unknown_reference"), (3, "parent", "unknown_reference")]
    assert [each.value for each in loaded.warnings] == ["a", "nowhere"]
    assert loaded.warnings[0].message == "There is no category 'a'."
    assert loaded.cursors[-1]["waiting"] == []


def test_a_parent_that_is_refused_costs_its_children_too():
    rows = [("root", ""), ("x" * 101, "root"), ("child", "x" * 101), ("fine", "root")]
    loaded = load(CATEGORIES, tree(*rows))
    assert loaded.counts == {"created": 2, "failed": 2}
    assert {each.code for each in loaded.warnings} == {"too_long", "unknown_reference"}


def test_a_row_that_would_be_its_own_ancestor_is_refused():
    load(CATEGORIES, tree(("a", ""), ("b", "a"), ("c", "b")))
    loaded = load(CATEGORIES, tree(("x", ""), ("a", "c"), ("y", "x")))
    assert loaded.counts == {"created": 2, "failed": 1}
    assert loaded.codes == [(2, "parent", "cycle")]
    assert parents()["a"] is None
    assert load(CATEGORIES, tree(("c", "c"))).codes == [(1, "parent", "cycle")]


def test_a_circle_of_new_rows_is_refused():
    loaded = load(CATEGORIES, tree(("a", "b"), ("b", "a"), ("c", "c")))
    assert loaded.counts == {"failed": 3}
    assert parents() == {}


def test_turning_a_branch_round_within_one_chunk_is_no_cycle():
    load(CATEGORIES, tree(("a", ""), ("b", "a")))
    assert load(CATEGORIES, tree(("b", ""), ("a", "b"))).counts == {"updated": 2}
    assert parents() == {"b": None, "a": "b"}


def test_a_waiting_row_is_superseded_by_a_later_one():
    loaded = load(CATEGORIES, tree(("b", "a"), ("B", ""), ("a", "")))
    assert loaded.counts == {"created": 2, "skipped": 1}
    assert loaded.codes == [(1, "", "superseded")]
    assert parents() == {"B": None, "a": None}


def test_too_many_waiting_rows_are_told_to_come_in_order(monkeypatch):
    monkeypatch.setattr(trees, "WAITING_LIMIT", 1)
    loaded = load(CATEGORIES, tree(("b", "a"), ("c", "a"), ("a", "")))
    assert loaded.counts == {"created": 2, "failed": 1}
    assert "parents must come before children" in loaded.warnings[0].message


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 1000), size=st.integers(1, 4), at=st.integers(0, 8))
def test_going_on_from_any_chunk_gives_the_same_tree(db, seed, size, at):
    chance = random.Random(seed)
    wanted = {f"n{n}": f"n{chance.randrange(n)}" if n else "" for n in range(10)}
    rows = [*wanted.items(), ("lost", "nowhere")]
    chance.shuffle(rows)
    Category.objects.update(parent=None)
    Category.objects.all().delete()
    first = load(CATEGORIES, tree(*rows), size=size, chunks=at) if at else None
    cursor = first.cursors[-1] if first else None
    rest = load(CATEGORIES, tree(*rows), size=3, cursor=cursor)
    assert parents() == {code: parent or None for code, parent in wanted.items()}
    counts = rest.counters + first.counters if first else rest.counters
    assert (counts.created, counts.failed, counts.processed) == (10, 1, 11)
