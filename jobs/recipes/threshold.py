"""When so many rows fail that it is better to end an import."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.definition import Counters, JobError

JUDGED_FROM = 100  # rows; a share of fewer says little


@dataclass(frozen=True)
class Threshold:
    """How many rows may fail: a number, a percentage of those read so far, or both."""

    rows: int | None = None
    percent: float | None = None

    def judge(self, counters: Counters) -> None:
        """Raise JobError when more have failed; it says what stays, and what can be done."""
        failed, processed = counters.failed, counters.processed
        allowed = ""
        if self.rows is not None and failed > self.rows:
            allowed = f"{self.rows:,}"
        if self._is_too_large(failed, processed):
            allowed = f"{self.percent:g} %"
        if allowed:
            raise JobError(
                f"{failed:,} of {processed:,} rows failed, more than the {allowed} that may. The "
                f"{processed - failed:,} others are done and stay. Correct the rejected rows, or "
                "go on behind them with “Continue”."
            )

    def _is_too_large(self, failed: int, processed: int) -> bool:
        if self.percent is None or processed < JUDGED_FROM:
            return False
        return failed * 100 > self.percent * processed
