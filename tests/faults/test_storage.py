"""Disks without room: under the database, and under the files."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.db import DatabaseError, connection

from jobs.models import ExecutionFile, JobExecution
from jobs.states import FINISHED, Status
from tests.faults.assertions import LONG, Watch, assert_complete, in_the_middle
from tests.faults.site import Site
from tests.fleet import eventually, finished

fault = pytest.mark.fault


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a file system in memory: `small_disk(name, size="1m")`."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted: list[Path] = []

    def mount(name: str, **options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        said = ",".join(f"{key}={value}" for key, value in options.items())
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", said, "tmpfs", folder])
        if done.returncode:
            pytest.skip("this machine allows no mounts")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path, spare: int) -> Path:
    """Fill the disk but for so many bytes; returns the file to delete."""
    filler = folder / "filler"
    with filler.open("wb") as target, suppress(OSError):
        while True:
            target.write(b"x" * 65536)
            target.flush()
    kept = filler.stat().st_size - spare
    os.truncate(filler, max(0, kept))
    return filler


def ask_again(site: Site, execution: JobExecution) -> JobExecution:
    """Look at a row of a database that may have ended; it is started again if so."""
    if site.postgres.process.exit_code() is not None:
        site.postgres.up()
    with suppress(DatabaseError):
        execution.refresh_from_db()
        return execution
    connection.close()
    return execution


@fault("F16", "the database's disk is full for four seconds", "no half state; all goes on")
def test_the_database_has_no_room(small_disk, open_site, saw):
    disk = small_disk("postgres", size="250m")
    small_wal = {"max_wal_size": "64MB", "min_wal_size": "32MB", "wal_recycle": "off"}
    site = open_site(postgres=small_wal)
    site.controller()
    site.worker()
    execution = in_the_middle(site, **LONG)
    filler = fill(disk, spare=0)
    end = time.monotonic() + 4
    reasons = set()
    while time.monotonic() < end:
        reasons.add(ask_again(site, execution).status)
        time.sleep(0.2)
    filler.unlink()
    watch = Watch()
    eventually(lambda: ask_again(site, execution).status in FINISHED, "it ends", 90)
    saw(recovered=watch.seconds, attempts=execution.attempt)
    assert execution.status == Status.COMPLETED, execution.error
    saw(**assert_complete(execution))


@fault("F17", "the disk of files is full (1 MB)", "failed with the reason; no file without content")
def test_files_have_no_room(small_disk, open_site, saw):
    disk = small_disk("files", size="1m")
    assert_refused(open_site(MILLRACE_FILES=str(disk)), disk, saw, rows=300_000)


@fault("F17", "the disk of files has no inode left", "failed with the reason; no file")
def test_files_have_no_inode(small_disk, open_site, saw):
    disk = small_disk("files", size="10m", nr_inodes="1")
    assert_refused(open_site(MILLRACE_FILES=str(disk)), disk, saw, rows=100)


def assert_refused(site: Site, disk: Path, saw: Callable, rows: int) -> None:
    site.controller()
    site.worker()
    watch = Watch()
    execution = finished(site.launch("faults.file", rows=rows, pause=0.0), 60)
    assert execution.status == Status.FAILED
    assert "No space left on device" in execution.error
    assert not ExecutionFile.objects.filter(execution=execution).exists()
    assert execution.attempt == 1
    saw(failed_after=f"{watch.seconds} s", attempts=1, files=0)
    after = site.launch("samples.chunks", rows=100)
    assert_complete(finished(after))
