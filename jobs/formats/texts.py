"""The shared texts of a workbook, in bounded memory however many there are."""

from __future__ import annotations

import os
import re
from array import array
from tempfile import TemporaryFile

from jobs.definition import JobError
from jobs.formats.base import CELL_LIMIT
from jobs.formats.markup import BLOCK, Attributes, Markup
from jobs.formats.packed import Unpacking

FEW = 50_000  # texts that stay in memory
FEW_CHARACTERS = 1 << 23
TEXTS_LIMIT = 20_000_000
ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


class SharedTexts:
    """The texts by their number, read from their part of the workbook as far as somebody asks.

    `few` are the first ones. The others stand in a temporary file, and only their ends in memory.
    """

    def __init__(self, stream: Unpacking):
        self._stream = stream
        self._markup = Markup(self)
        self._is_read = False
        self._text, self._listens, self._is_phonetic = "", False, False
        self.few: list[str] = []
        self._characters = 0
        self._ends = array("Q", [0])
        self._new = bytearray()
        self._rest = TemporaryFile(prefix="millrace-", buffering=0)  # noqa: SIM115 - closed below

    def __getitem__(self, number: int) -> str:
        """A text; raises IndexError where there is none of this number."""
        while number >= len(self.few) + len(self._ends) - 1 and not self._is_read:
            self._read_on()
        if 0 <= number < len(self.few):
            return self.few[number]
        place = number - len(self.few)
        if place < 0:
            raise IndexError(number)
        start, end = self._ends[place], self._ends[place + 1]
        return os.pread(self._rest.fileno(), end - start, start).decode()

    def close(self) -> None:
        self._rest.close()
        self._stream.close()

    def _read_on(self) -> None:
        block = self._stream.read(BLOCK)
        self._markup.feed(block, is_last=not block)
        self._is_read = not block
        self._rest.write(self._new)
        self._new.clear()

    def begin(self, prefix: str) -> None:
        self._item, self._run, self._phonetic = f"{prefix}si", f"{prefix}t", f"{prefix}rPh"

    def start(self, name: str, _attributes: Attributes) -> None:
        if name == self._run:
            self._listens = not self._is_phonetic
        elif name == self._item:
            self._text = ""
        elif name == self._phonetic:
            self._is_phonetic = True

    def data(self, text: str) -> None:
        if self._listens:
            self._text += text
            if len(self._text) > CELL_LIMIT:
                raise JobError("A text of the workbook has more than a million characters.")

    def end(self, name: str) -> None:
        self._listens = False
        if name == self._item:
            self._keep(unescaped(self._text))
        elif name == self._phonetic:
            self._is_phonetic = False

    def _keep(self, text: str) -> None:
        self._characters += len(text)
        if self._characters <= FEW_CHARACTERS and len(self.few) < FEW:
            self.few.append(text)
            return
        if len(self._ends) > TEXTS_LIMIT:
            raise JobError(
                f"The workbook has more than {TEXTS_LIMIT:,} texts. Divide it, or send it as CSV."
            )
        self._new += text.encode()
        self._ends.append(self._ends[-1] + len(text.encode()))


def unescaped(text: str) -> str:
    """A text of a workbook, in which characters that XML cannot hold are written `_x000D_`."""
    return ESCAPED.sub(_character, text) if "_x" in text else text


def _character(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    return found[0] if code == 0 or 0xD800 <= code <= 0xDFFF else chr(code)
