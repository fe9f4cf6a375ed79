"""`manage.py test [--faults] [--redis] [pytest arguments]`: pytest, with servers of its own.

Without arguments all tests run but those of faults, on as many cores as there are, at most four.
With `--faults` only those of faults run, one by one: they kill servers and processes of their own.
With `--redis` the machine's redis-server takes Valkey's place. MILLRACE_DATA names the folder of
real data; without it the tests that need it are skipped.
"""

import os
import sys
from collections.abc import Sequence

from config.local import throwaway
from config.local.servers import Redis, Valkey

# Leases and deadlines in their production order, but short enough to wait for; and what tests
# need to be reached.
FAST = {
    "JOBS_HEARTBEAT_SECONDS": "0.2",
    "JOBS_LEASE_SECONDS": "5",
    "JOBS_SELF_FENCE_SECONDS": "3.5",
    "JOBS_STOP_GRACE_SECONDS": "5",
    "JOBS_KILL_AFTER_SECONDS": "1",
    "JOBS_CONTROLLER_SECONDS": "0.1",
    "JOBS_REDISPATCH_SECONDS": "2",
    "JOBS_IDLE_TRANSACTION_SECONDS": "2",
    "JOBS_OUTBOX_LEASE_SECONDS": "2",
    "JOBS_WEBHOOK_HOSTS": "127.0.0.1",  # where the tests' receivers are
    "JOBS_PLACE_HOSTS": "127.0.0.1",  # and servers of files
}
MOST_CORES = 4
FAULTS = "tests/faults"


def main(arguments: Sequence[str]) -> int:
    """Run pytest with the arguments."""
    wanted = [argument for argument in arguments if argument != "--redis"]
    command = [sys.executable, "-m", "pytest", *_chosen(wanted)]
    apps = ",".join(filter(None, ["tests.samples", os.environ.get("MILLRACE_APPS")]))
    return throwaway.run(
        command,
        durable=False,
        variables=FAST | {"MILLRACE_APPS": apps},
        broker=Redis if "--redis" in arguments else Valkey,
    )


def _chosen(arguments: list[str]) -> list[str]:
    """Which tests: those of faults only when asked for."""
    if "--faults" not in arguments:
        everything = ["-n", str(min(MOST_CORES, os.cpu_count() or 1))]
        return [f"--ignore={FAULTS}", *(arguments or everything)]
    arguments.remove("--faults")
    named = any(argument.startswith(FAULTS) for argument in arguments)
    return arguments if named else [FAULTS, *arguments]
