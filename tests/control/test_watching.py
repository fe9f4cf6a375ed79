"""A controller looks at the invariants now and then, keeps what it found and says what is new."""

from __future__ import annotations

import pytest

from jobs.invariants import watch_invariants
from jobs.models import InvariantCheck
from tests.control.planted import ago, not_expired, written

pytestmark = pytest.mark.django_db


def test_a_controller_keeps_what_it_found_and_tells_what_is_new(caplog, settings):
    settings.JOBS_INVARIANTS_SECONDS = 60.0
    planted = not_expired()
    watch_invariants()
    kept = InvariantCheck.objects.get()
    assert kept.checked_at
    assert kept.unchecked == {}
    assert list(kept.found) == ["not_expired"]
    assert kept.found["not_expired"]["count"] == 1
    told = f"Invariant not_expired is violated: execution {planted.pk} is queued"
    assert caplog.text.count(told) == 1

    _due_again()
    watch_invariants()
    assert caplog.text.count(told) == 1, "It is not new any more."
    written(planted, expires_at=None)
    _due_again()
    watch_invariants()
    assert InvariantCheck.objects.get().found == {}


def test_one_controller_looks_at_a_time(settings):
    settings.JOBS_INVARIANTS_SECONDS = 60.0
    watch_invariants()
    first = InvariantCheck.objects.get()
    watch_invariants()
    assert InvariantCheck.objects.get().checked_at == first.checked_at
    settings.JOBS_INVARIANTS_SECONDS = 0.0
    _due_again()
    watch_invariants()
    assert InvariantCheck.objects.get().checked_at == first.checked_at


def _due_again() -> None:
    InvariantCheck.objects.update(began_at=ago())
