"""Files that a real worker fetches from places and sends to them."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test import override_settings

from catalog.models import Product
from jobs import control
from jobs.models import Credential, ExecutionFile, JobExecution
from jobs.states import Status
from tests.fleet import Process, celery_worker, eventually, finished, until
from tests.places.servers import PASSWORD, s3_server, sftp_server, web_server

KEY = Fernet.generate_key().decode()
IMPORT, EXPORT = "catalog.product.import", "catalog.product.export"
ROWS = 40_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "feeds"
    found.mkdir()
    return found


@pytest.fixture
def settings_of_places(root: Path) -> Iterator[dict[str, str]]:
    """Folder and key for this process, and the same as variables of others."""
    with override_settings(JOBS_FOLDERS={"feeds": root}, JOBS_CREDENTIAL_KEYS=[KEY]):
        yield {"JOBS_FOLDERS": f"feeds={root}", "JOBS_CREDENTIAL_KEYS": KEY}


@pytest.fixture
def placed_worker(
    controller: Process,
    variables: dict[str, str],
    settings_of_places: dict[str, str],
    own_queue: str,
    tmp_path: Path,
) -> Iterator[Process]:
    """A worker on `own_queue` that knows the folder and the key."""
    with celery_worker(variables | settings_of_places, tmp_path, own_queue) as worker:
        yield worker


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex[:8]


def products(prefix: str, rows: int = 3, name: str = "One") -> bytes:
    lines = ["sku;name", *(f"{prefix}-{number:06};{name} {number}" for number in range(rows))]
    return "\n".join(lines).encode()


def console(execution: JobExecution) -> str:
    texts = execution.console.order_by("pk").values_list("text", flat=True)
    return b"".join(bytes(text) for text in texts).decode()


def credential(kind: str, **given: Any) -> Credential:
    name = f"c{uuid.uuid4().hex[:8]}"
    return control.save_credential(Credential(name=name, kind=kind), given)


def test_the_newest_file_of_a_folder_is_imported(placed_worker, root, launch, own_queue, prefix):
    for number, age in (("1", 2000), ("2", 1000), ("3", 3000)):
        (root / f"products-{number}.csv").write_bytes(products(prefix, int(number)))
        os.utime(root / f"products-{number}.csv", (1_700_000_000 - age,) * 2)
    execution = finished(
        launch(IMPORT, queue=own_queue, place="folder:feeds", path="products-*.csv")
    )

    assert execution.status == Status.COMPLETED, execution.error
    assert Product.objects.filter(sku__startswith=prefix).count() == 2
    fetched, imported = execution.steps.all()
    digest = hashlib.sha256(products(prefix, 2)).hexdigest()
    assert fetched.cursor == {
        "path": "products-2.csv", "size": len(products(prefix, 2)), "sha256": digest
    }  # fmt: skip
    assert imported.created == 2
    copy = execution.files.get()
    assert (copy.role, copy.field, copy.sha256) == (ExecutionFile.Role.INPUT, "file", digest)
    assert "The newest file that fits products-*.csv is products-2.csv" in console(execution)


def test_what_was_fetched_once_is_not_fetched_again(placed_worker, root, launch, own_queue, prefix):
    (root / "a.csv").write_bytes(products(prefix, ROWS))
    execution = launch(IMPORT, queue=own_queue, place="folder:feeds", path="a.csv")
    until(execution, lambda e: e.files.exists() and e.checkpoints >= 4 and e.pid)
    (root / "a.csv").write_bytes(products(prefix, 1, "Other"))
    os.kill(execution.pid, signal.SIGKILL)

    assert finished(execution, 40).status == Status.COMPLETED, execution.error
    assert execution.attempt == 2
    assert console(execution).count("Fetched a.csv") == 1
    assert Product.objects.filter(sku__startswith=prefix, name__startswith="One").count() == ROWS


def test_a_relaunch_fetches_anew_and_failed_rows_come_from_the_copy(
    placed_worker, root, launch, own_queue, prefix
):
    bad = products(prefix) + f"\n{prefix}-bad;{'x' * 1000}".encode()
    (root / "a.csv").write_bytes(bad)
    execution = finished(launch(IMPORT, queue=own_queue, place="folder:feeds", path="a.csv"))
    assert execution.steps.get(name="import").failed == 1
    (root / "a.csv").write_bytes(products(prefix, 5))

    retried = finished(control.retry_failed(execution))
    step = retried.steps.get(name="import")
    assert (step.failed, step.processed) == (1, 1)
    relaunched = finished(control.relaunch(execution))
    assert relaunched.steps.get(name="import").processed == 5


def test_a_secret_is_nowhere_but_at_the_server(
    placed_worker, launch, own_queue, prefix, variables, root
):
    with sftp_server(root) as server:
        found = credential(
            "sftp", host="127.0.0.1", port=server.port, user="feeds",
            fingerprint=server.fingerprint, password=PASSWORD,
        )  # fmt: skip
        (root / "a.csv").write_bytes(products(prefix))
        execution = finished(launch(IMPORT, queue=own_queue, place=found.name, path="a.csv"))
        assert execution.status == Status.COMPLETED, execution.error

    written = everything_in_the_database() + placed_worker.log.read_text()
    assert f"Using {found.name} to fetch a.csv" in console(execution)
    assert f"The credential {found.name} is used: execution {execution.pk}" in console(execution)
    assert PASSWORD not in written
    assert PASSWORD.encode().hex() not in written


def everything_in_the_database() -> str:
    """Every row of every table as text."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        found = []
        for table in tables:
            name = connection.ops.quote_name(table)
            cursor.execute(f"SELECT t::text FROM {name} t")
            found += [row for (row,) in cursor.fetchall()]
    return "\n".join(found)


def test_an_export_is_sent_under_the_name_that_is_asked_for(placed_worker, launch, own_queue):
    import boto3

    Product.objects.get_or_create(sku=f"sent-{uuid.uuid4().hex}")
    with s3_server() as address:
        client = boto3.client(
            "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="key",
            aws_secret_access_key=PASSWORD,
        )  # fmt: skip
        client.create_bucket(Bucket="exports")
        found = credential(
            "s3", endpoint=address, bucket="exports", access_key="key", secret_key=PASSWORD
        )
        path = "out/%job_label%-%execution%.csv"
        execution = finished(launch(EXPORT, queue=own_queue, place=found.name, path=path))
        assert execution.status == Status.COMPLETED, execution.error
        key = f"out/Export_products-{execution.pk}.csv"
        sent = client.get_object(Bucket="exports", Key=key)["Body"].read()

    made = execution.files.get()
    assert hashlib.sha256(sent).hexdigest() == made.sha256
    assert execution.steps.last().cursor == [key]


def test_what_was_cut_off_while_it_was_sent_is_sent_again(placed_worker, launch, own_queue):
    Product.objects.get_or_create(sku=f"sent-{uuid.uuid4().hex}")
    with web_server() as web:
        web.held.set()
        found = credential("https", base_url=web.url)
        execution = launch(EXPORT, queue=own_queue, place=found.name, path="out/%datetime%.csv")
        until(execution, lambda e: web.asked and e.pid)
        os.kill(execution.pid, signal.SIGKILL)
        until(execution, lambda e: e.attempt == 2 and len(web.asked) == 2, 40)
        web.held.clear()
        assert finished(execution).status == Status.COMPLETED, execution.error
    (path,) = {path for _, path, _ in web.asked}
    assert web.files.keys() == {path}
    assert hashlib.sha256(web.files[path]).hexdigest() == execution.files.get().sha256
    assert execution.steps.get(name="export").done >= 1


def test_a_stop_is_heard_while_a_slow_place_sends(placed_worker, launch, own_queue):
    with web_server() as web:
        released = threading.Event()
        web.slow["/a.csv"] = released
        found = credential("https", base_url=web.url)
        execution = launch(IMPORT, queue=own_queue, place=found.name, path="a.csv")
        until(execution, lambda e: e.status == Status.RUNNING and web.asked)
        control.stop(execution)
        finished(execution)
        released.set()
    assert execution.status == Status.STOPPED
    assert (execution.finished_at - execution.stop_requested_at).total_seconds() < 3
    assert not execution.files.exists()


def test_a_place_that_is_away_is_asked_again_later(placed_worker, launch, own_queue):
    with web_server() as web:
        found = credential("https", base_url=web.url)
    execution = launch(IMPORT, queue=own_queue, place=found.name, path="a.csv")
    until(execution, lambda e: e.retries == 1 and e.retry_at)
    assert "Try 1 of 3 after Unavailable" in execution.reason
    control.stop(execution)
    assert finished(execution).status == Status.STOPPED


@pytest.mark.parametrize("path", ["a.csv", "*.csv"])
def test_a_file_over_the_limit_is_not_kept(
    controller, variables, settings_of_places, launch, own_queue, tmp_path, root, path
):
    (root / "a.csv").write_bytes(b"x" * 2000)
    limited = variables | settings_of_places | {"JOBS_UPLOAD_BYTES": "1000"}
    with celery_worker(limited, tmp_path, own_queue):
        execution = finished(launch(IMPORT, queue=own_queue, place="folder:feeds", path=path))
    assert execution.status == Status.FAILED
    assert "'a.csv' has more than 1000" in execution.error.replace("\xa0", " ")
    assert not execution.files.exists()


def test_a_missing_file_fails_at_once_with_a_sentence(placed_worker, launch, own_queue):
    execution = finished(launch(IMPORT, queue=own_queue, place="folder:feeds", path="no.csv"))
    assert execution.status == Status.FAILED
    assert execution.error.startswith("The folder feeds has no 'no.csv'. Correct the path")
    assert eventually(lambda: execution.steps.get(name="import").processed == 0, "nothing is done")
