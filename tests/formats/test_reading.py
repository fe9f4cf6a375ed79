"""What a file is, found from its content; and rubbish of every kind, refused in sentences."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.definition import JobError
from jobs.formats.detection import SAMPLE
from tests.formats.files import opened, read, row, workbook

TABLE = (["a", "b"], [["1", "Größe"], ["2", "x"]], [])
TEXT = "a;b\n1;Größe\n2;x\n"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (TEXT.encode(), "CSV in UTF-8, separated by semicolons"),
        (TEXT.encode("utf-8-sig"), "CSV in UTF-8, separated by semicolons"),
        (TEXT.encode("cp1252"), "CSV in Windows-1252 (Western Europe), separated by semicolons"),
        (TEXT.encode("utf-16"), "CSV in UTF-16, separated by semicolons"),
        (TEXT.encode("utf-16-be"), "CSV in UTF-16, separated by semicolons"),
        (TEXT.replace(";", "\t").encode(), "CSV in UTF-8, separated by tabs"),
        (b"'a';'b'\n'1';'Gr\xc3\xb6\xc3\x9fe'\n'2';'x'\n", "CSV in UTF-8, separated by semicolons"),
        (b'{"a": 1, "b": "Gr\xc3\xb6\xc3\x9fe"}\n{"a": 2, "b": "x"}', "JSON lines"),
        (b' [{"a": 1, "b": "Gr\xc3\xb6\xc3\x9fe"}, {"a": 2, "b": "x"}]', "a JSON array"),
        ('[{"a": 1, "b": "Größe"}, {"a": 2, "b": "x"}]'.encode("utf-16"), "a JSON array"),
        (
            workbook(row(1, "a", "b") + row(2, "1", "Größe") + row(3, "2", "x")),
            "XLSX, sheet 'Data'",
        ),
    ],
)
@pytest.mark.parametrize("name", ["file", "file.csv", "file.dat"])
def test_a_file_is_known_by_its_content(data, said, name):
    with opened(data, name) as reader:
        assert reader.said() == said
    assert read(data, name) == TABLE


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (TEXT.encode("latin-1"), {"encoding": "latin-1"}),
        (TEXT.encode("iso8859-15"), {"encoding": "iso8859-15"}),
        (TEXT.encode("mac-roman"), {"encoding": "mac-roman"}),
        (TEXT.encode("utf-16-le"), {"encoding": "utf-16"}),
        (TEXT.replace(";", "\t").encode(), {"delimiter": "tab"}),
        (b"a;b\n1;'Gr\xc3\xb6\xc3\x9fe'\n2;x", {"quote": "'"}),
        (TEXT.encode(), {"quote": "none"}),
        (TEXT.encode(), {"format": "csv"}),
    ],
)
def test_what_people_choose_is_taken(data, options):
    assert read(data, **options) == TABLE


def test_without_quotes_a_quotation_mark_is_a_letter():
    assert read(b'a;b\n"1;5"\n', quote="none")[1] == [['"1', '5"']]


def test_without_a_header_the_columns_have_letters():
    wide = ";".join("x" * 30).encode()
    header, records, _ = read(b"1;2\n3;4\n", header=False)
    assert (header, records) == (["A", "B"], [["1", "2"], ["3", "4"]])
    assert read(wide, header=False)[0][-4:] == ["AA", "AB", "AC", "AD"]


def test_latin_1_that_says_utf_8_is_marked_row_by_row():
    with opened("a;b\n1;Größe\n2;x\n".encode("latin-1"), encoding="utf-8") as reader:
        batch = reader.batch(10)
    assert batch.suspect
    assert batch.records == [["1", "Gr\udcf6\udcdfe"], ["2", "x"]]


def test_a_few_broken_bytes_in_utf_8_do_not_change_its_encoding():
    data = b"a;b\n" + "1;Größe\n".encode() * 100 + b"2;\xff\n"
    with opened(data) as reader:
        assert reader.encoding == "utf-8"


def test_letters_far_behind_the_beginning_tell_the_encoding():
    data = b"a;b\n" + b"1;x\n" * SAMPLE + "2;Größe\n".encode("cp1252") * SAMPLE
    with opened(data) as reader:
        assert reader.encoding == "cp1252"


def test_a_cut_character_of_utf_16_is_marked():
    with opened("a;b\n1;x".encode("utf-16")[:-1]) as reader:
        assert reader.batch(10).suspect
    with opened("a;b\n1;".encode("utf-16") + b"\x00\xd8" + "\n".encode("utf-16-le")) as reader:
        assert reader.batch(10).suspect


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        (b"%PDF-1.7 ...", {}, "The file is a PDF document, which cannot be imported"),
        (b"\x89PNG....", {}, "The file is a picture"),
        (b"<!doctype HTML><html>", {}, "The file is a web page"),
        (b"<?xml version='1.0'?>", {}, "The file is XML"),
        (b"BZh91AY&SY", {}, "The file is packed with bzip2"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, {}, "the old format of Excel (XLS)"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            {},
            "The workbook is encrypted",
        ),
        (b"", {}, "The file is empty"),
        (bytes(range(256)) * 10, {}, "is not text in"),
        (workbook(row(1, "a")), {"format": "csv"}, "The file is XLSX (Excel), but CSV was chosen"),
        (b"a;b\n", {"format": "xlsx"}, "The file is CSV, but XLSX (Excel) was chosen"),
        (b"a;b\n", {"format": "parquet"}, "The file is CSV, but Parquet was chosen"),
        (b"a;b\n", {"format": "json"}, "The file is no JSON array"),
        (b"a;b\n", {"format": "jsonl"}, "has no object with keys"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(data, options, said):
    with pytest.raises(JobError) as caught:
        read(data, **options)
    assert said in str(caught.value)


PIECES = (
    *(
        b"a;b\n",
        b'"',
        b"'",
        b"\n",
        b"\r",
        b";",
        b",",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"[",
        b"]",
    ),
    *(b'{"a":', b"}", b"1", b"PK\3\4", b"\x1f\x8b\x08\0", b"PAR1", b"\xc3", b"\xa4"),
)
XML = (
    *("<row>", "</row>", "<c>", "<c r='B2' s='1'>", "</c>", "<v>", "</v>", "1", "x", "<is><t>"),
    *("</t></is>", "<!--", "-->", "<row r='5'/>", "&amp;", "&x;", "</sheetData>", "<f>", "</f>"),
)
rubbish = st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)


def check_all(data: bytes, name: str = "file", **options: str) -> None:
    """Read to the end: nothing but JobError may be raised, and the reading must end."""
    try:
        with opened(data, name, **options) as reader:
            for _ in range(len(data) + 2):
                batch = reader.batch(2)
                if batch.fault or not batch.records:
                    return
            raise AssertionError("It does not end.")
    except JobError:
        return


@given(rubbish, st.sampled_from(["file", "a.csv", "a.json", "a.jsonl", "a.xlsx", "a.parquet"]))
def test_rubbish_never_raises_anything_but_a_sentence(data, name):
    check_all(data, name)


@given(rubbish, st.sampled_from(["csv", "xlsx", "jsonl", "json", "parquet"]))
def test_rubbish_in_a_chosen_format_does_not_either(data, chosen):
    check_all(data, format=chosen)


WORKBOOK = workbook(
    row(1, "a", "b") + row(2, "1", "x") + row(3, "2", "<c r='@' s='1'><v>1</v></c>")
)


@given(st.integers(0, len(WORKBOOK) - 1), st.binary(min_size=1, max_size=4), st.booleans())
def test_a_damaged_workbook_never_raises_anything_but_a_sentence(at, damage, is_cut):
    check_all(WORKBOOK[:at] + damage + (b"" if is_cut else WORKBOOK[at + len(damage) :]))


@given(st.lists(st.sampled_from(XML), max_size=20).map("".join))
def test_a_broken_sheet_never_raises_anything_but_a_sentence(xml):
    check_all(workbook(row(1, "a", "b") + row(2, "1", "x") + xml))


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=5)


@given(
    st.lists(st.lists(texts, min_size=2, max_size=2).filter(any), min_size=1, max_size=6),
    st.sampled_from([";", ",", "\t", "|"]),
    st.sampled_from(["'", '"']),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_python_writes_as_csv_is_read_the_same(table, delimiter, quote, encoding):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, quotechar=quote, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b"], *table])
    assert read(file.getvalue().encode(encoding))[1] == table
