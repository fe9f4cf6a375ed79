"""Numbers and times as people read them."""

import pytest

from jobs.console import sanitize
from tracker.queries import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-3, "0 s"), (59.9, "59 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"),
     (3600, "1 h 00 min"), (86_400, "1 d 0 h"), (100_000, "1 d 3 h"), (None, "")],
)  # fmt: skip
def test_a_duration(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "less than a minute"), (70, "about 1 min"), (1500, "about 25 min"), (9000, "about 2 h")],
)
def test_a_guess(seconds, text):
    assert words.about(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (1.5, "1.5 s"), (60, "60 s"), (90, "90 s"), (900, "15 min"), (7200, "2 h")],
)
def test_a_limit(seconds, text):
    assert words.limit(seconds) == text


@pytest.mark.parametrize(
    ("count", "seconds", "text"),
    [(0, 9, ""), (9, None, ""), (9, 0.01, ""), (3000, 2, "1,500/s"), (1, 4, "0.2/s")],
)
def test_a_speed(count, seconds, text):
    assert words.speed(count, seconds) == text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;https://evil.example\x07link\x1b]8;;\x07", "link"),
        ("a\x00b\x08c", "abc"),
        ("10 %\r20 %\r\n", "10 %\n20 %\n"),
        ("abc\u202edef", "abcdef"),
    ],
)
def test_what_a_job_writes_becomes_plain_text(written, text):
    assert sanitize(written) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.44, "0.4 s"), (9.9, "9.9 s"), (12.3, "12 s")])
def test_a_short_duration_that_is_over_is_told_to_the_tenth(seconds, text):
    assert words.duration(seconds, is_over=True) == text
