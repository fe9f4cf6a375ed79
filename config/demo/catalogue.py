"""The catalogue's jobs, launched one after another as a person would."""

from collections.abc import Iterator
from pathlib import Path

from django.contrib.auth.models import User
from django.core.files import File

from config.demo.files import IMPORTS
from jobs import control
from jobs.models import JobExecution, JobProfile

EXPORT = "export_products"


def launches(folder: Path, user: User) -> Iterator[JobExecution]:
    """Launch the imports of the folder's files and then the export, each when it is asked for."""
    for profile, name in IMPORTS.items():
        with (folder / name).open("rb") as file:
            upload = control.upload(File(file), name=name, user=user)
        yield _launch(profile, user, {"file": str(upload.pk)})
    yield _launch(EXPORT, user, {})


def _launch(profile: str, user: User, parameters: dict[str, str]) -> JobExecution:
    found = JobProfile.objects.get(code=profile)
    return control.launch(profile=found, parameters=parameters, user=user, trigger="demo")
