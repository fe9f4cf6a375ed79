"""Flower looks at real workers, shows executions to whoever has the password, and obeys nobody."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from flower.urls import handlers

from config.local.flower import ADDRESS, USER, Flower
from config.local.processes import stop_all
from config.local.state import State
from jobs.states import Status
from tests.fleet import ROOT, celery_worker, eventually, finished

CONTROL = [
    "worker/shutdown/{worker}",
    "worker/pool/restart/{worker}",
    "worker/pool/grow/{worker}",
    "worker/pool/shrink/{worker}",
    "worker/pool/autoscale/{worker}",
    "worker/queue/add-consumer/{worker}?queue=default",
    "worker/queue/cancel-consumer/{worker}?queue=default",
    "task/apply/jobs.run",
    "task/async-apply/jobs.run",
    "task/send-task/jobs.run",
    "task/abort/{task}",
    "task/timeout/jobs.run?workername={worker}&soft=1",
    "task/rate-limit/jobs.run?workername={worker}&ratelimit=1",
    "task/revoke/{task}?terminate=true",
]


@pytest.fixture
def state(tmp_path) -> Iterator[State]:
    found = State(tmp_path / "data")
    with found.held():
        yield found


@pytest.fixture
def flower(
    state: State, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Flower]:
    """The launcher's Flower on the servers of the tests."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with socket.create_server((ADDRESS, 0)) as free:
        monitor = Flower(state, free.getsockname()[1])
    monitor.process.start()
    try:
        monitor.process.wait_until(monitor.answers)
        yield monitor
    finally:
        stop_all([monitor.process], 5)


@pytest.fixture
def ask(flower: Flower) -> Callable[..., tuple[int, Any]]:
    """Ask Flower: status and answer, with the password unless another is named."""

    def asked(path: str, *, method: str = "GET", password: str | None = "") -> tuple[int, str]:
        word = base64.b64encode(f"{USER}:{password or flower.password}".encode()).decode()
        headers = {} if password is None else {"Authorization": f"Basic {word}"}
        connection = HTTPConnection(ADDRESS, flower.port, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    return asked


def test_an_execution_is_found_by_its_task_id(
    variables, controller, launch, own_queue, tmp_path, ask
):
    with celery_worker(variables, tmp_path, own_queue):
        execution = finished(launch("samples.function", queue=own_queue, rows=1))

        def shown() -> dict[str, Any]:
            status, body = ask(f"/api/task/info/{execution.task_id}")
            return json.loads(body) if status == 200 else {}

        task = eventually(lambda: (found := shown()).get("succeeded") and found, "Flower shows it")
        assert (task["name"], task["state"]) == ("jobs.run", "SUCCESS")
        assert str(execution.pk) in task["args"]
        status, body = ask("/api/tasks")
        assert status == 200
        assert execution.task_id in json.loads(body)


@pytest.mark.parametrize("password", [None, "wrong"])
def test_nothing_is_shown_without_the_password(ask, password):
    pages = ["/", "/workers", "/tasks", "/broker", "/metrics"]
    pages += ["/api/workers", "/api/tasks", "/api/queues/length", "/api/task/types"]
    assert {page: ask(page, password=password)[0] for page in pages} == dict.fromkeys(pages, 401)
    assert {page: ask(page)[0] for page in pages} == dict.fromkeys(pages, 200)


def test_whoever_has_the_password_can_only_look(
    variables, controller, launch, own_queue, tmp_path, ask
):
    with celery_worker(variables, tmp_path, own_queue) as worker:
        execution = launch("samples.chunks", queue=own_queue, rows=1500, pause=0.02)
        eventually(lambda: execution.refresh_from_db() or execution.task_id, "it is claimed")
        for call in CONTROL:
            path = f"/api/{call.format(worker=execution.worker, task=execution.task_id)}"
            assert ask(path, method="POST") == (403, "Read only mode is enabled"), call
            assert ask(path, method="POST", password=None)[0] == 401, call
        assert finished(execution, 40).status == Status.COMPLETED
        assert worker.popen.poll() is None


def test_every_call_of_flower_that_changes_something_is_tried():
    calls = [each for each in handlers if isinstance(each, tuple) and each[0].startswith("/api/")]
    changing = {path for path, handler in calls if {"post", "put", "delete"} & vars(handler).keys()}
    assert changing == {f"/api/{re.split('{|jobs.run', call)[0]}(.+)" for call in CONTROL}


@pytest.mark.parametrize("password", [{}, {"FLOWER_BASIC_AUTH": ""}])
def test_flower_without_a_password_does_not_start(variables, password):
    command = [sys.executable, "-m", "celery", "-A", "config", "flower", "--port=0"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOWER_")}
    done = subprocess.run(
        command, env=kept | password, cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert "Flower is never open: set FLOWER_BASIC_AUTH=user:password" in done.stderr
