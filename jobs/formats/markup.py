"""XML of files that strangers send: streamed, without document types and entities."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Protocol
from xml.parsers import expat

from jobs.definition import JobError
from jobs.formats.packed import Unpacking

BLOCK = 1 << 15
PART_LIMIT = 1 << 24  # bytes of a part that describes the workbook
TAG_LIMIT = 1 << 20  # bytes
Attributes = dict[str, str]


class Listener(Protocol):
    """Hears what stands in an XML part; `begin` first, with the prefix of the root's name."""

    def begin(self, prefix: str) -> None: ...
    def start(self, name: str, attributes: Attributes, /) -> None: ...
    def data(self, text: str) -> None: ...
    def end(self, name: str) -> None: ...


class Markup:
    """XML that is fed in blocks to a listener. Raises JobError where it is broken or forbidden."""

    def __init__(self, listener: Listener):
        self._fed = 0
        self._listener = listener
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.buffer_size = 1 << 16
        self._parser.StartDoctypeDeclHandler = _refuse_document_type
        self._parser.StartElementHandler = self._begin

    @property
    def offset(self) -> int:
        """Where the tag begins that is being heard, in bytes of what was fed."""
        return self._parser.CurrentByteIndex

    def feed(self, block: bytes, *, is_last: bool = False) -> None:
        self._fed += len(block)
        try:
            self._parser.Parse(block, is_last)
        except expat.ExpatError as error:
            raise JobError(
                f"The workbook is damaged ({error}). Open it in a spreadsheet program, save it "
                "and send it again."
            ) from None
        if self._fed - self._parser.CurrentByteIndex > TAG_LIMIT:
            raise JobError("The workbook has a tag of more than a million bytes; it is refused.")

    def _begin(self, name: str, _attributes: Attributes) -> None:
        self._listener.begin(name.removesuffix(local(name)))
        self._parser.StartElementHandler = self._listener.start
        self._parser.CharacterDataHandler = self._listener.data
        self._parser.EndElementHandler = self._listener.end


def elements(stream: Unpacking) -> Iterator[tuple[str, Attributes]]:
    """The elements of a small part in their order: their local names and their attributes."""
    size, found = 0, _Elements()
    markup = Markup(found)
    with closing(stream):
        while block := stream.read(BLOCK):
            size += len(block)
            if size > PART_LIMIT:
                raise JobError("The description of the workbook is too large; it is refused.")
            markup.feed(block)
            yield from found.heard
            found.heard.clear()
        markup.feed(b"", is_last=True)


def local(name: str) -> str:
    """The name of an element or attribute without its prefix."""
    return name.rpartition(":")[2]


class _Elements:
    def __init__(self) -> None:
        self.heard: list[tuple[str, Attributes]] = []

    def begin(self, prefix: str) -> None:
        pass

    def start(self, name: str, attributes: Attributes) -> None:
        self.heard.append((local(name), {local(key): of for key, of in attributes.items()}))

    def data(self, text: str) -> None:
        pass

    def end(self, name: str) -> None:
        pass


def _refuse_document_type(*_: object) -> None:
    raise JobError("The workbook declares XML entities; such files are refused.")
