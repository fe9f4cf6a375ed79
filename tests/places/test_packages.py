"""Libraries for places are extras: nobody pays for what is not used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobs.places import KINDS, PlaceError, connect

NAMES = {"s3": "boto3", "sftp": "paramiko", "azure": "azure.storage.blob", "gcs": "google.oauth2"}
OPTIONS = {"bucket": "b", "container": "c", "account": "a", "host": "h"}


@pytest.mark.parametrize("kind", NAMES)
def test_a_package_that_is_missing_is_named(kind: str, monkeypatch):
    monkeypatch.setitem(sys.modules, NAMES[kind], None)
    said = rf"needs the package {KINDS[kind].package}: install millrace\[{kind}\] where workers run"
    with pytest.raises(PlaceError, match=said):
        connect(kind, OPTIONS, {"secret_key": "s", "service_account": "{}"})


def test_none_is_loaded_before_it_is_used():
    """Neither by the pages nor by a worker that waits."""
    code = (
        "import django, sys; django.setup()\n"
        "import config.urls, jobs.tasks, jobs.engine.runner\n"
        "print({'boto3', 'botocore', 'paramiko', 'azure', 'google.auth'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
