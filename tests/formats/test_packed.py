"""Packed files: what is unpacked, and which are refused before they fill a disk or the memory."""

import gzip
import io
import struct
import tracemalloc
import zipfile

import pytest
from django.test import override_settings

from jobs.definition import JobError
from tests.formats.files import opened, read, row, workbook, zipped

CSV = b"a;b\n" + b"".join(b"%d;x\n" % number for number in range(5000))
BIG = b"a;b\n" + (b"1;" + b"x" * 4000 + b"\n") * 4000


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(CSV),
        zipped({"data.csv": CSV}),
        zipped({"../../etc/passwd": CSV}),
        zipped({"folder/": b"", "folder/data.csv": CSV, "__MACOSX/._data.csv": b"x", ".DS": b"x"}),
        gzip.compress(CSV[:100]) + gzip.compress(CSV[100:]),
    ],
)
def test_one_data_file_is_unpacked_and_read_from_any_position(data):
    with opened(data) as reader:
        whole = reader.batch(10_000)
        assert (reader.header, len(whole.records)) == (["a", "b"], 5000)
        reader.seek(reader.start)
        half = reader.batch(2500)
        with opened(data) as again:
            again.seek(half.end)
            assert half.records + again.batch(10_000).records == whole.records


def test_a_packed_workbook_is_read():
    data = workbook(row(1, "a") + row(2, "x"))
    assert read(gzip.compress(data))[1] == read(zipped({"a.xlsx": data}))[1] == [["x"]]


def encrypted():
    data = bytearray(zipped({"a.csv": CSV}))
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + at] |= 1
    return bytes(data)


def lzma_packed():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.csv", CSV)
    return file.getvalue()


def forged(size):
    """A zip file that says another size of its entry than it has."""
    data = bytearray(zipped({"a.csv": BIG}))
    for mark, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.index(mark) + at, size)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (zipped({}), "The zip file is empty"),
        (zipped({"a.csv": CSV, "b.csv": CSV}), "holds 2 files ('a.csv', 'b.csv')"),
        (zipped({"a.zip": zipped({"b.csv": CSV})}), "holds another packed file"),
        (gzip.compress(gzip.compress(CSV)), "holds another packed file"),
        (zipped({f"{number}": b"" for number in range(2001)}), "more than 2,000 entries"),
        (zipped({"x" * 60_000 + f"{number}": b"" for number in range(40)}), "more than 2,000"),
        (zipped({"a.csv": BIG}), "over 100 times its size"),
        (gzip.compress(BIG), "over 100 times its size"),
        (encrypted(), "is encrypted. Send it without a password"),
        (lzma_packed(), "packed in a rare way"),
        (forged(100), "The file is damaged"),
        (gzip.compress(CSV)[:-9], "The file is damaged"),
        (gzip.compress(CSV)[:100], "The file is damaged"),
        (b"\x1f\x8b\x08broken", "The file is damaged"),
        (b"PK\3\4broken", "The zip file is damaged"),
        (zipped({"a.csv": CSV})[:-30], "The zip file is damaged"),
        (zipped({"mimetype": b"", "content.xml": b""}), "OpenDocument"),
        (zipped({"[Content_Types].xml": b"", "word/document.xml": b""}), "no workbook"),
        (zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "names no main part"),
    ],
)
def test_a_packed_file_that_cannot_be_used_is_refused_with_the_reason(data, said):
    with pytest.raises(JobError) as caught:
        read(data)
    assert said in str(caught.value)


@pytest.mark.parametrize("packed", [gzip.compress, lambda content: zipped({"a.csv": content})])
def test_no_file_unpacks_beyond_the_limit_of_the_site(packed):
    with override_settings(JOBS_UNPACKED_BYTES=10_000), pytest.raises(JobError) as caught:
        read(packed(CSV))
    assert "more than 10,000 bytes, which is the limit of this site" in str(caught.value)


@pytest.mark.parametrize(
    "bomb",
    [
        workbook(row(1, "a") + " " * (60 << 20)),
        workbook(row(1, "a"), texts="<si/>" * (12 << 20)),
        workbook(row(1, "a"), properties=" " * (60 << 20)),
    ],
)
def test_a_bomb_within_a_workbook_costs_no_memory(bomb):
    tracemalloc.start()
    try:
        with pytest.raises(JobError, match="over 100 times its size"):
            read(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_packed_file_is_unpacked_no_further_than_it_is_read():
    with opened(gzip.compress(CSV + b"9;y\n" * 2_000_000, 1)) as reader:
        assert reader.batch(1).records == [["0", "x"]]
        assert reader.file.raw._size < 5_000_000
