"""Workbooks: what each kind of cell becomes, and what is said of those that cannot be used."""

import datetime as dt
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from jobs.definition import JobError
from jobs.formats.numbers import date_text, number_text
from tests.formats.files import SPREADSHEET, cell, opened, read, relations, row, workbook

HEADER = row(1, "a", "b", "c")


def rows(*each, **parts):
    return read(workbook(HEADER + "".join(each), **parts))


def value(xml, **parts):
    """What a single cell becomes."""
    _, records, refusals = rows(row(2, "key", xml), **parts)
    assert refusals == []
    return records[0][1]


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        (cell("5"), "5"),
        (cell("1.0"), "1"),
        (cell("0.1"), "0.1"),
        (cell("1.1000000000000001"), "1.1"),
        (cell("-12.50"), "-12.5"),
        (cell("1E-7"), "0.0000001"),
        (cell("1.5E3"), "1500"),
        (cell("0.15", style="4"), "0.15"),
        (cell("123456789012345"), "123456789012345"),
        (cell("1", "b"), "1"),
        (cell("0", "b"), "0"),
        (cell("007", "str"), "007"),
        (cell("a &amp; b &lt;", "str"), "a & b <"),
        ('<c r="@"><f>1+1</f><v>2</v></c>', "2"),
        ('<c r="@" t="str"><f>""</f><v></v></c>', ""),
        ('<c r="@" t="inlineStr"><is><t xml:space="preserve"> x </t></is></c>', " x "),
        ('<c r="@" t="inlineStr"><is><r><t>ri</t></r><r><t>ch</t></r></is></c>', "rich"),
        (
            '<c r="@" t="inlineStr"><is><t>東京</t><rPh sb="0" eb="2"><t>とう</t></rPh></is></c>',
            "東京",
        ),
        ('<c r="@" t="inlineStr"><is><t>a_x000D_b_x005F_x_x0000_</t></is></c>', "a\rb_x_x0000_"),
        ('<c r="@" t="str"><v><![CDATA[<b>]]></v></c>', "<b>"),
        (cell("46112", style="1"), "2026-03-31"),
        (cell("46112.520833333336", style="1"), "2026-03-31T12:30:00"),
        (cell("46112", style="2"), "2026-03-31"),
        (cell("0.5208333333333334", style="3"), "12:30:00"),
        (cell("1.5", style="5"), "36:00:00"),
        (cell("2026-03-31T00:00:00Z", "d"), "2026-03-31"),
        ('<c r="@" s="1"/>', ""),
    ],
)
def test_a_cell_becomes_the_text_that_a_person_sees(xml, text):
    assert value(xml) == text


def test_dates_are_counted_from_1904_where_the_workbook_says_so():
    since = '<workbookPr date1904="1"/>'
    assert value(cell("44650", style="1"), properties=since) == "2026-03-31"
    assert value(cell("0", style="1"), properties=since) == "1904-01-01"


@pytest.mark.parametrize(
    ("number", "day"), [("1", "1900-01-01"), ("59", "1900-02-28"), ("61", "1900-03-01")]
)
def test_the_day_that_1900_did_not_have_is_left_out(number, day):
    assert date_text(number, "date", False) == day
    with pytest.raises(ValueError, match="60"):
        date_text("60", "date", False)


@given(st.dates(dt.date(1900, 3, 1)))
def test_every_date_comes_back(day):
    serial = (day - dt.date(1899, 12, 30)).days
    assert date_text(str(serial), "date", False) == day.isoformat()


@given(st.floats(-1e14, 1e14))
def test_every_number_comes_back(number):
    text = number_text(repr(number))
    assert float(text) == number
    assert "e" not in text


@pytest.mark.parametrize(
    ("xml", "code", "said"),
    [
        (cell("#N/A", "e"), "cell_error", "The cell shows the error #N/A."),
        (cell("1.2345678901234567E+17"), "rounded_number", "a spreadsheet keeps only 15 digits"),
        ('<c r="@"><f>A1</f></c>', "no_value", "The cell has a formula without a result."),
        (cell("60", style="1"), "invalid_date", "is formatted as a date, but holds none"),
        (cell("-1", style="1"), "invalid_date", "but holds none"),
        (cell("1E99", style="1"), "invalid_date", "but holds none"),
        (cell("NaN"), "rounded_number", "15 digits"),
        (cell("x"), "invalid_number", "has a number that is none"),
        (cell("7", "s"), "broken_cell", "refers to a text that the workbook does not have"),
        (cell("-1", "s"), "broken_cell", "refers to a text"),
    ],
)
def test_a_cell_that_cannot_be_used_is_a_warning_of_its_row(xml, code, said):
    with opened(workbook(HEADER + row(2, "key", xml) + row(3, "next"))) as reader:
        batch = reader.batch(10)
    (refusal,) = batch.refusals
    assert (refusal.at, refusal.column, refusal.code) == (0, "b", code)
    assert said in refusal.message
    assert batch.records[1] == ["next", "", ""]


def test_a_value_beyond_the_header_is_a_warning():
    assert rows(row(2, "1", "2", "3", "4"))[2] == [(1, "D", "extra_cell")]
    assert rows(row(2, "1", "2", "3", '<c r="@" s="1"/>'))[2] == []


def test_gaps_and_cells_without_a_place_keep_their_columns():
    assert rows('<row r="9"><c r="C9"><v>3</v></c></row>')[1] == [["", "", "3"]]
    assert rows("<row><c><v>1</v></c><c/><c><v>3</v></c></row>")[1] == [["1", "", "3"]]


def test_rows_without_values_are_no_rows_and_keep_the_numbers_of_others():
    with opened(workbook(HEADER + row(2) + row(3, '<c r="@" s="1"/>') + row(7, "x"))) as reader:
        batch = reader.batch(10)
    assert (batch.records, batch.rows, batch.lines) == ([["x", "", ""]], [1], [7])


def test_the_number_of_a_row_may_stand_behind_other_attributes():
    later = '<row spans="1:3" r="9"><c r="A9"><v>1</v></c></row>'
    with opened(workbook(HEADER + row(2, "x") + later)) as reader:
        assert reader.batch(10).lines == [2, 9]


def test_shared_texts_are_found_by_number():
    texts = "<si><t>one</t></si><si><r><t>t</t></r><r><t>wo</t></r></si>"
    assert value(cell("1", "s"), texts=texts) == "two"


def test_many_shared_texts_are_kept_in_a_file(monkeypatch):
    monkeypatch.setattr("jobs.formats.texts.FEW", 3)
    texts = "".join(f"<si><t>text {number} ä</t></si>" for number in range(5000))
    each = "".join(row(number + 2, cell(str(4999 - number), "s")) for number in range(5000))
    records = rows(each, texts=texts)[1]
    assert [record[0] for record in records] == [f"text {n} ä" for n in range(4999, -1, -1)]


def two_sheets(first_state):
    return workbook(
        HEADER + row(2, "hidden"),
        parts={
            "xl/workbook.xml": f'<workbook xmlns:r="x"><sheets>'
            f'<sheet name="One" state="{first_state}" r:id="r0"/>'
            '<sheet name="Two" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(
                ("worksheet", "worksheets/sheet1.xml"), ("worksheet", "/xl/worksheets/2.xml")
            ),
            "xl/worksheets/2.xml": f"<worksheet><sheetData>{HEADER}{row(2, 'shown')}"
            "</sheetData></worksheet>",
        },
    )


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_the_first_sheet_that_is_not_hidden_is_read_and_others_by_name(state):
    assert read(two_sheets(state))[1][0][0] == "shown"
    assert read(two_sheets(state), sheet="One")[1][0][0] == "hidden"
    assert read(two_sheets("visible"))[1][0][0] == "hidden"
    with pytest.raises(JobError, match="no sheet 'Three'; it has 'One', 'Two'"):
        read(two_sheets(state), sheet="Three")


def test_without_a_header_the_columns_have_letters():
    header, records, _ = read(workbook(row(1, "1", "2") + row(2, "3", "4")), header=False)
    assert (header, records) == (["A", "B"], [["1", "2"], ["3", "4"]])


@pytest.mark.parametrize(
    ("sheet", "said"),
    [
        ("<worksheet><sheetData>", "is damaged"),
        (f"<worksheet><sheetData>{HEADER}<row r='2'><c r='A2'><v>1</v></x>", "is damaged"),
        (f"<worksheet><sheetData>{HEADER}{row(2, 'x')}", "is damaged"),
        ("<worksheet><sheetData/></worksheet>", "The sheet 'Data' is empty"),
        ("", "The sheet 'Data' is empty"),
        (f"<worksheet><sheetData>{row(1, 'a', 'a')}</sheetData></worksheet>", "twice: a."),
        (f"<worksheet><sheetData>{row(1, 'a', '', 'c')}</sheetData></worksheet>", "Column 2 has"),
        (
            f"<worksheet><sheetData>{row(1, 'a', cell('#REF!', 'e'))}</sheetData></worksheet>",
            "The header cannot be read at B1: The cell shows the error #REF!.",
        ),
        (
            f'<!DOCTYPE x [<!ENTITY a "aaa">]><worksheet><sheetData>{row(1, "&a;")}</sheetData>',
            "declares XML entities",
        ),
        (f"<worksheet><sheetData>{row(1, 'x' * 1_100_000)}</sheetData></worksheet>", "a million"),
        (f'<worksheet a="{"x" * 1_200_000}"><sheetData/></worksheet>', "a tag of more than"),
    ],
)
def test_a_sheet_that_cannot_be_read_is_refused_with_the_reason(sheet, said):
    with pytest.raises(JobError, match=said):
        read(workbook("", sheet=sheet))


def test_a_sheet_of_more_columns_than_are_read_is_refused():
    cells = "".join(f"<c t='str'><v>c{number}</v></c>" for number in range(600))
    with pytest.raises(JobError, match="more than 500 columns"):
        read(workbook(f"<row>{cells}</row>"))


def test_rows_before_the_damage_are_read():
    data = workbook("", sheet=f"<worksheet><sheetData>{HEADER}{row(2, 'x')}{row(3, 'y')}<row <")
    with opened(data) as reader:
        batch = reader.batch(10)
        assert [record[0] for record in batch.records] == ["x", "y"]
        assert "is damaged" in str(batch.fault)


def test_shared_texts_that_blow_up_are_refused():
    texts = f"<si><t>{'x' * 1_000_000}</t></si>"
    wide = "".join(cell("0", "s").replace("@", f"A{number}") for number in range(80))
    with opened(workbook(HEADER + row(2, "x") + f'<row r="3">{wide}</row>', texts=texts)) as reader:
        batch = reader.batch(10)
        assert batch.records == [["x", "", ""]]
        assert "Row 3 and those right before it have more than 67,108,864" in str(batch.fault)


ROWS = HEADER + row(2, "ä") + row(3, "z")
OTHER_FORMS = {
    "a comment": f"<worksheet><sheetData>{HEADER}<!-- <row> -->{ROWS[len(HEADER) :]}</sheetData>"
    "</worksheet>",
    "a prefix": f'<x:worksheet xmlns:x="{SPREADSHEET}"><x:sheetData>'
    + re.sub("<(/?)", r"<\1x:", ROWS)
    + "</x:sheetData></x:worksheet>",
    "UTF-16": (
        f'<?xml version="1.0" encoding="UTF-16"?><worksheet><sheetData>{ROWS}'
        "</sheetData></worksheet>"
    ).encode("utf-16"),
    "ISO 8859-1": (
        f'<?xml version="1.0" encoding="ISO-8859-1"?><worksheet><sheetData>{ROWS}'
        "</sheetData></worksheet>"
    ).encode("latin-1"),
    "spaces": f"<worksheet><sheetData>{ROWS}".replace("<c ", "<c\n ") + "</sheetData></worksheet>",
}


@pytest.mark.parametrize("sheet", OTHER_FORMS.values(), ids=OTHER_FORMS)
def test_xml_in_other_forms_is_read_from_any_position_too(sheet):
    data = workbook("", sheet=sheet)
    assert [record[0] for record in read(data)[1]] == ["ä", "z"]
    with opened(data) as reader:
        first = reader.batch(1)
        reader.seek(first.end)
        assert reader.batch(1).records == [["z", "", ""]]
        assert reader.read_at([first.position(0)]).records == first.records


def test_the_value_of_merged_cells_stands_in_the_first_of_them():
    book = Workbook()
    for record in (["a", "b", "c"], ["x", "y", "z"], ["1", "2", "3"]):
        book.active.append(record)
    book.active.merge_cells("A2:B3")
    file = io.BytesIO()
    book.save(file)
    assert read(file.getvalue())[1] == [["x", "", "z"], ["", "", "3"]]


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=8)
values = (
    st.none()
    | texts
    | st.integers(-(10**14), 10**14)
    | st.booleans()
    | st.dates(dt.date(1900, 3, 1))
)


@given(st.lists(st.lists(values, min_size=3, max_size=3).filter(any), max_size=8), st.data())
def test_what_another_program_writes_is_read_the_same_in_both_ways(table, data):
    book = Workbook(write_only=data.draw(st.booleans()))
    sheet = book.create_sheet() if book.write_only else book.active
    for record in [["a", "b", "c"], *table]:
        sheet.append([f"_{each}" if isinstance(each, str) else each for each in record])
    file = io.BytesIO()
    book.save(file)
    with opened(file.getvalue()) as reader:
        quick = reader.batch(100)
        reader._is_plain = False
        reader.seek(reader.start)
        careful = reader.batch(100)
    assert quick == careful
    assert len(quick.records) == len(
        [record for record in table if any(r is not None for r in record)]
    )
