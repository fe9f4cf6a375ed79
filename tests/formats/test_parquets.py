"""Parquet files: what values become, which types are refused, and reading from any row."""

import datetime as dt
import io
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

from jobs.definition import JobError
from tests.formats.files import opened, read


def made(columns, **options):
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Größe", "Größe"),
        (None, ""),
        (True, "1"),
        (5, "5"),
        (1.0, "1"),
        (1e-7, "0.0000001"),
        (Decimal("1.50"), "1.50"),
        (dt.date(2026, 3, 31), "2026-03-31"),
        (dt.time(12, 30), "12:30:00"),
        (dt.datetime.fromisoformat("2026-03-31T12:30"), "2026-03-31T12:30:00"),
        (dt.datetime.fromisoformat("2026-03-31"), "2026-03-31"),
        (dt.datetime(2026, 3, 31, tzinfo=dt.UTC), "2026-03-31T00:00:00+00:00"),
        (["x", "y"], "x,y"),
        ([], ""),
    ],
)
def test_a_value_becomes_the_text_that_imports_understand(value, text):
    assert read(made({"key": ["k"], "a": [value]}))[1] == [["k", text]]


def test_times_of_nanoseconds_and_words_of_a_dictionary_are_read():
    moments = pa.array([1_000_000_001], pa.timestamp("ns"))
    words = pa.array(["x"]).dictionary_encode()
    assert read(made({"a": moments, "b": words}))[1] == [["1970-01-01T00:00:01", "x"]]


def test_a_list_stays_json_where_the_column_is_json():
    with opened(made({"a": [["x"]]})) as reader:
        reader.json_columns = {"a"}
        assert reader.batch(1).records == [['["x"]']]


def test_rows_are_read_in_batches_from_any_position():
    data = made({"a": list(range(2500))}, row_group_size=700)
    with opened(data) as reader:
        assert reader.size == 2500
        first = reader.batch(1800)
        again = reader.read_at([first.position(1500), first.position(3)])
        assert again.records == [["1500"], ["3"]]
        reader.seek(first.end)
        assert [record[0] for record in reader.batch(5000).records] == [
            str(number) for number in range(1800, 2500)
        ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (made({"a": [{"x": 1}]}), "The column 'a' has the type struct<x: int64>"),
        (made({"a": [[["x"]]]}), "The column 'a' has the type list<"),
        (made({"a": [b"x"]}), "The column 'a' has the type binary"),
        (made({"a": [dt.timedelta(1)]}), "The column 'a' has the type duration"),
        (b"PAR1" + b"x" * 100 + b"PAR1", "The Parquet file cannot be read"),
        (made({"a": [1]})[:-20], "The Parquet file cannot be read"),
        (made({}), "has no columns"),
        (b"a;b\n1;2\n", "ends in .parquet"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(data, said):
    with pytest.raises(JobError) as caught:
        read(data, "file.parquet")
    assert said in str(caught.value)


def test_without_pyarrow_a_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(JobError, match="need the package pyarrow, which is not installed"):
        read(b"PAR1")
