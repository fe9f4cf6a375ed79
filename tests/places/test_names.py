"""Paths stay in their places, and patterns of names become names."""

import datetime as dt

import pytest

from jobs.places import clean_path, expand, is_pattern
from jobs.places.names import numbered

AT = dt.datetime(2026, 11, 20, 17, 5, 9, tzinfo=dt.timezone(dt.timedelta(hours=1)))


@pytest.mark.parametrize(
    ("path", "clean"),
    [("a.csv", "a.csv"), ("a//b/./c.csv", "a/b/c.csv"), ("", ""), ("a..b/..c.csv", "a..b/..c.csv")],
)
def test_a_good_path_is_tidied(path: str, clean: str):
    assert clean_path(path) == clean


@pytest.mark.parametrize(
    "path", ["../a.csv", "a/../../b", "..", "/etc/passwd", "a\\b", "a\0b", "a\nb", "x" * 501]
)
def test_a_path_that_leads_outside_is_refused(path: str):
    with pytest.raises(ValueError, match="A path"):
        clean_path(path)


def test_placeholders_are_filled_in_and_safe():
    name = expand(
        "out/%job_label%/%datetime%-%execution%.csv", job_label="../Export: “all”/x", at=AT,
        execution="0197",
    )  # fmt: skip
    assert name == "out/Export_all_x/2026-11-20_16-05-09-0197.csv"
    assert clean_path(name) == name


def test_several_files_have_numbers():
    assert [numbered("a/b.csv.gz", number) for number in (1, 2)] == ["a/b.csv.gz", "a/b_2.csv.gz"]


def test_a_pattern_is_known_by_its_jokers():
    assert [is_pattern(path) for path in ("a.csv", "a*.csv", "a?.csv", "[ab].csv")] == [
        False, True, True, True
    ]  # fmt: skip
