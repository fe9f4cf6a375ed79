"""The parts of an XLSX workbook beside its rows, as ECMA-376 has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from jobs.formats.written import TEXT, WrittenColumn

XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"

SHEET_END = b"</sheetData></worksheet>"
FROZEN = (
    '<sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" '
    'activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
)
# The styles of cells: 0 plain, 1 bold, 2 a date.
STYLES = (
    f'{XML}<styleSheet xmlns="{MAIN}">'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
    '<xf numFmtId="14" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>"
)
NARROWEST, WIDEST, TEXTS = 10, 60, 20  # characters
NOT_IN_TITLES = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
TITLE_LENGTH = 31


def sheet_head(columns: Sequence[WrittenColumn], *, frozen: bool) -> str:
    """The beginning of a sheet: the header kept in view, and the widths of the columns."""
    widths = "".join(
        f'<col min="{number}" max="{number}" width="{_width(column)}" customWidth="1"/>'
        for number, column in enumerate(columns, 1)
    )
    view = FROZEN if frozen else ""
    listed = f"<cols>{widths}</cols>" if widths else ""
    return f'{XML}<worksheet xmlns="{MAIN}">{view}{listed}<sheetData>'


def _width(column: WrittenColumn) -> int:
    least = TEXTS if column.kind == TEXT else NARROWEST
    return min(WIDEST, max(least, len(column.name) + 2))


def sheet_title(wanted: str, taken: Sequence[str]) -> str:
    """A title that spreadsheets accept, and that no other sheet has."""
    title = NOT_IN_TITLES.sub(" ", wanted).strip(" '")[:TITLE_LENGTH] or "Rows"
    number, found = 1, title
    while found.lower() in {each.lower() for each in taken}:
        number += 1
        found = f"{title[: TITLE_LENGTH - 1 - len(str(number))]} {number}"
    return found


def workbook(titles: Sequence[str]) -> dict[str, str]:
    """The parts that name the sheets and each other, by their places in the package."""
    numbers = range(1, len(titles) + 1)
    sheets = "".join(
        f'<sheet name={quoteattr(title)} sheetId="{number}" r:id="rId{number}"/>'
        for number, title in zip(numbers, titles, strict=True)
    )
    relations = {
        f"rId{number}": ("worksheet", f"worksheets/sheet{number}.xml") for number in numbers
    }
    relations["rIdStyles"] = ("styles", "styles.xml")
    kinds = {f"/xl/worksheets/sheet{number}.xml": "worksheet" for number in numbers}
    kinds |= {"/xl/workbook.xml": "sheet.main", "/xl/styles.xml": "styles"}
    overrides = "".join(
        f'<Override PartName="{place}" ContentType="{TYPE}.{kind}+xml"/>'
        for place, kind in kinds.items()
    )
    return {
        "xl/workbook.xml": (
            f'{XML}<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{sheets}</sheets></workbook>'
        ),
        "xl/styles.xml": STYLES,
        "xl/_rels/workbook.xml.rels": _relationships(relations),
        "_rels/.rels": _relationships({"rId1": ("officeDocument", "xl/workbook.xml")}),
        "[Content_Types].xml": (
            f'{XML}<Types xmlns="{PACKAGE}/content-types">'
            '<Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>'
        ),
    }


def _relationships(relations: dict[str, tuple[str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="{name}" Type="{OFFICE}/{kind}" Target="{place}"/>'
        for name, (kind, place) in relations.items()
    )
    return f'{XML}<Relationships xmlns="{PACKAGE}/relationships">{listed}</Relationships>'
