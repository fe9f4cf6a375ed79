"""Source code is read by many threads of a web server at once."""

import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from textwrap import TextWrapper

import pytest

from jobs.sources import source_of


class Garbage:
    """Collected in the middle of other work, it lets another thread have its turn."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.sleep(0)


@pytest.fixture
def _much_garbage() -> Iterator[None]:
    threshold = gc.get_threshold()
    gc.set_threshold(20, 2, 2)
    yield
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("_much_garbage")
def test_threads_read_it_at_once():
    """Without the lock, Python 3.11 fails here: AST constructor recursion depth mismatch."""
    together = threading.Barrier(8)

    def read(depth: int) -> str:
        if depth:  # the fault needs threads whose stacks differ
            return read(depth - 1)
        together.wait()
        _ = [Garbage() for _ in range(10)]
        return source_of(TextWrapper)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(12):
            source_of.cache_clear()
            assert len(set(pool.map(read, range(0, 40, 5)))) == 1


def test_what_has_no_source_has_an_empty_one():
    assert source_of(int) == ""
    assert source_of(type("Made", (), {})) == ""


def test_it_stays_what_it_was_when_it_was_first_read(tmp_path, monkeypatch):
    path = tmp_path / "made_up_module.py"
    path.write_text("def work():\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    from made_up_module import work

    before = source_of(work)
    path.write_text("def other():\n    return 2\n")
    assert source_of(work) == before
