"""Files for the readers, made byte by byte so that they can be wrong in any way."""

from __future__ import annotations

import io
import zipfile
from contextlib import contextmanager

from jobs.formats.base import Options
from jobs.formats.reading import open_reader

SPREADSHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
STYLES = (  # 0 general, 1 a built-in date, 2 a date of its own, 3 a time, 4 per cent, 5 hours
    '<numFmts><numFmt numFmtId="164" formatCode="[$-407]d\\. mmm yyyy &quot;Uhr&quot;"/>'
    '<numFmt numFmtId="165" formatCode="[h]:mm:ss"/></numFmts>'
    '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
    "<cellXfs>"
    + "".join(f'<xf numFmtId="{number}"/>' for number in (0, 14, 164, 20, 9, 165))
    + "</cellXfs>"
)


def relations(*each: tuple[str, str]) -> str:
    listed = "".join(
        f'<Relationship Id="r{number}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(each)
    )
    return f'<Relationships xmlns="{PACKAGE}">{listed}</Relationships>'


def workbook(
    rows: str,
    *,
    texts: str = "",
    properties: str = "",
    sheet: str | bytes = "",
    parts: dict[str, str | bytes] | None = None,
) -> bytes:
    """An XLSX file with the XML of rows, or of a whole sheet, and of shared texts."""
    names = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{SPREADSHEET}" xmlns:r="{OFFICE}">{properties}'
        '<sheets><sheet name="Data" sheetId="1" r:id="r0"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relations(
            ("worksheet", "worksheets/sheet1.xml"),
            ("styles", "styles.xml"),
            ("sharedStrings", "sharedStrings.xml"),
        ),
        "xl/styles.xml": f'<styleSheet xmlns="{SPREADSHEET}">{STYLES}</styleSheet>',
        "xl/sharedStrings.xml": f'<sst xmlns="{SPREADSHEET}">{texts}</sst>',
        "xl/worksheets/sheet1.xml": sheet
        or f'<?xml version="1.0" encoding="UTF-8"?>\n<worksheet xmlns="{SPREADSHEET}">'
        f"<sheetData>{rows}</sheetData></worksheet>",
    }
    return zipped(names | (parts or {}))


def row(number: int, *cells: str) -> str:
    """A row of cells; each is a number, a text, or its XML with `@` for its place."""
    listed = []
    for letter, cell in zip("ABCDEFGHIJ", cells, strict=False):
        place = f"{letter}{number}"
        if cell.startswith("<"):
            listed.append(cell.replace("@", place))
        else:
            listed.append(f'<c r="{place}" t="inlineStr"><is><t>{cell}</t></is></c>')
    return f'<row r="{number}">{"".join(listed)}</row>'


def cell(value: str, kind: str = "", style: str = "") -> str:
    """The XML of a cell with a value."""
    kind, style = kind and f' t="{kind}"', style and f' s="{style}"'
    return f'<c r="@"{style}{kind}><v>{value}</v></c>'


def zipped(entries: dict[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


@contextmanager
def opened(data: bytes, name: str = "file", **options):
    with open_reader(io.BytesIO(data), name, Options(**options)) as reader:
        yield reader


def read(data: bytes, name: str = "file", **options):
    """All of a file: header, records, and the warnings of its rows as (row, column, code)."""
    records, refusals = [], []
    with opened(data, name, **options) as reader:
        while (batch := reader.batch(10_000)).records or batch.fault:
            if batch.fault:
                raise batch.fault
            records += batch.records
            refusals += [(batch.rows[each.at], each.column, each.code) for each in batch.refusals]
        return reader.header, records, refusals
