"""UTF-16 as UTF-8, for readers that look for ends of lines as single bytes."""

from __future__ import annotations

import codecs
from typing import BinaryIO


class Utf16AsUtf8:
    """The text of a file in UTF-16 as a stream of UTF-8.

    What is no character becomes a byte that is none in UTF-8 either, so that its row is noticed.
    """

    def __init__(self, file: BinaryIO, encoding: str):
        self._file = file
        self._file.seek(0)
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")

    def read(self, size: int) -> bytes:
        while block := self._file.read(size):
            if text := self._decoder.decode(block):
                return text.encode("utf-8", "surrogatepass")
        is_cut, _ = self._decoder.getstate()
        self._decoder.reset()
        return b"\xff" if is_cut else b""

    def close(self) -> None:
        """The file is closed by whoever has opened it."""
