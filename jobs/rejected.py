"""The rows of an execution that were not imported, as a file to correct and to send again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, BinaryIO, cast

from django.db import connection

from jobs.formats.base import ABSENT
from jobs.formats.csv_writer import unguarded
from jobs.formats.detection import format_of, head_of, packing_of
from jobs.formats.writing import TYPES, WRITERS, streamed
from jobs.formats.written import WriteOptions, WrittenColumn
from jobs.models import ExecutionFile, JobExecution

ROW, REASON = "__row", "__reason"  # which every import leaves out
ROWS = 1000  # that are written together
SELECT = """
SELECT r.cells, r."row", coalesce(w.reason, '') FROM jobs_rejectedrow r LEFT JOIN (
  SELECT step_id, "row",
    string_agg(CASE "column" WHEN '' THEN '' ELSE "column" || ': ' END || message, ' ' ORDER BY id)
      AS reason
  FROM jobs_stepwarning WHERE execution_id = %s AND outcome <> 'kept' GROUP BY step_id, "row"
) w ON w.step_id = r.step_id AND w."row" = r."row"
WHERE r.execution_id = %s AND r.step_id = %s ORDER BY r."row"
"""


@dataclass(frozen=True)
class StreamedFile:
    """A file that is made while it is sent."""

    name: str
    content_type: str
    blocks: Iterator[bytes]


def rejected_file(execution: JobExecution, kind: str = "") -> StreamedFile | None:
    """The rejected rows with their numbers and reasons, at any time; None where there are none.

    By default in the format of the file that was read, with the delimiter, the quotation mark and
    the encoding that were chosen for it: it can be imported as it is.
    """
    step = execution.steps.filter(rejected_rows__isnull=False, columns__isnull=False).first()
    if step is None:
        return None
    source = execution.files.filter(role=ExecutionFile.Role.INPUT, field="file").first()
    read_as = _format_of(execution, source)
    kind = kind or read_as
    has_header = execution.parameters.get("header") != "none"
    names = [*(step.columns or ()), *((ROW, REASON) if has_header else ())]
    stem = PurePath(source.name if source else execution.name).name.split(".")[0] or "rows"
    return StreamedFile(
        name=f"{stem}-rejected.{kind}",
        content_type=TYPES[kind],
        blocks=streamed(
            kind,
            [WrittenColumn(name) for name in names],
            _rows(execution, step, is_guarded=read_as == "csv", width=len(names)),
            _options(execution.parameters),
        ),
    )


def _rows(
    execution: JobExecution, step: Any, *, is_guarded: bool, width: int
) -> Iterator[list[list[str]]]:
    """The rows in the order of the file; of one without a header neither number nor reason."""
    columns = len(step.columns)
    with connection.chunked_cursor() as cursor:
        cursor.execute(SELECT, [execution.pk, execution.pk, step.pk])
        while found := cursor.fetchmany(ROWS):
            yield [
                [*_cells(cells, columns, is_guarded), str(row), reason][:width]
                for cells, row, reason in found
            ]


def _cells(stored: Any, columns: int, is_guarded: bool) -> Sequence[str]:
    """The values as they were meant: an apostrophe against formulas is the writer's business."""
    found = json.loads(stored) if isinstance(stored, str) else stored
    cells = [ABSENT if cell is None else cell for cell in found]
    cells = [*cells, *[""] * (columns - len(cells))][:columns]
    return [unguarded(cell) for cell in cells] if is_guarded else cells


def _format_of(execution: JobExecution, source: ExecutionFile | None) -> str:
    """The format that was chosen or found; CSV for a file that is no longer there."""
    chosen = execution.parameters.get("format")
    if chosen in WRITERS:
        return str(chosen)
    name = source.name.lower() if source else ""
    inner = name.removesuffix(".gz").removesuffix(".zip")
    if source is None or not source.file.storage.exists(str(source.file.name)):
        return _of_name(inner)
    with source.file.open("rb") as file:
        head = head_of(cast("BinaryIO", file))
    return _of_name(inner) if packing_of(head) else format_of(head, name)


def _of_name(name: str) -> str:
    ending = {"ndjson": "jsonl"}.get(name.rpartition(".")[2], name.rpartition(".")[2])
    return ending if ending in WRITERS else "csv"


def _options(parameters: dict[str, Any]) -> WriteOptions:
    delimiter, quote = parameters.get("delimiter") or ";", parameters.get("quote") or '"'
    return WriteOptions(
        delimiter="\t" if delimiter == "tab" else delimiter,
        quote="" if quote == "none" else quote,
        # Nothing chosen: the mark tells spreadsheets that it is UTF-8, and the import finds it.
        encoding=parameters.get("encoding") or "utf-8-sig",
        header=parameters.get("header") != "none",
        title="Rejected rows",
    )
