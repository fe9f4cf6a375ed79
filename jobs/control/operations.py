"""What operators ask of workers, of queues and of everything: drain, pause, maintenance."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from jobs.control.refusals import Refused, UnderMaintenance
from jobs.dispatch import dispatch
from jobs.models import Maintenance, PausedQueue, Worker
from jobs.models.base import ClockNow
from jobs.permissions import require

log = logging.getLogger(__name__)

RIGHT = "operate_queues"


def drain(names: Iterable[str], *, by: User | None = None) -> list[Worker]:
    """Let these workers take nothing and hand over what they have at its next checkpoint.

    They hear of it within two seconds. Returns the workers of these names, drained before or not.
    """
    require(by, RIGHT)
    workers = _workers(names)
    workers.filter(drain_requested_at=None).update(drain_requested_at=ClockNow())
    log.info("%s drains %s.", _who(by), ", ".join(map(str, workers)) or "no worker")
    return list(workers)


def undrain(names: Iterable[str], *, by: User | None = None) -> list[Worker]:
    """Let these workers take jobs again."""
    require(by, RIGHT)
    workers = _workers(names)
    workers.update(drain_requested_at=None)
    log.info("%s resumes %s.", _who(by), ", ".join(map(str, workers)) or "no worker")
    return list(workers)


def _workers(names: Iterable[str]) -> QuerySet[Worker]:
    return Worker.objects.filter(kind=Worker.Kind.WORKER, name__in=list(names))


def pause_queue(name: str, *, by: User | None = None, reason: str = "") -> PausedQueue:
    """Start nothing from this queue until somebody resumes it; what runs goes on.

    A queue that is paused already keeps its pause.
    """
    require(by, RIGHT)
    paused, new = PausedQueue.objects.get_or_create(
        name=name, defaults={"by": by, "reason": reason.strip()}
    )
    if new:
        log.info("%s pauses the queue %r: %s", _who(by), name, paused.reason or "no reason")
    return paused


def resume_queue(name: str, *, by: User | None = None) -> None:
    """Start from this queue again, at once. Raises Refused when it is not paused."""
    require(by, RIGHT)
    with transaction.atomic():
        deleted, _ = PausedQueue.objects.filter(name=name).delete()
        if not deleted:
            raise Refused(f"The queue “{name}” is not paused.")
        transaction.on_commit(partial(dispatch, name), robust=True)
    log.info("%s resumes the queue %r.", _who(by), name)


def maintenance() -> Maintenance | None:
    """The maintenance that is going on, if any."""
    return Maintenance.objects.select_related("by").first()


def begin_maintenance(
    reason: str, *, refuses_launches: bool = False, by: User | None = None
) -> Maintenance:
    """Start nothing anywhere until it ends; what runs goes on.

    Launches are queued, or refused when `refuses_launches`. Asked again while it goes on, the
    reason and what becomes of launches change, but neither who began it nor when.
    """
    require(by, RIGHT)
    reason = reason.strip()
    if not reason:
        raise Refused("Maintenance needs a reason: everybody reads it on every page.")
    values = {"reason": reason, "refuses_launches": refuses_launches}
    found, _ = Maintenance.objects.update_or_create(
        pk=1, defaults=values, create_defaults=values | {"by": by}
    )
    log.warning("%s sets maintenance: %s", _who(by), reason)
    return found


def end_maintenance(*, by: User | None = None) -> None:
    """Start again; the controller dispatches what waits. Raises Refused when there is none."""
    require(by, RIGHT)
    deleted, _ = Maintenance.objects.all().delete()
    if not deleted:
        raise Refused("There is no maintenance going on.")
    log.warning("%s ends the maintenance.", _who(by))


def refuse_in_maintenance() -> None:
    """Raise UnderMaintenance when the maintenance that goes on takes no launches."""
    found = Maintenance.objects.filter(refuses_launches=True).first()
    if found:
        raise UnderMaintenance(
            f"Nothing can be launched during maintenance: {found.reason.rstrip('.')}. Try later."
        )


def _who(by: User | None) -> str:
    return by.get_username() if by else "The platform"
