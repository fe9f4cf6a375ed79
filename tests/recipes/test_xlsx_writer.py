"""Workbooks: what they hold as other programs read them, their limits, and their memory."""

import csv
import io
import os
import shutil
import subprocess
import tracemalloc

import openpyxl
import pytest
from python_calamine import CalamineWorkbook

from jobs.definition import JobError
from jobs.formats import xlsx_writer
from jobs.formats.writing import Passing, open_writer
from jobs.formats.written import BOOLEAN, DATE, NUMBER, WriteOptions, WrittenColumn

COLUMNS = [
    WrittenColumn("Text"),
    WrittenColumn("Number", NUMBER),
    WrittenColumn("Truth", BOOLEAN),
    WrittenColumn("Day", DATE),
]
LINES = [
    b"plain\t1.50\t1\t46000\n",
    b"\t\t\t\n",
    b"=1+1\t-3\t0\t61\n",
    b" a & <b> _x0041_ \\\\ \\n \x0b\t\x0112345678901234567890\t\t\x010044-03-15\n",
]
ROWS = [
    ["plain", 1.5, True, "2025-12-09"],
    ["", "", "", ""],
    ["=1+1", -3.0, False, "1900-03-01"],
    [" a & <b> _x0041_ \\ \n \x0b", "12345678901234567890", "", "0044-03-15"],
]


def workbook(lines, columns=COLUMNS, **options) -> bytes:
    target = Passing()
    with open_writer("xlsx", target, columns, WriteOptions(**options)) as writer:
        writer.write_copied(lines)
    return target.take()


def shown(value) -> object:
    return value.date().isoformat() if hasattr(value, "date") else "" if value is None else value


def test_openpyxl_reads_what_was_written():
    book = openpyxl.load_workbook(io.BytesIO(workbook(LINES, title="My [rows]")))
    sheet = book.active
    assert sheet.title == "My  rows"
    header, *rows = sheet.iter_rows(values_only=True)
    assert header == ("Text", "Number", "Truth", "Day")
    unescape = openpyxl.utils.escape.unescape
    found = [[unescape(of) if isinstance(of, str) else shown(of) for of in row] for row in rows]
    assert found == ROWS
    assert {cell.data_type for cell in sheet["A"]} <= {"s", "n"}, "no cell is a formula"
    assert sheet["A1"].font.bold
    assert sheet.freeze_panes == "A2"
    assert sheet.column_dimensions["A"].width == 20


def test_calamine_reads_what_was_written():
    book = CalamineWorkbook.from_filelike(io.BytesIO(workbook(LINES)))
    _, *rows = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    first, _, third, fourth = rows
    assert [str(each) for each in first] == ["plain", "1.5", "True", "2025-12-09"]
    assert third[:3] == ["=1+1", -3.0, False]
    assert (fourth[1], fourth[3]) == ("12345678901234567890", "0044-03-15")


def test_libreoffice_reads_what_was_written(tmp_path):
    office = shutil.which("soffice") or shutil.which("libreoffice")
    if office is None:
        pytest.skip("There is no LibreOffice: apt-get install libreoffice-calc")
    (tmp_path / "rows.xlsx").write_bytes(workbook(LINES))
    command = [office, "--headless", "--convert-to", "csv", "--outdir", tmp_path, "rows.xlsx"]
    american = os.environ | {"LC_ALL": "C.UTF-8"}  # how it writes dates
    subprocess.run(
        command, cwd=tmp_path, env=american, check=True, timeout=120, capture_output=True
    )
    with (tmp_path / "rows.csv").open(newline="") as found:
        header, *rows = csv.reader(found)
    assert header == ["Text", "Number", "Truth", "Day"]
    assert rows == [
        ["plain", "1.5", "TRUE", "12/09/2025"],
        ["", "", "", ""],
        ["=1+1", "-3", "FALSE", "03/01/1900"],
        [" a & <b> _x0041_ \\ \n \x0b", "12345678901234567890", "", "0044-03-15"],
    ]


def test_one_odd_row_among_many_is_found(monkeypatch):
    lines = [b"row %d\t%d\t1\t46000\n" % (number, number) for number in range(100)]
    lines[37] = LINES[3]
    rows = list(openpyxl.load_workbook(io.BytesIO(workbook(lines))).active.values)[1:]
    assert len(rows) == 100
    assert rows[36][0] == "row 36"
    assert rows[37][1] == "12345678901234567890"
    assert rows[38][1] == 38


@pytest.mark.parametrize("limit", ["SHEET_ROWS", "SHEET_BYTES"])
def test_rows_that_a_sheet_cannot_hold_go_to_the_next(monkeypatch, limit):
    monkeypatch.setattr(xlsx_writer, limit, 4 if limit == "SHEET_ROWS" else 300)
    target = Passing()
    with open_writer("xlsx", target, COLUMNS, WriteOptions(title="R" * 40)) as writer:
        for number in range(7):
            writer.write_copied([b"%d\t%d\t1\t1\n" % (number, number)])
    book = openpyxl.load_workbook(io.BytesIO(target.take()))
    assert len(book.sheetnames) > 2
    assert book.sheetnames[:2] == ["R" * 31, "R" * 29 + " 2"]
    tables = [list(sheet.values) for sheet in book.worksheets]
    assert {table[0] for table in tables} == {("Text", "Number", "Truth", "Day")}
    assert [row[1] for table in tables for row in table[1:]] == [*range(7)]


def test_a_text_longer_than_a_cell_is_refused_by_name():
    fits = b"x" * 32_767 + b"\t1\t1\t1\n"
    assert workbook([fits])
    with pytest.raises(JobError, match=r"A text in the column 'Text' has 32,768 characters"):
        workbook([b"x" + fits])
    long = "ü" * 32_767
    assert workbook([long.encode() + b"\t1\t1\t1\n"]), "characters count, not bytes"


def test_more_columns_than_a_sheet_has_are_refused():
    with pytest.raises(JobError, match=r"There are 16,385 columns"):
        workbook([], [WrittenColumn(str(number)) for number in range(16_385)])


def test_memory_does_not_grow_with_the_rows():
    class Nowhere:
        def write(self, block):
            return len(block)

    lines = [b"some text of a row %d\t%d\t1\t46000\n" % (n, n) for n in range(512)]

    def peak(blocks: int) -> int:
        tracemalloc.start()
        with open_writer("xlsx", Nowhere(), COLUMNS) as writer:
            for _ in range(blocks):
                writer.write_copied(lines)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(100) < peak(10) + 100_000
