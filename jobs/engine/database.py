"""Database connections of the engine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from django.conf import settings
from django.db import connection, connections

from jobs.models import JobExecution


@contextmanager
def raw_cursor() -> Iterator[psycopg.Cursor]:
    """A psycopg cursor on Django's connection, inside Django's transaction."""
    with connection.cursor() as cursor:
        yield cursor.cursor


@contextmanager
def own_connection() -> Iterator[psycopg.Connection]:
    """A connection beside Django's, in autocommit, that any thread of the job may use."""
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    with psycopg.connect(**parameters, autocommit=True) as own:
        yield own


@contextmanager
def beside(*, forked: bool) -> Iterator[psycopg.Cursor]:
    """A cursor outside the job's transaction; without a job process, on Django's connection."""
    if not forked:
        with raw_cursor() as cursor:
            yield cursor
        return
    with own_connection() as own, own.cursor() as cursor:
        yield cursor


def forget_connections() -> None:
    """After a fork: leave the parent's sessions alone. Closing one would end it for the parent."""
    for each in connections.all():
        each.connection = None


def name_connections(execution: JobExecution) -> None:
    """Give the sessions of this job process their name and their limits.

    By the name the supervisor finds their SQL to cancel it. A session that is idle inside a
    transaction gives its locks back, and one whose process is gone ends its statement.
    """
    options = (
        f"-c idle_in_transaction_session_timeout={settings.JOBS_IDLE_TRANSACTION_SECONDS}s"
        " -c client_connection_check_interval=2s"
    )
    for each in connections.all():
        each.settings_dict["OPTIONS"] |= {
            "application_name": session_name(execution),
            "options": f"{each.settings_dict['OPTIONS'].get('options', '')} {options}".strip(),
        }


def hang_up() -> None:
    """End this thread's talk with the database, so that a call that waits for an answer fails.

    For a signal handler, which runs while the call waits.
    """
    opened = connection.connection
    if opened is not None and not opened.closed:
        with suppress(OSError), socket.socket(fileno=os.dup(opened.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


def session_name(execution: JobExecution) -> str:
    return f"millrace {execution.pk}.{execution.attempt}"


def cancel_sql(execution: JobExecution) -> None:
    """Cancel what the sessions of this attempt are executing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            [session_name(execution)],
        )
