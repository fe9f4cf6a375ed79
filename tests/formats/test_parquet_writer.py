"""Parquet files as they are written: group by group, in a thread of its own."""

import io
import time

import pytest
from pyarrow import parquet

from jobs.formats.writing import Passing, open_writer, streamed
from jobs.formats.written import NUMBER, WrittenColumn

COLUMNS = [WrittenColumn("code"), WrittenColumn("count", NUMBER, 10, 0)]
ROWS = [{"code": f"c{number}", "count": number} for number in range(500)]
LINES = [b"c%d,%d\n" % (number, number) for number in range(500)]


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr("jobs.formats.parquet_writer.GROUP_BYTES", 100)


def test_the_groups_of_a_file_stand_in_order():
    target = io.BytesIO()
    write_by_tens(target)
    file = parquet.ParquetFile(target)
    assert file.num_row_groups > 10
    assert file.read().to_pylist() == ROWS


def test_a_streamed_file_has_all_that_was_written():
    batches = [[[row["code"], str(row["count"])]] for row in ROWS]
    made = b"".join(streamed("parquet", COLUMNS, batches))
    assert parquet.read_table(io.BytesIO(made)).to_pylist() == ROWS


class Slow(Passing):
    def write(self, block):
        time.sleep(0.02)
        return super().write(block)


def test_rows_are_written_when_they_have_been_given():
    target = Slow()
    with open_writer("parquet", target, COLUMNS) as writer:
        target.take()
        writer.write([["c" * 200, "1"]])
        assert target.take()


class Full(Passing):
    """A disk with room for a few groups."""

    def write(self, block):
        if sum(map(len, self.blocks)) > 5000:
            raise OSError(28, "No space left on device")
        return super().write(block)


def test_a_full_disk_ends_the_file():
    with pytest.raises(OSError, match="No space left"):
        write_by_tens(Full())


def write_by_tens(target) -> None:
    with open_writer("parquet", target, COLUMNS) as writer:
        for number in range(0, 500, 10):
            writer.write_copied(LINES[number : number + 10])


def test_a_fault_in_the_last_group_is_not_lost():
    with (
        pytest.raises(ValueError, match="no number"),
        open_writer("parquet", io.BytesIO(), COLUMNS) as writer,
    ):
        writer.write_copied([b"c1,no number\n"])
