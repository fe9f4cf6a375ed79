"""The campaign finds what it is for: with one promise taken out of the product it turns red."""

from __future__ import annotations

import pytest

from tests.faults.campaign import Campaign

SECONDS = 12  # of faults a round
ROUNDS = 4
LONG_FREEZES = (6, 8)  # a little longer than a lease

MUTANTS = {
    "without_fence": (
        {"freeze_both": 1},
        "long",
        "no row is written twice|no attempt commits|counters are",
    ),
    "without_status_at_claim": (
        {"double_messages": 1},
        "rows",
        "follows the table|do not overlap|ended",
    ),
    "deaf_to_stops": ({"stop": 1}, "rows", "follows the table|a stop is true in time"),
    "without_one_transaction": ({"kill_job": 1}, "rows", "no row is written twice|counters are"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_campaign_finds(mutant, open_site):
    faults, shape, said = MUTANTS[mutant]
    campaign = Campaign(
        open_site(TEST_MUTANT=mutant),
        seed=1,
        faults=faults,
        shapes={shape: 1},
        patience=20,
        freeze_seconds=LONG_FREEZES,
        backlog=3,
    )
    for _ in range(ROUNDS):
        if broken := campaign.run(SECONDS):
            break
    found = "\n".join(broken)
    assert any(word in found for word in said.split("|")), found or "nothing was found"
