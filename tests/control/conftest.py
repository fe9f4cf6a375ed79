"""What tests of leases need."""

from __future__ import annotations

import pytest
from django.db import connection

from jobs.invariants import late_seconds
from tests.fleet import eventually


@pytest.fixture
def _server_is_not_new(settings) -> None:
    """Nothing is taken back soon after the server's start, and the test's server is new."""
    settings.JOBS_LEASE_SECONDS = 0.0

    def old() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %s)",
                [late_seconds()],
            )
            return cursor.fetchone()[0]

    eventually(old, "the server is older than the tolerance", 30)
