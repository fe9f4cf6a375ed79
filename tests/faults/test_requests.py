"""What people, schedules and releases do at a bad moment."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User

from jobs import control
from jobs.models import ApiToken, Firing, JobExecution, JobProfile, Schedule
from jobs.models.base import database_now
from jobs.states import Status
from tests.faults.assertions import (
    LONG,
    Watch,
    assert_complete,
    assert_whole,
    goes_on,
    in_the_middle,
)
from tests.faults.site import ask
from tests.fleet import eventually, finished, until

fault = pytest.mark.fault

SCHEDULES = 20


@fault("F25", "20 schedules fall due, two controllers, one is killed then", "each fires once")
def test_a_controller_is_killed_at_the_tick(site, saw):
    first, second = site.controller(), site.controller()
    site.worker()
    profile = JobProfile.objects.create(
        code="tick", label="Tick", job="samples.chunks", parameters={"rows": 10}
    )
    tick = database_now() + dt.timedelta(seconds=2)
    for number in range(SCHEDULES):
        Schedule.objects.create(
            code=f"fault-{number}", label=f"S{number}", profile=profile, cron="0 0 1 1 *",
            overlap="queue",
        )  # fmt: skip
    Schedule.objects.filter(profile=profile).update(next_at=tick)
    fired = Firing.objects.filter(schedule__profile=profile)
    eventually(fired.exists, "the first has fired", 30)
    first.kill()
    watch = Watch()
    eventually(lambda: fired.count() == SCHEDULES, "all have fired")
    saw(recovered=watch.seconds)
    executions = JobExecution.objects.filter(profile=profile)
    launched = Counter(executions.values_list("schedule", "scheduled_for"))
    assert len(launched) == SCHEDULES
    assert set(launched.values()) == {1}
    for execution in executions:
        assert_complete(finished(execution, 60))
    assert second.popen.poll() is None
    saw(doubled=sum(launched.values()) - len(launched), lost=SCHEDULES - len(launched))


@fault("F27", "the web is killed between COMMIT and its message", "the controller sends it")
def test_the_web_dies_before_it_publishes(site, saw):
    site.controller()
    site.worker()
    died = site.run(
        "import os\n"
        "from jobs import control\n"
        "from jobs.control import launching\n"
        "launching.dispatch = lambda *_: os._exit(9)\n"
        "control.launch(job='samples.chunks', parameters={'rows': 100})\n"
    )
    watch = Watch()
    assert died.returncode == 9, died.stderr
    saw(**assert_complete(finished(JobExecution.objects.get())), recovered=watch.seconds)


@fault("F28", "one POST sent by eight clients at once, with one key", "one execution")
def test_a_client_sends_its_request_again(site, saw):
    web = site.web()
    site.controller()
    site.worker()
    user = User.objects.create_superuser("root", password="x")
    _, token = ApiToken.objects.create(user, name="test")
    body = json.dumps({"parameters": {"rows": 100}}).encode()
    headers = {
        "Authorization": f"Bearer {token}",
        "Content_Type": "application/json",
        "Idempotency_Key": "once",
    }

    def post(_: int) -> tuple[int, bytes]:
        return ask(f"{web}/api/v1/jobs/samples.chunks/executions/", body, **headers)

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(post, range(8)))
    assert {status for status, _ in answers} <= {200, 201}, answers
    saw(answers=dict(Counter(str(status) for status, _ in answers)))
    saw(doubled=JobExecution.objects.count() - 1)
    saw(**assert_complete(finished(JobExecution.objects.get(), 30)))


@fault("F29", "workers of the old and the new release side by side", "the old one leaves it alone")
def test_a_release_is_rolled_out(site, saw):
    site.controller()
    new = site.worker(TEST_MUTANT="second_release")
    execution = site.launch("faults.rows", rows=2000, pause=0.1)
    until(execution, lambda e: e.checkpoints > 3, 30)
    site.worker()
    new.kill(15)
    new.popen.wait(15)
    watch = Watch()
    time.sleep(3)
    execution.refresh_from_db()
    assert (execution.status, execution.attempt) == (Status.QUEUED, 1)
    other = site.launch("samples.chunks", rows=100)
    assert_complete(finished(other))
    site.worker(TEST_MUTANT="second_release")
    goes_on(execution, 30)
    saw(recovered=watch.seconds, attempts=execution.attempt)
    finished(execution, 60)
    assert execution.status == Status.COMPLETED
    step = execution.steps.get()
    assert (step.done, step.failed) == (1999, 1)  # the database refuses row 13


@fault("F30", "a storm of pause, resume and stop on one execution", "it ends stopped, whole")
def test_a_storm_of_requests(site, saw):
    site.controller()
    site.worker()
    execution = in_the_middle(site, **LONG)
    asked = Counter()
    end = time.monotonic() + 6
    while time.monotonic() < end:
        for request in (control.pause, control.resume):
            try:
                request(execution)
                asked["accepted"] += 1
            except control.NotAllowed:
                asked["refused"] += 1
        time.sleep(0.02)
    control.stop(execution)
    watch = Watch()
    finished(execution)
    assert execution.status in {Status.STOPPED, Status.COMPLETED}
    saw(**assert_whole(execution), **asked, attempts=execution.attempt)
    saw(stopped_after=f"{watch.seconds} s")
