"""Tell the workers that executions are queued. A message is a hint: harmless to lose or repeat.

Order, fairness and limits belong to PostgreSQL, so only as many messages are outstanding as the
queue's workers will soon take: at most twice their slots.
"""

from __future__ import annotations

import logging
import threading
import time
from types import SimpleNamespace
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection
from kombu import Connection, Producer
from kombu.exceptions import OperationalError

from jobs.models.fleet import SEEN_WITHIN

log = logging.getLogger(__name__)

TASK = "jobs.run"
# A web request never waits longer than this for a broker that does not answer.
PUBLISH_TIMEOUT_SECONDS = 0.3
# A broker that did not answer is not asked to revoke anything again before that.
DEAF_SECONDS = 10.0

_local = threading.local()
_inherited: list[Connection | None] = []  # kept, for closing one would end it for the parent
_deaf = SimpleNamespace(until=0.0)

# Chooses the next executions of a queue in SQL order and marks them as told, in one statement.
# A row counts as outstanding until it is claimed, or until its message is taken for lost:
# after JOBS_REDISPATCH_SECONDS, doubled with every repetition, up to ten minutes. What no live
# worker can claim, because it lacks the code, is not sent: it would stand in the way of the rest.
CHOOSE = """
WITH workers AS MATERIALIZED (
  SELECT slots, definitions FROM jobs_worker
  WHERE kind = 'worker' AND %(queue)s = ANY(queues)
    AND seen_at > clock_timestamp() - %(seen)s::interval
), queued AS (
  SELECT *, coalesce(dispatched_at > clock_timestamp() - make_interval(
    secs => least(600, %(again)s * 2 ^ least(dispatch_count, 10))), false) AS outstanding
  FROM jobs_jobexecution WHERE status = 'queued' AND queue = %(queue)s
), room AS (
  SELECT greatest(0, 2 * (SELECT coalesce(sum(slots), 0) FROM workers)
                     - (SELECT count(*) FROM queued WHERE outstanding)) AS n
), chosen AS MATERIALIZED (
  SELECT e.id FROM jobs_jobexecution e JOIN queued q USING (id)
  WHERE NOT q.outstanding AND (q.retry_at IS NULL OR q.retry_at <= clock_timestamp())
    AND EXISTS (SELECT FROM workers w WHERE w.definitions ? q.job
                AND (q.attempt = 0 OR w.definitions ->> q.job = q.job_version))
  ORDER BY q.priority, q.id LIMIT (SELECT n FROM room)
  FOR NO KEY UPDATE OF e SKIP LOCKED
)
UPDATE jobs_jobexecution e SET
  dispatched_at = clock_timestamp(), dispatch_count = dispatch_count + 1
FROM chosen WHERE e.id = chosen.id
RETURNING e.id, e.attempt, e.dispatch_count
"""


def dispatch(queue: str) -> int:
    """Publish what this queue's workers can take next; returns how many messages went out.

    Called after the commit of a launch or release, and by the controller. If the broker does not
    answer, the rows stay queued and the controller tries again.
    """
    chosen = _choose(queue)
    for position, (pk, attempt, count) in enumerate(chosen):
        try:
            _publish(queue, str(pk), task_id=task_id_of(pk, attempt, count))
        except (OperationalError, OSError) as error:
            log.warning("The broker did not take a message for queue %r: %s", queue, error)
            _forget([pk for pk, *_ in chosen[position:]])
            return position
    return len(chosen)


def redispatch_if_empty(queue: str) -> int:
    """Forget the messages of a queue that the broker has lost; returns how many.

    The broker's queue is empty and yet messages sent more than two seconds ago led to no claim.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM jobs_jobexecution WHERE status = 'queued' AND queue = %s"
            " AND dispatched_at < clock_timestamp() - interval '2 seconds' LIMIT 1000",
            [queue],
        )
        unclaimed = [pk for (pk,) in cursor.fetchall()]
    if not unclaimed:
        return 0
    if _depth(queue) != 0:
        return 0
    _forget(unclaimed)
    return len(unclaimed)


def _depth(queue: str) -> int | None:
    """How many messages the broker has in a queue, or None when it does not say."""
    broker: Any = _broker()
    try:
        return broker.default_channel.queue_declare(queue, passive=True).message_count
    except broker.channel_errors:
        return 0  # Redis has no empty queues
    except (OperationalError, OSError, *broker.connection_errors):
        _drop_broker()
        return None


def _choose(queue: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(
            CHOOSE,
            {
                "queue": queue,
                "again": settings.JOBS_REDISPATCH_SECONDS,
                "seen": f"{SEEN_WITHIN.total_seconds()} s",
            },
        )
        # RETURNING has no order; ids are ordered by time and ties of priority are rare here.
        return sorted(cursor.fetchall())


def _forget(ids: list) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs_jobexecution SET dispatched_at = NULL"
            " WHERE id = ANY(%s) AND status = 'queued'",
            [ids],
        )


def _publish(queue: str, execution_id: str, task_id: str) -> None:
    try:
        current_app.send_task(
            TASK,
            [execution_id],
            task_id=task_id,
            queue=queue,
            connection=_broker(),
            retry=False,
            ignore_result=True,
        )
    except _broker().connection_errors as error:
        _drop_broker()
        raise OperationalError(str(error)) from error
    except OperationalError:
        _drop_broker()
        raise


def forget_message(execution_id: str) -> None:
    """Its message came to a worker that takes nothing: send another with the next look."""
    _forget([execution_id])


def task_id_of(pk: Any, attempt: int, dispatch_count: int) -> str:
    """The id of a message for the attempt after `attempt`; each dispatch has one of its own.

    A revoked id is thrown away by workers for as long as they live.
    """
    return f"{pk}.{attempt + 1}.{dispatch_count}"


def revoke(task_ids: list[str]) -> bool:
    """Ask all workers to throw away these messages; whether the broker took the request.

    Best effort: the rows say what may still be started. A broker that does not answer costs about
    half a second once, and is then left alone for DEAF_SECONDS. Celery's own `control.revoke` would
    try again for ever, on a connection without our time-outs.
    """
    if not task_ids or time.monotonic() < _deaf.until:
        return False
    app: Any = current_app
    mailbox = app.control.mailbox
    order = {"task_id": task_ids, "terminate": False, "signal": "SIGTERM"}
    message = {"method": "revoke", "arguments": order, "destination": None}
    headers = {"clock": app.clock.forward(), "expires": 0}
    broker: Any = _broker()
    try:
        Producer(broker.default_channel, auto_declare=False).publish(
            message, exchange=mailbox.exchange.name, declare=[mailbox.exchange],
            serializer=mailbox.serializer, headers=headers, retry=False,
        )  # fmt: skip
    except (OperationalError, OSError, *broker.connection_errors) as error:
        log.warning("The broker did not take a revoke: %s", error)
        _deaf.until = time.monotonic() + DEAF_SECONDS
        _drop_broker()
        return False
    return True


def _broker() -> Connection:
    """This thread's connection to the broker, with timeouts that suit a web request."""
    broker = getattr(_local, "broker", None)
    if broker is None:
        timeouts = {
            "socket_timeout": PUBLISH_TIMEOUT_SECONDS,
            "socket_connect_timeout": PUBLISH_TIMEOUT_SECONDS,
            "max_retries": 0,
        }
        _local.broker = broker = current_app.connection_for_write(transport_options=timeouts)
    return broker


def forget_broker() -> None:
    """After a fork: leave the parent's connection alone, and open another when it is needed."""
    _inherited.append(_local.__dict__.pop("broker", None))


def _drop_broker() -> None:
    broker = _local.__dict__.pop("broker", None)
    if broker is not None:
        broker.release()
