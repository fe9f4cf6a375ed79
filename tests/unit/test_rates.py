"""Start rates: how they are written, how they are said, and what is refused."""

import pytest
from django.core.checks import run_checks

from jobs.definition import REGISTRY
from jobs.models.limits import Rate


@pytest.mark.parametrize(
    ("text", "seconds", "said"),
    [
        ("10/m", 6, "10 starts a minute"),
        ("1/10s", 10, "1 start in 10 seconds"),
        ("1/h", 3600, "1 start an hour"),
        ("4/2d", 43_200, "4 starts in 2 days"),
        ("2500/d", 34.56, "2,500 starts a day"),
    ],
)
def test_a_rate_is_read_and_said(text, seconds, said):
    rate = Rate.parse(text)
    assert rate.interval_seconds == seconds
    assert str(rate) == said


@pytest.mark.parametrize("text", ["", "10", "/m", "0/m", "1/0s", "-1/s", "1/w", "1.5/s", "1 / s"])
def test_what_is_no_rate_is_refused_with_how_to_write_one(text):
    with pytest.raises(ValueError, match="is no start rate; write it as '10/m'"):
        Rate.parse(text)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("start_rate", "often", "start_rate: 'often' is no start rate"),
        ("overlap", "stop", "overlap is 'stop'; there are: queue, skip, reject, replace."),
        ("concurrency", 0, "concurrency and key_concurrency are at least 1."),
    ],
)
def test_a_job_with_limits_that_cannot_be_kept_is_an_error(monkeypatch, option, value, said):
    assert not [found for found in run_checks(tags=["jobs"]) if found.id == "jobs.E005"]
    monkeypatch.setattr(REGISTRY["samples.nap"], option, value)
    wrong = [found for found in run_checks(tags=["jobs"]) if found.id == "jobs.E005"]
    assert wrong[0].msg.startswith(f"The job 'samples.nap': {said}")
