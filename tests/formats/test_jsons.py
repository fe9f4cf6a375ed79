"""JSON lines and JSON arrays: cells, columns, broken records, and going on at any of them."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.definition import JobError
from jobs.formats.base import ABSENT, Options
from jobs.formats.jsontext import BLOCK
from jobs.formats.reading import open_reader
from tests.formats.files import opened, read


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def test_the_columns_are_the_keys_of_all_objects():
    header, records, refusals = read(lines({"a": 1, "b": "x"}, {"b": None, "a": 2, "c": 3}))
    assert header == ["a", "b", "c"]
    assert [[*map(str, record)] for record in records] == [["1", "x", ""], ["2", "", "3"]]
    assert [cell is ABSENT for cell in records[0]] == [False, False, True]
    assert [cell is ABSENT for cell in records[1]] == [False, False, False]
    assert refusals == []


def test_a_file_is_sparse_where_an_object_lacks_a_key():
    whole, short = {"a": 1, "b": None}, {"b": 2}
    for records, is_sparse in (
        ([whole, whole], False),
        ([whole, short], True),
        ([short, whole], True),
    ):
        for data in (lines(*records), json.dumps(records).encode()):
            with opened(data) as reader:
                assert reader.is_sparse is is_sparse


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("null", ""),
        ("true", "1"),
        ("false", "0"),
        ("1.50", "1.50"),
        ("1e3", "1000"),
        ("1E-7", "0.0000001"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("0.1000000000000000000001", "0.1000000000000000000001"),
        ('"a;b\\n\\u00e9"', "a;b\né"),
        ('["x", "y"]', "x,y"),
        ("[]", ""),
        ('["x,y"]', '["x,y"]'),
        ('{"k": [1.50, true, null, "ä"]}', '{"k":[1.50,true,null,"ä"]}'),
        ("1e999999", "1e999999"),
    ],
)
def test_a_value_becomes_the_text_that_imports_understand(written, text):
    data = f'{{"key": 1, "a": {written}}}'.encode()
    assert read(data)[1] == [["1", text]]
    assert read(b"[" + data + b"]")[1] == [["1", text]]


def test_a_list_stays_json_where_the_column_is_json():
    with opened(b'{"a": ["x"], "b": ["x"]}') as reader:
        reader.json_columns = {"b"}
        assert reader.batch(1).records == [["x", '["x"]']]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (b"broken", "broken_record", "The line is no JSON object: expecting value at character 1."),
        (b'{"a": 1', "broken_record", "expecting ',' delimiter"),
        (b'{"a": NaN}', "broken_record", "NaN is no number in JSON"),
        (b"[1]", "not_object", "is no JSON object"),
        (b"[" * 100_000, "broken_record", "nested too deeply"),
        (b'{"a": %s}' % (b"1" * 5000), "broken_record", "digits"),
        (b'{"a": "%s"}' % (b"x" * 1_100_000), "too_long", "a million characters"),
    ],
)
def test_a_broken_line_costs_one_row(line, code, said):
    with opened(b'{"a": 1}\n' + line + b'\n{"a": 2}\n', "x.jsonl") as reader:
        batch = reader.batch(10)
    (refusal,) = batch.refusals
    assert (batch.fault, refusal.at, refusal.code) == (None, 1, code)
    assert said in refusal.message
    assert (batch.records[2], batch.rows, batch.lines) == (["2"], [1, 2, 3], [1, 2, 3])


def test_undecodable_bytes_and_lone_surrogates_are_marked():
    for data in (b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"a": "\\u0000"}'):
        for form in (data, b"[" + data + b"]"):
            with opened(form) as reader:
                assert reader.batch(1).suspect
    with opened(b'[{"a": "\xc3\xa9"}]') as reader:
        assert not reader.batch(1).suspect


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'[{"a": 1},\n{"a": }]', "broken in line 2: expecting value at character 7"),
        (b'[{"a": 1},\n{"a": 2}', "broken in line 2: the file ends before the closing ]"),
        (b'[{"a": 1}\n{"a": 2}]', "broken in line 2: a comma or ] is missing"),
        (b'[{"a": 1},\n,{"a": 2}]', "broken in line 2: two commas follow each other"),
        (b'[{"a": 1}]\nx', "broken in line 2: something follows the end of the array"),
        (b'[{"a": "x}]', "unterminated string"),
        (b"[" * 100_000, "nested too deeply"),
        (b'[{"a": "%s"}]' % (b"x" * (17 << 20)), "more than 16,777,216 characters"),
        (b"[]", "has no object with keys"),
        (b"[1, 2]", "no JSON array of objects|has no object|content"),
        (b'{"a": 1}{"a": 2}', "has no object with keys"),
        (json.dumps({f"k{number}": 1 for number in range(501)}).encode(), "501 different keys"),
        (b'{"": 1}', "Column 1 has no name"),
        (b"5", "no JSON array"),
    ],
)
def test_a_file_that_is_broken_as_a_whole_is_refused_with_the_reason(data, said):
    with pytest.raises(JobError, match=said):
        read(data, "file.json")


def test_a_record_longer_than_a_block_is_read():
    long = [{"a": "ä" * BLOCK * number} for number in range(4)]
    assert [len(record[0]) for record in read(json.dumps(long).encode())[1]] == [
        0,
        BLOCK,
        2 * BLOCK,
        3 * BLOCK,
    ]


def test_a_sample_spares_reading_the_whole_file_for_its_columns():
    data = b'[{"a": 1}, {"a": 2}, {"b": 3}, broken'
    with open_reader(io.BytesIO(data), "x", Options(), sample=2) as reader:
        assert reader.header == ["a"]
        assert reader.batch(2).records == [["1"], ["2"]]
    with pytest.raises(JobError, match="broken in line 1"):
        read(data)


keys = st.sampled_from(["a", "b", "ä"])
scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(-1e6, 1e6)
records = st.lists(
    st.fixed_dictionaries({"a": scalars, "b": scalars | st.lists(scalars, max_size=2)}),
    min_size=1,
    max_size=10,
)


@given(records, st.integers(1, 4), st.booleans(), st.sampled_from([None, 2]), st.booleans())
def test_both_forms_are_read_in_batches_from_any_position(table, size, is_array, indent, escapes):
    if is_array:
        data = json.dumps(table, indent=indent, ensure_ascii=escapes)
    else:
        data = "\n".join(json.dumps(each, ensure_ascii=escapes) for each in table)
    with opened(data.encode(), "x.json") as reader:
        seen = []
        while (batch := reader.batch(size)).records:
            seen += batch.records
            positions = [batch.position(at) for at in range(len(batch.records))]
            assert reader.read_at(positions).records == batch.records
            reader.seek(batch.end)
        assert batch.fault is None
    assert len(seen) == len(table)
    place = reader.header.index("a")
    for cells, record in zip(seen, table, strict=True):
        if isinstance(record["a"], str):
            assert cells[place] == record["a"]
        elif isinstance(record["a"], float):
            assert float(cells[place]) == record["a"]
