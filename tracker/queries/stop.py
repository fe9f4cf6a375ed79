"""The stop dialog: what is stopped, what will happen, and what stays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.conf import settings
from django.contrib.auth.models import User

from jobs import control
from jobs.models import JobExecution
from jobs.permissions import Decision, may
from jobs.states import HELD, Status, StopLevel
from tracker.queries import words


@dataclass(frozen=True, slots=True)
class Level:
    value: str
    label: str
    text: str
    is_chosen: bool


class StopPreview:
    """What a stop of `execution` by `user` would do."""

    def __init__(self, user: User, execution: JobExecution, level: str = ""):
        self.user, self.execution = user, execution
        self.force: Decision = may(user, "abort", execution)
        stopping = execution.status == Status.STOPPING
        usual = StopLevel.INTERRUPT if stopping else StopLevel.GRACEFUL
        self.level = level if level in StopLevel.values and self.force else usual

    @property
    def answer(self) -> dict:
        """Whether it can be asked for at all, and if not, why."""
        answers = control.actions(self.user, self.execution)
        return answers["abort" if self.execution.status == Status.STOPPING else "stop"]

    @property
    def is_at_work(self) -> bool:
        return self.execution.status in HELD or self.execution.status == Status.JOINING

    @property
    def scope(self) -> str:
        children = self.execution.children.count()
        return f"This execution and its {children:,} children" if children else "This execution"

    @property
    def grace(self) -> str:
        profile = self.execution.profile
        seconds = profile.stop_grace_seconds if profile else None
        return words.limit(settings.JOBS_STOP_GRACE_SECONDS if seconds is None else seconds)

    @property
    def effect(self) -> str:
        if not self.is_at_work:
            return "It is not being worked on, so it stops at once."
        return (
            "It ends at its next checkpoint, usually within a second. If it has not ended after "
            f"{self.grace}, it is ended by force."
        )

    @cached_property
    def done(self) -> int:
        return sum(step.kept for step in self.execution.steps.all())

    @property
    def remains(self) -> str:
        if not self.done:
            return "Nothing has been written yet."
        return f"Stopping is not a rollback: {words.items(self.done)} are done and stay."

    @property
    def levels(self) -> list[Level]:
        """The choices of a person who may use force, while there is something to force."""
        if not (self.force and self.is_at_work):
            return []
        texts = {
            StopLevel.GRACEFUL: ("Stop", "At the next checkpoint; nothing is cut off."),
            StopLevel.INTERRUPT: ("Interrupt", "Cancel its SQL and ask its process to end now."),
            StopLevel.KILL: ("Abort", "End its process at once; the chunk at work is lost."),
        }
        if self.execution.status == Status.STOPPING:
            del texts[StopLevel.GRACEFUL]
        return [
            Level(str(level), label, text, level == self.level)
            for level, (label, text) in texts.items()
        ]
