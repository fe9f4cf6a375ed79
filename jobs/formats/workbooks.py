"""The parts of a workbook (XLSX): which sheets there are, what their cells' formats mean."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO
from zipfile import ZipFile, ZipInfo

from jobs.definition import JobError
from jobs.formats.markup import Attributes, elements
from jobs.formats.numbers import kind_of_format
from jobs.formats.packed import Unpacking, open_archive, open_entry
from jobs.formats.texts import SharedTexts

STYLES_LIMIT = 1 << 17
NO_TEXTS = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>'


@dataclass(frozen=True)
class Sheet:
    name: str
    entry: ZipInfo
    is_hidden: bool


class Workbook:
    """A workbook whose description has been read; its rows have not.

    `formats` gives, for the number of a cell's style, `date` or `time`; other styles are left out.
    """

    def __init__(self, file: BinaryIO):
        self.archive = open_archive(file)
        self._parts = {entry.filename.lower(): entry for entry in self.archive.infolist()}
        main = self._main_part()
        self._related = self._relations(main)
        self.from_1904 = False
        self.sheets: list[Sheet] = []
        for name, attributes in self._elements(main):
            if name == "workbookPr":
                self.from_1904 = attributes.get("date1904", "0") in ("1", "true")
            elif name == "sheet":
                self._add_sheet(attributes)
        self.formats = self._formats()

    def sheet(self, name: str) -> Sheet:
        """The sheet of this name, or without one the first that is not hidden."""
        names = ", ".join(repr(sheet.name) for sheet in self.sheets[:20])
        for sheet in self.sheets:
            if sheet.name == name or (not name and not sheet.is_hidden):
                return sheet
        if name:
            raise JobError(f"The workbook has no sheet {name!r}; it has {names or 'none'}.")
        raise JobError("The workbook has no visible sheet with cells.")

    def texts(self) -> SharedTexts:
        for kind, target in self._related.values():
            if kind == "sharedStrings" and (entry := self._parts.get(target)):
                return SharedTexts(open_entry(self.archive, entry))
        return SharedTexts(Unpacking(BytesIO(NO_TEXTS)))

    def _add_sheet(self, attributes: Attributes) -> None:
        kind, target = self._related.get(attributes.get("id", ""), ("", ""))
        entry = self._parts.get(target)
        if kind == "worksheet" and entry:
            is_hidden = attributes.get("state", "visible") != "visible"
            self.sheets.append(Sheet(attributes.get("name", ""), entry, is_hidden))

    def _main_part(self) -> str:
        for kind, target in self._relations("").values():
            if kind == "officeDocument":
                if target.endswith(".bin"):
                    raise JobError("The file is a binary workbook (XLSB). Save it as XLSX.")
                return target
        raise JobError("The file is no workbook: it names no main part. Save it as XLSX again.")

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        """What a part refers to: by identifier, the kind and the other part's name."""
        folder, name = posixpath.split(part)
        path = posixpath.join(folder, "_rels", f"{name}.rels")
        return {
            of["Id"]: (of["Type"].rpartition("/")[2], _resolved(folder, of["Target"]))
            for name, of in self._elements(path)
            if name == "Relationship" and {"Id", "Type", "Target"} <= set(of)
        }

    def _elements(self, part: str) -> Iterator[tuple[str, Attributes]]:
        entry = self._parts.get(part)
        return elements(open_entry(self.archive, entry)) if entry else iter(())

    def _formats(self) -> dict[str, str]:
        path = next((target for kind, target in self._related.values() if kind == "styles"), "")
        codes: dict[int, str] = {}
        formats: dict[str, str] = {}
        counts, style = False, 0
        for name, attributes in self._elements(path):
            if name == "numFmt":
                with suppress(KeyError, ValueError):
                    codes[int(attributes["numFmtId"])] = attributes["formatCode"]
            elif name in ("cellXfs", "cellStyleXfs"):
                counts = name == "cellXfs"
            elif name == "xf" and counts and style < STYLES_LIMIT:
                if kind := _kind(attributes.get("numFmtId", "0"), codes):
                    formats[str(style)] = kind
                style += 1
        return formats


def is_workbook(archive: ZipFile) -> bool:
    """Whether an archive is a workbook; raises JobError for other documents of office programs."""
    names = {name.lower() for name in archive.namelist()}
    if "content.xml" in names and "mimetype" in names:
        raise JobError("The file is an OpenDocument spreadsheet (ODS). Save it as XLSX.")
    if "[content_types].xml" not in names:
        return False
    if not any(name.startswith("xl/") for name in names):
        raise JobError("The file is a document of an office program, but no workbook.")
    return True


def _kind(number: str, codes: dict[int, str]) -> str | None:
    with suppress(ValueError):
        return kind_of_format(int(number), codes.get(int(number)))
    return None


def _resolved(folder: str, target: str) -> str:
    return posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/").lower()
