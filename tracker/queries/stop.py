"""The stop dialog: what is stopped, what will happen, and what stays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from django.conf import settings
from django.contrib.auth.models import User

from jobs import control
from jobs.models import JobExecution, JobProfile
from jobs.permissions import Decision, may
from jobs.states import HELD, OPEN, Status, StepStatus, StopLevel
from tracker.queries import words

SHOWN = 8  # executions that the dialog of many lists one by one
LEVELS = {
    StopLevel.GRACEFUL: ("Stop", "At the next checkpoint; nothing is cut off."),
    StopLevel.INTERRUPT: ("Interrupt", "Cancel its SQL and ask its process to end now."),
    StopLevel.KILL: ("Abort", "End its process at once; the chunk at work is lost."),
}


@dataclass(frozen=True, slots=True)
class Level:
    value: str
    label: str
    text: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that can be stopped, from one step to all of a profile."""

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
        children = self.execution.children.filter(status__in=sorted(OPEN)).count()
        if not children:
            return "This execution"
        return f"This execution and its {children:,} {'child' if children == 1 else 'children'}"

    @cached_property
    def choices(self) -> list[Choice]:
        """What can be stopped; with only one there is nothing to choose."""
        found = [Choice("execution", self.scope, "", True), *self._steps(), *self._all()]
        return found if len(found) > 1 and self.execution.status != Status.STOPPING else []

    def _steps(self) -> list[Choice]:
        """Its running steps, when it has others besides."""
        steps = list(self.execution.steps.all())
        if len(steps) < 2 or self.execution.status != Status.RUNNING:
            return []
        needed = "The execution needs it, so all of it stops."
        alone = "It ends at its next checkpoint, and the execution goes on."
        at_work = [step for step in steps if step.status == StepStatus.RUNNING]
        texts = [alone if step.optional else needed for step in at_work]
        return [
            Choice(f"step:{step.name}", f"The step “{step}”", text, False)
            for step, text in zip(at_work, texts, strict=True)
        ]

    def _all(self) -> list[Choice]:
        """All open executions of its profile, when there are others."""
        profile = self.execution.profile
        if profile is None:
            return []
        plan = control.plan(self.user, control.Scope(kind="profile", id=profile.code))
        if len(plan.stopped) < 2:
            return []
        left_out = f" {len(plan.left_out):,} more are not yours to stop." if plan.left_out else ""
        label = f"All {len(plan.stopped):,} open executions of “{profile}”"
        return [Choice("profile", label, f"Each by itself, what waits at once.{left_out}", False)]

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
        texts = dict(LEVELS)
        if self.execution.status == Status.STOPPING:
            del texts[StopLevel.GRACEFUL]
        return [
            Level(str(level), label, text, level == self.level)
            for level, (label, text) in texts.items()
        ]


class ProfileStopPreview:
    """What a stop of all open executions of a profile would do."""

    def __init__(self, user: User, profile: JobProfile):
        self.user = user
        self.plan = control.plan(user, control.Scope(kind="profile", id=profile.code))

    @property
    def items(self) -> list[control.Item]:
        """The first of those that are stopped."""
        return self.plan.stopped[:SHOWN]

    @property
    def hidden(self) -> int:
        return len(self.plan.stopped) - len(self.items)

    @property
    def left_out(self) -> list[tuple[str, int]]:
        """Why some are left out, and how many for each reason."""
        return Counter(item.text for item in self.plan.left_out).most_common()

    @property
    def resumable(self) -> int:
        return sum(item.resumable for item in self.plan.stopped)

    @property
    def levels(self) -> list[Level]:
        """The choices of a person who may use force."""
        if not may(self.user, "abort_execution"):
            return []
        return [
            Level(str(level), label, text, level == StopLevel.GRACEFUL)
            for level, (label, text) in LEVELS.items()
        ]
