"""A database that restarts, is away, ends sessions, or has no room left."""

from __future__ import annotations

import time

import pytest
from django.core.files.base import ContentFile
from django.db import connection

from catalog.models import Product
from jobs import control
from jobs.models import RowChange
from jobs.states import Status
from tests.faults.assertions import LONG, Watch, assert_complete, goes_on, in_the_middle
from tests.faults.site import ask
from tests.fleet import eventually, finished, is_alive, until

fault = pytest.mark.fault


@fault("F13", "PostgreSQL crashes and is back at once", "jobs end and go on; readyz says 503")
def test_the_database_crashes(site, saw):
    site.controller()
    site.worker()
    web = site.web()
    execution = in_the_middle(site, **LONG)
    watch = Watch()
    site.postgres.crash()
    status, page = ask(f"{web}/login/")
    while_away = ask(f"{web}/readyz")[0]
    site.postgres.up()
    connection.close()
    goes_on(execution, 40)
    saw(recovered=watch.seconds, web=f"{status} and readyz {while_away} while it is away")
    assert while_away == 503
    assert b"Traceback" not in page
    eventually(lambda: ask(f"{web}/readyz")[0] == 200, "the web is well again", 20)
    saw(**assert_complete(finished(execution, 60)), crashes=execution.crashes)


@fault("F14", "PostgreSQL is away for ten seconds, longer than a lease", "jobs end; all goes on")
def test_the_database_is_away(site, saw):
    site.controller()
    site.worker()
    execution = in_the_middle(site, **LONG)
    job = execution.pid
    site.postgres.crash()
    watch = Watch()
    eventually(lambda: not is_alive(job), "the job ends when nobody hears it", 6)
    saw(job_gone_after=f"{watch.seconds} s")
    time.sleep(10 - watch.seconds)
    site.postgres.up()
    connection.close()
    watch = Watch()
    goes_on(execution, 40)
    saw(recovered=watch.seconds, **assert_complete(finished(execution, 60)))


@fault("F15", "sessions of jobs and supervisors are ended at random, ten times", "all goes on")
def test_sessions_are_ended(site, saw):
    site.controller()
    site.worker()
    executions = [in_the_middle(site, **LONG), in_the_middle(site, **LONG)]
    for _ in range(10):
        site.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'millrace %%' AND pid <> pg_backend_pid()"
            " ORDER BY random() LIMIT 2"
        )
        time.sleep(0.4)
    watch = Watch()
    tallies = [assert_complete(finished(execution, 60)) for execution in executions]
    saw(recovered=watch.seconds, attempts=", ".join(str(e.attempt) for e in executions))
    saw(doubled=sum(t["doubled"] for t in tallies), lost=sum(t["lost"] for t in tallies))


@fault("F13", "PostgreSQL crashes during an import, twice", "each row once, with its ledger")
def test_the_database_crashes_during_an_import(site, saw):
    """Chunks of imports do not wait for the disk, so a crash may take back the last of them."""
    site.controller()
    site.worker()
    rows = 60_000
    lines = ["sku;name;price-EUR", *(f"crash-{n:06};Row {n};{n}.25" for n in range(rows))]
    upload = control.upload(ContentFile("\n".join(lines).encode(), name="rows.csv"), user=None)
    execution = site.launch("catalog.product.import", file=str(upload.pk), ledger=True)
    for attempt in (1, 2):
        until(execution, lambda e, n=attempt: e.attempt == n and e.checkpoints > 1 and e.pid, 60)
        site.postgres.crash()
        site.postgres.up()
        connection.close()
    assert finished(execution, 90).status == Status.COMPLETED, execution.error
    written = list(Product.objects.filter(sku__startswith="crash-").values_list("sku", flat=True))
    step = execution.steps.get()
    assert (len(written), len(set(written))) == (rows, rows)
    assert (step.created, step.kept, step.failed) == (rows, rows, 0)
    assert RowChange.objects.filter(execution=execution).count() == rows
    saw(doubled=len(written) - len(set(written)), lost=rows - len(set(written)))
    saw(attempts=execution.attempt)
