"""Tell the workers that executions are queued. A message is a hint: harmless to lose or repeat.

Order, fairness and limits belong to PostgreSQL, so only as many messages are outstanding as the
queue's workers will soon take: at most twice their slots.
"""

from __future__ import annotations

import logging
import threading
import time
from operator import itemgetter
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from celery import current_app
from django.db import connection
from kombu import Connection, Producer
from kombu.exceptions import OperationalError

from jobs.line import FLEET, LINE, values
from jobs.models import Worker

log = logging.getLogger(__name__)

TASK = "jobs.run"
# A web request never waits longer than this for a broker that does not answer.
PUBLISH_TIMEOUT_SECONDS = 0.3
# A broker that did not answer is not asked to revoke anything again before that.
DEAF_SECONDS = 10.0

_local = threading.local()
_inherited: list[Connection | None] = []  # kept, for closing one would end it for the parent
_deaf = SimpleNamespace(until=0.0)

# Chooses the next executions of a queue and marks them as told, in one statement. First it asks
# for room: while as many messages are under way as the workers soon take, nothing else is read.
# What no worker can take now is not sent: it would stand in the way of the rest. Nor are more sent
# under one limit than may run; `crowded` are those beyond it.
CHOOSE = f"""
WITH RECURSIVE {FLEET}, room AS MATERIALIZED (
  SELECT q.queue, greatest(0, 2 * (SELECT coalesce(sum(slots), 0) FROM workers)
                              - (SELECT count(*) FROM sent WHERE NOT aimed))::int AS n
  FROM unnest(%(queues)s::text[]) q(queue)
  WHERE NOT EXISTS (SELECT FROM jobs_maintenance)
    AND NOT EXISTS (SELECT FROM jobs_pausedqueue p WHERE p.name = q.queue)
), {LINE}, crowded AS (
  SELECT id FROM (
    SELECT line.id, l.value::int AS most, coalesce(taken.n, 0) + row_number() OVER (
      PARTITION BY l.key ORDER BY line.priority, line.turn, line.queued_at, line.id) AS place
    FROM line CROSS JOIN LATERAL jsonb_each_text(line.wants) l LEFT JOIN taken USING (key)
  ) places WHERE place > most
), first AS MATERIALIZED (
  SELECT * FROM line WHERE id NOT IN (SELECT id FROM crowded)
  ORDER BY priority, turn, queued_at, id LIMIT (SELECT n FROM room)
), chosen AS MATERIALIZED (
  SELECT id, dispatched_at FROM jobs_jobexecution
  WHERE id = ANY(ARRAY(SELECT id FROM first)) AND status = 'queued'
  FOR NO KEY UPDATE SKIP LOCKED
), told AS (
  UPDATE jobs_jobexecution e SET
    dispatched_at = clock_timestamp(), dispatch_count = dispatch_count + 1
  FROM chosen JOIN first USING (id)
  WHERE e.id = chosen.id AND chosen.dispatched_at IS NOT DISTINCT FROM first.dispatched_at
  RETURNING e.id, e.attempt, e.dispatch_count, e.aimed_node, e.aimed_roles
)
SELECT told.* FROM told JOIN first USING (id) ORDER BY priority, turn, queued_at, id
"""  # noqa: S608 (the parts are our own)

NODES = f"""
WITH {FLEET}
SELECT w.node, w.roles, w.slots - (
  SELECT count(*) FROM jobs_jobexecution e WHERE e.status = ANY(%(held)s) AND e.worker = w.name)
FROM workers w
"""  # noqa: S608


def dispatch(queue: str) -> int:
    """Publish what this queue's workers can take next; returns how many messages went out.

    Called after the commit of a launch or release, and by the controller. If the broker does not
    answer, the rows stay queued and the controller tries again.
    """
    chosen = _choose(queue)
    destinations = _destinations(queue, chosen)
    for position, (pk, attempt, count, *_) in enumerate(chosen):
        try:
            _publish(destinations[pk], str(pk), task_id=task_id_of(pk, attempt, count))
        except (OperationalError, OSError) as error:
            log.warning("The broker did not take a message for queue %r: %s", queue, error)
            _forget([pk for pk, *_ in chosen[position:]])
            return position
    return len(chosen)


def node_queue(node: str) -> str:
    """The queue of the broker that only the workers of this node consume."""
    return f"node.{node}"


def redispatch_if_empty(queue: str) -> int:
    """Forget the messages of a queue that the broker has lost; returns how many.

    The broker's queue is empty and yet messages sent more than two seconds ago led to no claim.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, aimed_node <> '' OR aimed_roles <> '{}' FROM jobs_jobexecution"
            " WHERE status = 'queued' AND queue = %s"
            " AND dispatched_at < clock_timestamp() - interval '2 seconds' LIMIT 1000",
            [queue],
        )
        unclaimed = cursor.fetchall()
    lost = [pk for pk, aimed in unclaimed if not aimed]
    if lost and _depth(queue) != 0:
        lost = []
    at_nodes = [pk for pk, aimed in unclaimed if aimed]
    if at_nodes and all(_depth(node_queue(node)) == 0 for node in _nodes(queue)):
        lost += at_nodes
    _forget(lost)
    return len(lost)


def _nodes(queue: str) -> set[str]:
    return set(
        Worker.objects.live().filter(queues__contains=[queue]).values_list("node", flat=True)
    )


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
        cursor.execute(CHOOSE, values([queue]))
        return cursor.fetchall()


def _destinations(queue: str, chosen: list[tuple]) -> dict[UUID, str]:
    """The broker's queue for each: its own, or that of the node with most free slots it fits."""
    found = {pk: queue for pk, *_ in chosen}
    aimed = [(pk, node, roles) for pk, _, _, node, roles in chosen if node or roles]
    if not aimed:
        return found
    with connection.cursor() as cursor:
        cursor.execute(NODES, values([queue]))
        workers = [[node, set(roles), free] for node, roles, free in cursor.fetchall()]
    for pk, node, roles in aimed:
        fitting = [one for one in workers if node in ("", one[0]) and one[1].issuperset(roles)]
        if fitting:  # else its worker has left just now, and the message comes to nothing
            best = max(fitting, key=itemgetter(2))
            best[2] -= 1
            found[pk] = node_queue(best[0])
    return found


def _forget(ids: list) -> None:
    if not ids:
        return
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
