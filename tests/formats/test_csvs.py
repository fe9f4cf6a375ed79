"""The CSV reader: what it refuses, where it says the fault is, and where it can go on."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.definition import JobError, Partition
from jobs.formats.base import Position
from jobs.formats.csvs import CsvReader
from jobs.recipes.taken import Taken


def reader(data: str | bytes, **options: str) -> CsvReader:
    raw = data.encode() if isinstance(data, str) else data
    found = CsvReader(io.BytesIO(raw), **options)
    found.seek(found.start)
    return found


def records(data: str | bytes, **options: str) -> list[list[str]]:
    batch = reader(data, **options).batch(1000)
    assert batch.fault is None
    return batch.records


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_the_delimiter_is_found_from_the_header(delimiter):
    data = f'sku{delimiter}"a,b;c"{delimiter}name\n1{delimiter}2{delimiter}3\n'
    assert reader(data).header == ["sku", "a,b;c", "name"]
    assert records(data) == [["1", "2", "3"]]


def test_a_given_delimiter_is_taken():
    assert reader("a;b,c\n1;2,3\n", delimiter=",").header == ["a;b", "c"]


def test_a_byte_order_mark_is_no_part_of_the_first_name():
    assert reader(b"\xef\xbb\xbfsku;name\n1;2\n").header == ["sku", "name"]


def test_other_encodings_can_be_chosen():
    assert records("sku;name\n1;Größe €\n".encode("cp1252"), encoding="cp1252") == [
        ["1", "Größe €"]
    ]
    assert records("sku;name\n1;Größe\n".encode("latin-1"), encoding="latin-1") == [["1", "Größe"]]


def test_blank_lines_are_no_records_but_count_as_lines():
    batch = reader("a;b\n\n1;2\r\n\r\n\n3;4").batch(10)
    assert batch.records == [["1", "2"], ["3", "4"]]
    assert batch.rows == [1, 2]
    assert batch.lines == [3, 6]


def test_a_record_over_several_lines_is_said_to_begin_in_its_first():
    batch = reader('a;b\n1;"x\ny\nz"\n2;3\n').batch(10)
    assert batch.records == [["1", "x\ny\nz"], ["2", "3"]]
    assert batch.lines == [2, 5]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "The file is empty"),
        (b"\n1;2\n", "The file is empty"),
        (b"a;a;b\n", "names these columns twice: a."),
        (b"a;;b\n", "Column 2 has no name"),
        (b"a;" + b"n" * 201 + b"\n", "column 2 has 201 characters"),
        (b";".join(b"c%d" % n for n in range(501)) + b"\n", "501 columns; at most 500"),
        (b"a;Gr\xf6\xdfe\n", "not text in UTF-8"),
        (b"a;b\0\n", "not text in UTF-8"),
        ("a;b\n".encode("utf-16"), "not text in UTF-8"),
        (b'a;"b\n1;2\n', "a quote is opened and never closed"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused_with_the_reason(data, said):
    with pytest.raises(JobError, match=said):
        reader(data)


@pytest.mark.parametrize(
    ("rest", "line", "said"),
    [
        ('1;"open\n2;b\n3;c\n', 3, "a quote is opened and never closed"),
        ('1;"open\n2;b\n3;"c"\n', 3, "text follows a closing quote"),
        ("1;2;3\n", 3, "it has 3 cells, but the header has 2 names"),
        ("1;a\rb\n", 3, "a lone carriage return"),
        ("1;" + "x" * (1 << 20) + "y\n", 3, "a cell has more than a million characters"),
        ("1;" + "x" * (10 << 20) + "\n", 3, "a cell has more than a million characters"),
        ("1;" + "x" * (1 << 24) + "\n", 3, "a line has more than 16,777,216 bytes"),
    ],
)
def test_a_broken_record_ends_the_reading_with_its_line(rest, line, said):
    batch = reader("a;b\n0;good\n" + rest + "9;behind\n").batch(1000)
    assert batch.records == [["0", "good"]]
    assert f"begins in line {line} is broken" in str(batch.fault)
    assert said in str(batch.fault)
    assert batch.end == Position(offset=11, row=1, line=3)


def test_nul_and_undecodable_bytes_are_marked_not_refused():
    batch = reader(b"a;b\n1;x\xffy\n2;\0\n").batch(10)
    assert batch.suspect
    assert batch.records == [["1", "x\udcffy"], ["2", "\0"]]
    assert not reader("a;b\n1;é\n").batch(10).suspect


def test_wide_rows_make_smaller_batches():
    data = "a;b\n" + f"1;{'x' * 500_000}\n" * 40
    sizes, source = [], reader(data)
    while (batch := source.batch(5000)).records:
        sizes.append(len(batch.records))
    assert sum(sizes) == 40
    assert max(sizes) <= 17


cells = st.text(st.sampled_from('ab;,"\n\r é€\u2028'), max_size=6)


@given(
    rows=st.lists(st.lists(cells, min_size=2, max_size=2).filter(any), max_size=12),
    size=st.integers(1, 5),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_reading_in_batches_from_any_position_gives_the_same_records(rows, size, newline):
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in rows]
    data = newline.join(["a;b", *(";".join(row) for row in quoted)])
    source, seen = reader(data), []
    while (batch := source.batch(size)).records:
        seen += batch.records
        for index, record in enumerate(batch.records):
            position = batch.position(index)
            again = reader(data)
            again.seek(Position(*position))
            one = again.batch(1)
            assert (one.records, one.rows) == ([record], [position.row + 1])
        source = reader(data)
        source.seek(Position(*batch.end))
    assert seen == rows


cell_texts = st.one_of(
    st.text(alphabet="ab'=;,\t\\ é", max_size=6),
    st.sampled_from(['"', '5" pipe', "two\nlines", "cr\r\nlf", "", "x" * 300]),
)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.lists(cell_texts, min_size=2, max_size=2), min_size=1, max_size=200),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    broken=st.sampled_from(
        ["", "", "", '"open', "too;many;cells", "\n\n", '5" pipe;\n', "a;b", 'a;"b\nc"']
    ),
    delimiter=st.sampled_from([";", "\t"]),
    takes=st.sampled_from(
        [
            None,
            Taken(range(0, 300, 3), None, []),
            Taken(None, Partition(0, 2), [0]),
            Taken(range(100), Partition(1, 3), [1, 0]),
        ]
    ),
)
def test_blocks_give_the_same_rows_as_lines(rows, end, quoting, broken, delimiter, takes):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([["a", "b"], *rows])
    text.write(broken.replace(";", delimiter))
    read = {}
    for positions in (True, False):
        source = reader(text.getvalue(), delimiter=delimiter)
        source.keeps_positions, source.takes = positions, takes
        found, fault = [], None
        while True:
            batch = source.batch(70)
            found += zip(batch.rows, batch.records, strict=True)
            fault = fault or (batch.fault and str(batch.fault))
            if fault or not batch.records:
                break
            cells = [cell for record in batch.records for cell in record]
            if batch.is_plain:
                assert not any(letter in cell for cell in cells for letter in "\\\t\r\n")
            assert batch.has_apostrophes or not any("'" in cell for cell in cells)
        read[positions] = (found, fault, batch.end)
    assert read[True] == read[False]


PIECES = [
    "a",
    "ab",
    "é",
    ";",
    ";",
    '"',
    "\n",
    "\r\n",
    "\r",
    "\0",
    " ",
    "'",
    "\\",
    "\t",
    '""',
    '";"',
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=60).map("".join),
    st.sampled_from(['"', "'", ""]),
    st.booleans(),
)
def test_reading_by_blocks_and_by_lines_gives_the_same(text, quote, is_latin):
    data = ("a;b;c\n" + text).encode("latin-1" if is_latin else "utf-8")
    quick, careful = reader(data, quote=quote), reader(data, quote=quote)
    careful.keeps_positions = True
    for source in (quick, careful):
        source.seek(source.start)
    by_block, by_line = quick.batch(100), careful.batch(100)
    assert by_block.records == by_line.records
    assert (by_block.rows, by_block.suspect) == (by_line.rows, by_line.suspect)
    assert by_block.end[:2] == by_line.end[:2]
    assert str(by_block.fault) == str(by_line.fault)
    if by_block.is_plain:
        assert not any(
            mark in cell for row in by_block.records for cell in row for mark in "\\\t\n"
        )


def test_a_line_that_is_too_long_is_never_cut_in_two():
    wide = ";".join(["x" * 900_000] * 20)
    source = reader(f"{';'.join(f'c{number}' for number in range(20))}\n{wide}\n")
    batch = source.batch(1000)
    assert batch.records == []
    assert "a line has more than 16,777,216 bytes" in str(batch.fault)


@pytest.mark.parametrize("cell", ["x", "x" * 3000])
def test_a_block_has_about_as_many_records_as_were_asked_for(cell):
    source = reader("a;b\n" + f"{cell};1\n" * 3000)
    sizes = [len(source.batch(1000).records) for _ in range(2)]
    assert all(900 <= size <= 1100 for size in sizes)


def test_a_quote_that_is_never_closed_is_found_behind_the_good_records():
    source = reader("a;b\n" + "x;1\n" * 100 + 'x;"open\n' + "z;1\n" * 1_000_000)
    batch = source.batch(1000)
    assert len(batch.records) == 100
    assert "The record that begins in line 102 is broken" in str(batch.fault)


def test_a_line_end_in_the_last_cell_of_a_file_without_a_last_line_end_is_noticed():
    batch = reader('a;b\nk;"x\ny"').batch(1000)
    assert batch.records == [["k", "x\ny"]]
    assert not batch.is_plain


def test_a_sample_comes_from_all_over_the_file_and_disturbs_no_reading():
    rows = [[f"k{n:04}", "two\nlines" if n % 7 == 0 else "x"] for n in range(3000)]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";", lineterminator="\n").writerows([["key", "b"], *rows])
    source = reader(text.getvalue())
    source.size = len(text.getvalue())
    sampled = [cells[0] for cells in source.sample(100)]
    numbers = [int(key[1:]) for key in sampled if key.startswith("k")]
    assert len(numbers) > 50
    assert numbers == sorted(numbers)
    assert numbers[0] < 100
    assert numbers[-1] > 2900
    source.seek(source.start)
    read = []
    while found := source.batch(500).records:
        read += found
    assert read == rows
