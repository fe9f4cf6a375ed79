"""What must be true of the rows at every moment; `manage.py check_invariants` looks.

Each invariant is one sentence and one statement. Times have tolerances: a healthy, busy
installation violates none.
"""

from __future__ import annotations

from jobs.invariants.base import Invariant, Result, Violation, late_seconds, look_at
from jobs.invariants.watch import INVARIANTS, look_and_keep, look_at_all, watch_invariants

__all__ = [
    "INVARIANTS",
    "Invariant",
    "Result",
    "Violation",
    "late_seconds",
    "look_and_keep",
    "look_at",
    "look_at_all",
    "watch_invariants",
]
