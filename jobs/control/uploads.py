"""Files that people send: counted while they come, and refused when they are no data."""

from __future__ import annotations

import hashlib
from pathlib import PurePath
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import File
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.db import connection, transaction
from django.db.models import Sum
from django.template.defaultfilters import filesizeformat

from jobs.control.refusals import Refused
from jobs.definition import InvalidParameters, JobClass
from jobs.models import Upload
from jobs.models.base import ClockNow, seconds

HEAD_BYTES = 1 << 16
NAME_LIMIT = 255
# By what they begin with, whatever they are called.
PROGRAMS = {
    b"\x7fELF": "a program for Linux",
    b"\xfe\xed\xfa\xce": "a program for macOS",
    b"\xfe\xed\xfa\xcf": "a program for macOS",
    b"\xce\xfa\xed\xfe": "a program for macOS",
    b"\xcf\xfa\xed\xfe": "a program for macOS",
    b"\xca\xfe\xba\xbe": "a program for macOS or Java",
    b"#!/": "a script",
    b"#! /": "a script",
    b"<?php": "a script",
}
PROGRAM_ENDINGS = frozenset(
    {
        *("apk", "app", "bat", "cmd", "com", "cpl", "dll", "dmg", "exe", "hta", "jar", "js"),
        *("jse", "lnk", "msi", "php", "ps1", "py", "scr", "sh", "vbe", "vbs", "wsf"),
    }
)
TURN = "SELECT pg_advisory_xact_lock(hashtextextended('upload ' || %s, 0))"


class FileRefused(Refused):
    """The file is none that may be sent."""


class FileTooLarge(Refused):
    """The file, or what this person has sent today, is more than the settings allow."""


class TooLargeFile(SimpleUploadedFile):
    """Stands for a file that was thrown away while it came, for its size."""


class LimitedHandler(FileUploadHandler):
    """First of Django's upload handlers: what goes beyond the limit is kept nowhere."""

    def new_file(self, *args: Any, **options: Any) -> None:
        super().new_file(*args, **options)
        self._left = settings.JOBS_UPLOAD_BYTES

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:  # noqa: ARG002
        self._left -= len(raw_data)
        return raw_data if self._left >= 0 else None

    def file_complete(self, file_size: int) -> UploadedFile | None:  # noqa: ARG002
        if self._left >= 0:
            return None
        for handler in self.request.upload_handlers if self.request else ():
            if file := getattr(handler, "file", None):
                file.close()
        return TooLargeFile(self.file_name or "file", b"-", self.content_type or "")


def upload(file: File, *, user: User | None, name: str | None = None) -> Upload:
    """Keep a file for a launch. Two files of one name never meet: each has a key of its own.

    Raises FileTooLarge and FileRefused.
    """
    shown = PurePath((name or file.name or "file").replace("\0", "")).name[-NAME_LIMIT:]
    digest, size, head = hashlib.sha256(), 0, b""
    for block in file.chunks():
        head = head or block[:HEAD_BYTES]
        digest.update(block)
        size += len(block)
        _refuse_large(shown, size)
    _refuse_large(shown, settings.JOBS_UPLOAD_BYTES + 1 if isinstance(file, TooLargeFile) else size)
    _refuse_program(shown, head)
    file.seek(0)
    found = Upload(name=shown, size=size, sha256=digest.hexdigest(), user=user)
    with transaction.atomic():
        if user is not None:
            _refuse_beyond_quota(user, found)
        found.file.save(shown, file, save=False)
        found.save()
    return found


def refuse_strangers(job: JobClass, parameters: dict[str, Any], uploads: dict[str, Upload]) -> None:
    """Raise InvalidParameters for files that the job says at once it cannot use."""
    for field, sent in uploads.items():
        with sent.file.open("rb") as file:
            said = job.check_file(sent.name, file.read(HEAD_BYTES), parameters)
        if said:
            raise InvalidParameters({field: [said]})


def _refuse_large(name: str, size: float) -> None:
    limit = settings.JOBS_UPLOAD_BYTES
    if size > limit:
        raise FileTooLarge(
            f"{name!r} is larger than {_bytes(limit)}, the most that one file may have. Divide it,"
            " or have it fetched from a place."
        )


def _refuse_program(name: str, head: bytes) -> None:
    what = next((what for first, what in PROGRAMS.items() if head.startswith(first)), "")
    if head.startswith(b"MZ") and b"\0" in head[:64]:  # a column may be called so
        what = "a program for Windows"
    ending = PurePath(name).suffix[1:].lower()
    if not what and ending in PROGRAM_ENDINGS:
        what = f"a program by its ending .{ending}"
    if what:
        raise FileRefused(f"{name!r} is {what}, and programs are not taken. Send a file of data.")


def _refuse_beyond_quota(user: User, sent: Upload) -> None:
    """Two files that come at once have their turns, so that both count."""
    limit = settings.JOBS_UPLOADS_PER_DAY_BYTES
    if not limit:
        return
    with connection.cursor() as cursor:
        cursor.execute(TURN, [str(user.pk)])
    of_today = Upload.objects.filter(user=user, created_at__gt=ClockNow() - seconds(86_400))
    before = of_today.aggregate(sum=Sum("size"))["sum"] or 0
    if before + sent.size > limit:
        raise FileTooLarge(
            f"With {sent.name!r} you would have sent {_bytes(before + sent.size)} within a day;"
            f" {_bytes(limit)} are allowed. Send it tomorrow, or have it fetched from a place."
        )


def _bytes(count: float) -> str:
    return filesizeformat(count).replace("\xa0", " ")
