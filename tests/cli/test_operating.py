"""`manage.py jobs stop`, `drain`, `queue`, `maintenance` and those that launch again."""

import pytest

from jobs.models import JobExecution, Maintenance, PausedQueue, StepExecution, Worker
from jobs.states import Status
from tests.cli.test_jobs_command import run

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob(person):
    return person("bob")


@pytest.fixture
def two_workers(db):
    return [
        Worker.objects.create(name=f"w{n}@n{n}", kind="worker", node=f"n{n}", pid=n, slots=2)
        for n in (1, 2)
    ]


def draining() -> list[str]:
    found = Worker.objects.exclude(drain_requested_at=None)
    return list(found.values_list("name", flat=True))


def test_all_of_a_profile_are_stopped(bob, execution, profile):
    waiting = execution(bob, Status.QUEUED, profile=profile)
    running = execution(bob, Status.RUNNING, profile=profile)
    found = run("stop", "--profile", "things", "--preview")
    assert "Stops at once." in found.out
    assert found.err == "2 would stop, 0 would be left out.\n"
    found = run("stop", "--profile", "things", "--reason", "Wrong file")
    assert (found.status, found.err) == (0, "2 asked to stop, 0 left out.\n")
    assert f"{waiting.pk}  Import things: Stopped." in found.out
    running.refresh_from_db()
    assert (running.status, running.history.last().reason) == (Status.STOPPING, "Wrong file")


def test_what_is_left_out_is_an_exit_status(person, bob, execution, profile):
    person("viewer", "Viewer")
    execution(bob, Status.RUNNING, profile=profile)
    found = run("stop", "--profile", "things", "--user", "viewer")
    assert (found.status, found.err) == (1, "0 asked to stop, 1 left out.\n")


def test_one_step_of_one_execution(bob, execution):
    made = execution(bob, Status.RUNNING)
    StepExecution.objects.create(
        execution=made, order=3, name="index", label="Index", status="running", optional=True
    )
    assert run("stop", made.pk, "--step", "index").err == "“Import things” is running.\n"
    made.refresh_from_db()
    assert made.stop_step == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Name one execution, or --profile, --job or --worker."),
        (("--profile", "a", "--job", "b"), "Name one execution, or"),
        (("--profile", "a", "--step", "b"), "--step goes with an execution or with --job."),
        (("--profile", "nothing"), "There is no profile 'nothing'."),
        (("--job", "no.such"), "There is no job 'no.such'."),
    ],
)
def test_a_wrong_scope_is_one_sentence(arguments, said):
    found = run("stop", *arguments)
    assert found.status == 1
    assert found.err.startswith(said)


def test_workers_drain_by_name_by_node_and_all(two_workers):
    assert run("drain", "w1@n1").err == "1 worker asked to drain.\n"
    assert draining() == ["w1@n1"]
    run("drain", "--node", "n2")
    assert draining() == ["w1@n1", "w2@n2"]
    assert run("undrain", "--all").err == "2 workers asked to take jobs again.\n"
    assert draining() == []
    assert "w1@n1  n1  0/2  Idle" in run("workers").out


def test_waiting_ends_when_it_is_safe_to_restart(two_workers, execution):
    Worker.objects.filter(name="w1@n1").update(slots=0)
    found = run("drain", "w1@n1", "--wait")
    assert (found.status, found.err) == (
        0, "1 worker asked to drain.\nDrained: safe to restart.\n",
    )  # fmt: skip
    execution(None, Status.RUNNING, worker="w2@n2")
    found = run("drain", "--all", "--wait", "--timeout", "0")
    assert (found.status, found.out) == (1, "w2@n2  n2  1/2  Draining: 1 job left  \n")
    assert "1 worker not drained within 0 s." in found.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Name one worker, or a node with --node, or all with --all."),
        (("w9",), "There is no worker named 'w9'."),
        (("--node", "n9"), "There is no worker on the node 'n9'."),
    ],
)
def test_a_wrong_worker_is_one_sentence(two_workers, arguments, said):
    found = run("drain", *arguments)
    assert (found.status, found.err) == (1, f"{said}\n")


def test_a_queue_is_paused_and_resumed():
    assert "is paused" in run("queue", "pause", "io", "--reason", "Disk full").err
    assert PausedQueue.objects.get().reason == "Disk full"
    assert "io  0 waiting, 0 running  paused: Disk full" in run("queue", "list").out
    assert run("queue", "resume", "io").err == "The queue “io” is resumed.\n"
    assert run("queue", "resume", "io").status == 1
    assert "There is no queue 'nothing'; there are: default" in run("queue", "pause", "nothing").err


def test_maintenance_is_switched():
    assert run("maintenance", "on").status == 1
    assert "launches are refused" in run("maintenance", "on", "Disks", "--refuse").err
    assert Maintenance.objects.get().refuses_launches
    assert run("maintenance", "show").out.endswith(": Disks\n")
    assert run("maintenance", "off").err.startswith("The maintenance has ended")
    assert run("maintenance", "show").out == "There is no maintenance.\n"


def test_what_has_ended_is_launched_again(bob, execution):
    made = execution(bob, Status.FAILED, parameters={"separator": ";"})
    found = run("relaunch", made.pk)
    again = JobExecution.objects.exclude(pk=made.pk).get()
    assert (found.status, found.out) == (0, f"{again.pk}\n")
    assert run("retry-failed", made.pk).err == "“Import things” has no failed rows.\n"
    assert run("continue", made.pk).status == 0
    assert JobExecution.objects.filter(continues=made).count() == 1
    assert run("for-real", made.pk).err == "“Import things” was no dry run.\n"
