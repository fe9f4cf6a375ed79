"""Random faults on a whole installation: nothing is lost, nothing runs twice, nothing hangs."""

from __future__ import annotations

import os
import random

import pytest

from jobs.models import Attempt, JobExecution
from tests.faults.campaign import Campaign


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--chaos-seed")
        if first is None:  # the same in every process of one run
            run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
            first = random.Random(run).randrange(1_000_000)
        count = metafunc.config.getoption("--chaos-seeds")
        metafunc.parametrize("seed", range(first, first + count))


@pytest.mark.fault("F30", "a campaign of random faults and requests", "no invariant is broken")
def test_a_campaign_of_random_faults(open_site, saw, seed, request, capsys):
    seconds = request.config.getoption("--chaos-seconds")
    site = open_site()
    campaign = Campaign(site, seed)
    with capsys.disabled():
        print(f"\nCampaign of {seconds:.0f} s with --chaos-seed {seed}")
        broken = campaign.run(seconds)
        print(f"{sum(campaign.done.values())} faults: {dict(campaign.done)}")
    doubled = site.sql("SELECT count(*) - count(DISTINCT (execution, row)) FROM samples_effect")
    saw(
        doubled=doubled[0][0],
        faults=sum(campaign.done.values()),
        executions=JobExecution.objects.count(),
        attempts=Attempt.objects.count(),
    )
    logs = f"--chaos-seed {seed}"
    assert not broken, "\n".join([logs, *broken])
