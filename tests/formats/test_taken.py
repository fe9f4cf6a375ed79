"""Which rows of a file an import takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.definition import Partition
from jobs.recipes.taken import Taken

records = st.lists(st.lists(st.sampled_from(["a", "A ", "b", "", "ß", "\udcff"]), max_size=3))


@given(records=records, of=st.integers(1, 5), indexes=st.sampled_from([[0], [2, 0]]))
def test_each_row_falls_into_exactly_one_part(records, of, indexes):
    rows = range(1, len(records) + 1)
    parts = [Taken(None, Partition(n, of), indexes).among(rows, records) for n in range(of)]
    assert [sum(flags) for flags in zip(*parts, strict=True)] == [1] * len(records)


@pytest.mark.parametrize("other", ["AB", " ab", "aB ", "'ab"])
def test_keys_that_may_be_the_same_fall_into_one_part(other):
    taken = Taken(None, Partition(0, 64), [0])
    assert taken(1, ["ab", "x"]) == taken(2, [other, "y"])


def test_of_the_failed_rows_a_part_takes_its_own():
    rows, records = range(1, 100), [[str(n)] for n in range(1, 100)]
    whole = Taken({3, 50, 98}, None, []).among(rows, records)
    parts = [Taken({3, 50, 98}, Partition(n, 2), [0]).among(rows, records) for n in range(2)]
    assert [row for row, flag in zip(rows, whole, strict=True) if flag] == [3, 50, 98]
    assert [sum(flags) for flags in zip(*parts, strict=True)] == [int(flag) for flag in whole]


@given(st.lists(st.text(max_size=4), min_size=50, max_size=200, unique_by=str.lower))
def test_a_sample_divides_the_keys_into_ranges(keys):
    records = [[key] for key in keys]
    rows = range(1, len(records) + 1)
    parts = [Taken(None, Partition(n, 2), [0], records).among(rows, records) for n in range(2)]
    assert [sum(flags) for flags in zip(*parts, strict=True)] == [1] * len(records)
    folded = [key.strip().lstrip("'").lower().encode() for key in keys]
    lower = [key for key, flag in zip(folded, parts[0], strict=True) if flag]
    upper = [key for key, flag in zip(folded, parts[1], strict=True) if flag]
    if Taken(None, Partition(0, 2), [0], records).bounds:
        assert max(lower) < min(upper)
        assert abs(len(set(lower)) - len(set(upper))) <= 1


def test_few_different_keys_are_divided_by_their_hash():
    assert Taken(None, Partition(0, 2), [0], [["a"], ["b"]] * 100).bounds == []
