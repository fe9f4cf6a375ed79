"""Messages through real crashes: at least once, with the same key, never without the work."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection

from jobs import control, outbox
from jobs.models import JobExecution, OutboxMessage
from jobs.outbox import delivery
from jobs.states import Status
from tests.engine.test_worker import effects
from tests.fleet import CONTROLLER, Process, eventually, finished
from tests.receivers import WebReceiver, web_receiver


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def alone(controller: Process) -> Iterator[None]:
    """The controller that tests share stands still, so that only the test's own deliver."""
    controller.kill(signal.SIGSTOP)
    yield
    controller.kill(signal.SIGCONT)


@contextmanager
def controllers(variables: dict[str, str], folder: Path, count: int) -> Iterator[list[Process]]:
    started = [Process(CONTROLLER, variables, folder / f"{number}.log") for number in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.end()


def put(web: WebReceiver, *keys: str) -> list[str]:
    outbox.put([outbox.webhook(key, web.url, {"key": key}) for key in keys])
    return list(keys)


def all_sent(keys: list[str]) -> bool:
    return OutboxMessage.objects.filter(dedupe_key__in=keys, sent_at=None).count() == 0


def test_each_row_is_told_though_the_job_was_killed_before_it_committed(worker, launch, web):
    execution = finished(launch("samples.tells", rows=20, url=web.url, die_at=12))
    assert (execution.status, execution.attempt) == (Status.COMPLETED, 2)
    told = {f"{execution.pk}:row-{row}" for row in effects(execution)}
    eventually(lambda: set(web.keys) >= told, "every row is told")
    assert set(web.keys) == told
    assert f"{execution.pk}:row-13" not in told  # the database refuses it


def test_a_chunk_that_never_commits_tells_nothing(worker, launch, web):
    execution = finished(launch("samples.tells", rows=10, url=web.url, die_at=7, always=True), 40)
    assert execution.status == Status.LOST
    told = {f"{execution.pk}:row-{row}" for row in range(5)}
    eventually(lambda: set(web.keys) >= told, "the chunk before it is told")
    assert set(execution.messages.values_list("dedupe_key", flat=True)) == set(web.keys) == told


@pytest.mark.usefixtures("alone")
def test_killed_between_sending_and_marking_it_comes_again_with_the_same_key(
    variables, tmp_path, web
):
    web.held.set()
    (key,) = put(web, f"killed:{web.port}")
    with controllers(variables, tmp_path, 1) as (first,):
        eventually(lambda: web.calls, "the receiver has it")
        first.kill()
        first.popen.wait(5)
    web.held.clear()
    message = OutboxMessage.objects.get(dedupe_key=key)
    assert (message.sent_at, message.tries) == (None, 1)
    with controllers(variables, tmp_path, 1):
        eventually(lambda: all_sent([key]), "it is sent")
    assert web.keys == {key: 2}
    assert web.calls[0].headers["webhook-id"] == web.calls[1].headers["webhook-id"]


@pytest.mark.usefixtures("alone")
def test_two_controllers_send_each_message_once(variables, tmp_path, web):
    keys = put(web, *(f"pair:{web.port}:{number}" for number in range(200)))
    with controllers(variables, tmp_path, 2):
        eventually(lambda: all_sent(keys), "all are sent", 40)
    assert web.keys == dict.fromkeys(keys, 1)


@pytest.mark.usefixtures("alone")
def test_a_receiver_that_does_not_answer_holds_up_no_promise(variables, tmp_path, web, launch):
    web.held.set()
    put(web, f"slow:{web.port}")
    with controllers(variables, tmp_path, 1):
        eventually(lambda: web.calls, "the receiver has it")
        held = control.launch(job="samples.function", deferred=True)
        JobExecution.objects.filter(pk=held.pk).update(not_before=held.created_at)
        eventually(lambda: held.history.filter(after=Status.QUEUED).exists(), "it is activated", 3)
        control.stop(held)
        web.held.clear()


@pytest.mark.usefixtures("alone")
def test_a_courier_outlives_its_database_session(variables, tmp_path, web):
    with controllers(variables | {"MILLRACE_ROLE": "courier"}, tmp_path, 1):
        first = put(web, f"before:{web.port}")
        eventually(lambda: all_sent(first), "the first is sent")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'millrace courier'"
            )
            assert len(cursor.fetchall()) == 2  # the controller's and the courier's
        second = put(web, f"after:{web.port}")
        eventually(lambda: all_sent(second), "the second is sent")
    assert web.keys == dict.fromkeys([*first, *second], 1)


def test_a_step_without_a_transaction_tells_at_its_end(worker, launch, web):
    execution = finished(launch("samples.tells_at_the_end", url=web.url))
    assert execution.status == Status.COMPLETED, execution.error
    eventually(lambda: web.keys == {f"{execution.pk}:done": 1}, "it is told")
    failed = finished(launch("samples.tells_at_the_end", url=web.url, bug=True))
    assert failed.status == Status.FAILED
    assert not failed.messages.exists()


def test_where_nothing_is_written_yet_nothing_can_be_told(worker, launch, web):
    execution = finished(launch("samples.tells_too_early", rows=5, url=web.url))
    assert execution.status == Status.FAILED
    assert "here no transaction is open" in execution.error
    assert not execution.messages.exists()


@pytest.mark.usefixtures("alone")
def test_a_message_that_is_being_sent_is_nobody_elses(web):
    (key,) = put(web, f"lease:{web.port}")
    deliver_beside(web)
    assert web.keys == {key: 1}


@pytest.mark.usefixtures("alone")
def test_without_the_lease_it_would_go_out_twice(web, monkeypatch):
    mutant = delivery.CLAIM.replace("make_interval(secs => %s)", "%s * interval '0 s'")
    monkeypatch.setattr(delivery, "CLAIM", mutant)
    (key,) = put(web, f"mutant:{web.port}")
    deliver_beside(web)
    assert web.keys == {key: 2}


def deliver_beside(web: WebReceiver) -> None:
    """One courier waits for the receiver's answer while another one looks."""
    web.held.set()
    first, second = threading.Thread(target=_deliver), threading.Thread(target=_deliver)
    first.start()
    eventually(lambda: web.calls, "the receiver has it")
    second.start()
    second.join(1)
    web.held.clear()
    first.join(10)
    second.join(10)


def _deliver() -> None:
    try:
        outbox.deliver_next()
    finally:
        connection.close()
