"""Logs: one byte cursor for what is there and what comes, without cutting characters."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from jobs.api.logs import at_least
from jobs.console import Console
from jobs.models import ConsoleText, JobExecution
from jobs.states import Event, Status
from tests.api.support import Api

pytestmark = pytest.mark.django_db

DEBUG = """\
2026-11-20 09:51:05,554 DEBUG jobs.loop a
2026-11-20 09:51:05,555 INFO jobs.loop b
2026-11-20 09:51:05,556 ERROR jobs.loop c
Traceback (most recent call last):
  ZeroDivisionError
2026-11-20 09:51:05,557 WARNING jobs.loop d
"""


def write(execution: JobExecution, data: bytes, pieces: int = 7, stream: str = "console") -> None:
    """Rows of a few bytes each, cutting characters where it happens."""
    ConsoleText.objects.bulk_create(
        ConsoleText(execution=execution, stream=stream, offset=at, text=data[at : at + pieces])
        for at in range(0, len(data), pieces)
    )


def test_an_empty_log_of_what_runs_is_not_complete(api, bob, execution):
    made = execution(bob, Status.RUNNING)
    path = f"executions/{made.pk}/log/"
    assert api.get(path).json() == {
        "offset": 0,
        "next_offset": 0,
        "size": 0,
        "complete": False,
        "text": "",
    }
    made.transition(Event.COMPLETE)
    assert api.get(path).json()["complete"] is True


def test_it_is_followed_by_its_cursor(api, bob, execution):
    made = execution(bob, Status.RUNNING)
    write(made, b"one\ntwo\n", 4)
    path = f"executions/{made.pk}/log/"
    first = api.get(path).json()
    assert (first["text"], first["next_offset"], first["complete"]) == ("one\ntwo\n", 8, False)
    ConsoleText.objects.create(execution=made, offset=8, text=b"three\n")
    made.transition(Event.COMPLETE)
    second = api.get(f"{path}?offset=8").json()
    assert (second["text"], second["size"], second["complete"]) == ("three\n", 14, True)


def test_the_end_is_read_first(api, bob, execution):
    made = execution(bob, Status.RUNNING)
    write(made, b"x" * 1000 + b"the end")
    found = api.get(f"executions/{made.pk}/log/?offset=-7").json()
    assert (found["text"], found["offset"]) == ("the end", 1000)
    assert api.get(f"executions/{made.pk}/log/?offset=-5000").json()["offset"] == 0
    found = api.get(f"executions/{made.pk}/log/?offset=5000").json()
    assert (found["text"], found["offset"], found["next_offset"]) == ("", 1007, 1007)


def test_a_character_that_is_still_coming_is_waited_for(api, bob, execution):
    made = execution(bob, Status.RUNNING)
    ConsoleText.objects.create(execution=made, offset=0, text="a€".encode()[:3])
    found = api.get(f"executions/{made.pk}/log/").json()
    assert (found["text"], found["next_offset"]) == ("a", 1)
    ConsoleText.objects.create(execution=made, offset=3, text="€".encode()[2:])
    assert api.get(f"executions/{made.pk}/log/?offset=1").json()["text"] == "€"


def test_half_a_character_at_the_end_does_not_hold_up_the_end(api, bob, execution):
    made = execution(bob, Status.COMPLETED)
    ConsoleText.objects.create(execution=made, offset=0, text="a€".encode()[:3])
    found = api.get(f"executions/{made.pk}/log/").json()
    assert found["complete"] is True
    assert found["text"] == "a\ufffd"


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=some.text(some.sampled_from("aé€😀\n"), max_size=60),
    piece=some.integers(1, 9),
    limit=some.integers(4, 12),
)
def test_pieces_read_one_after_another_are_the_whole(bob, execution, text, piece, limit):
    made = execution(bob, Status.COMPLETED)
    write(made, text.encode(), piece)
    found, offset = "", 0
    while offset < len(text.encode()):
        stretch = Console(made, "console").read(offset, limit)
        assert stretch.offset == offset
        assert stretch.next_offset > offset
        found, offset = found + stretch.text, stretch.next_offset
    assert found == text


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=some.text(some.sampled_from("aé€😀\n"), max_size=60), offset=some.integers(0, 250))
def test_no_offset_cuts_a_character(bob, execution, text, offset):
    made = execution(bob, Status.RUNNING)
    write(made, text.encode(), 5)
    stretch = Console(made, "console").read(offset, 8)
    assert "\ufffd" not in stretch.text
    assert text.encode()[stretch.offset : stretch.next_offset].decode() == stretch.text


def test_the_debug_log_needs_a_right(api, bob, execution, person):
    made = execution(bob, Status.FAILED)
    write(made, DEBUG.encode(), 20, "debug")
    path = f"executions/{made.pk}/log/?stream=debug"
    assert api.problem(api.get(path), 403, "denied")["needs"] == "jobs.view_debug_log"
    operator = Api(person("operator", "Operator"))
    assert operator.get(path).json()["text"] == DEBUG
    found = operator.get(f"{path}&level=error").json()
    assert found["text"].splitlines()[0].endswith("ERROR jobs.loop c")
    assert found["next_offset"] == len(DEBUG)


@pytest.mark.parametrize(
    ("level", "lines"), [("info", 5), ("warning", 4), ("error", 3), ("critical", 0)]
)
def test_entries_below_a_level_are_left_out_with_their_lines(level, lines):
    assert len(at_least(level, DEBUG).splitlines()) == lines


def test_the_end_of_an_entry_that_began_before_is_kept():
    assert at_least("critical", "  ZeroDivisionError\n" + DEBUG) == "  ZeroDivisionError\n"


@pytest.mark.parametrize(
    "query", ["stream=other", "level=loud", "limit=3", "limit=9999999", "offset=x"]
)
def test_unusable_values_are_refused(api, bob, execution, query):
    made = execution(bob)
    api.problem(api.get(f"executions/{made.pk}/log/?{query}"), 400, "bad-query")


def test_a_huge_log_opens_at_its_tail_with_few_rows(api, bob, execution):
    made = execution(bob, Status.RUNNING)
    write(made, b"0123456789abcdef" * 4096, 64)
    ConsoleText.objects.create(execution=made, offset=2**40, text=b"the tail")
    found = api.get(f"executions/{made.pk}/log/?offset=-8").json()
    assert (found["text"], found["size"]) == ("the tail", 2**40 + 8)
