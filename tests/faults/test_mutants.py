"""The campaign finds what it is for: with one promise taken out of the product it turns red."""

from __future__ import annotations

import pytest

from tests.faults.campaign import Campaign

SECONDS = 12  # of faults a round
ROUNDS = 4
KILLS = {"kill_job": 1}
FREEZES = {"freeze_both": 1, "freeze_supervisor": 1}

MUTANTS = {
    "without_fence": (FREEZES, "no row is written twice|no attempt commits|counters are"),
    "without_status_at_claim": ({"double_messages": 1}, "follows the table|do not overlap|ended"),
    "deaf_to_stops": ({"stop": 1}, "follows the table|a stop is true in time"),
    "without_one_transaction": (KILLS, "no row is written twice|counters are"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_campaign_finds(mutant, open_site):
    faults, said = MUTANTS[mutant]
    site = open_site(TEST_MUTANT=mutant)
    for round_ in range(ROUNDS):
        campaign = Campaign(site, round_, faults=faults, shapes={"rows": 1}, patience=20)
        if broken := campaign.run(SECONDS):
            break
    found = "\n".join(broken)
    assert any(word in found for word in said.split("|")), found or "nothing was found"
