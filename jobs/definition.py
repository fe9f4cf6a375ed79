"""What a developer writes: a job is a named list of steps, and its parameters are a Django form.

Shapes of a step:

* `ChunkStep`: read, process, write; its writes and its checkpoint commit together, chunk by chunk.
* `StagedStep`: the same promise for bulk loads: chunks are copied to a staging table and merged
  there by one statement while the next chunk is being parsed.
* `FunctionStep`: one function that calls `context.checkpoint()` as it goes.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from django import forms

from jobs.sources import source_of

if TYPE_CHECKING:
    import psycopg
    from django.db.models import Model

    ModelClass = type[Model]

Cursor = Any  # JSON: a primary key, a byte offset, ...

TYPES = (
    "import",
    "export",
    "mass_edit",
    "rules",
    "project",
    "approval",
    "command",
    "discovery",
    "package",
    "asset_import",
    "other",
)


class Skip(Exception):
    """Raised for one item that is left out on purpose: counted as skipped, with this reason."""


class JobError(Exception):
    """Ends the execution as failed, with a sentence for the person who launched it.

    Structural faults of a file (wrong header, unterminated quote) and missing prerequisites raise
    it; anything else that escapes from a job is a bug, and shown as one.
    """


class InvalidParameters(Exception):
    """The parameters do not pass the job's form. `errors` is {field: [sentence, ...]}."""

    def __init__(self, errors: dict[str, list[str]]):
        self.errors = errors
        super().__init__("; ".join(f"{name}: {' '.join(said)}" for name, said in errors.items()))


COUNTERS = ("created", "updated", "unchanged", "deleted", "done", "skipped", "failed")


@dataclass(slots=True)
class Counters:
    """What became of items. Each item is counted once; their sum is `processed`."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0

    def __add__(self, other: Counters) -> Counters:
        return Counters(*(getattr(self, name) + getattr(other, name) for name in COUNTERS))

    @property
    def processed(self) -> int:
        return sum(getattr(self, name) for name in COUNTERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemWarning:
    """Why one item, or one value of it, was left out. `row` is 1 for the first line of data.

    `outcome` says what became of the item: *failed*, which *retry failed* takes up again; or
    *skipped*, left out on purpose; or *kept*, written all the same.
    """

    code: str
    message: str
    row: int | None = None
    key: str = ""
    column: str = ""
    value: str = ""
    outcome: str = "failed"


@dataclass(frozen=True, slots=True)
class Throttle:
    """Holds an execution back while `condition()` returns true, or a sentence that says why.

    It is asked before the first step and about once a second at checkpoints; the execution lets
    go of its worker and is looked at again `backoff_seconds` later.
    """

    condition: Callable[[], bool | str]
    backoff_seconds: float = 30


@dataclass(frozen=True, slots=True)
class Partition:
    """One of the equal parts that a step was divided into: number 0 to `of` - 1."""

    number: int
    of: int


def always() -> bool:
    """The condition of a step that is never skipped."""
    return True


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """What every step may declare.

    `when()` is asked before the step begins: false, or a sentence that says why, skips it. An
    `optional` step may fail or be stopped alone, and the execution goes on. A step with
    `unstoppable_seconds` is a section that a stop waits for, at most that long; only an abort
    does not.
    """

    name: str
    label: str = ""
    when: Callable[[], bool | str] = always
    optional: bool = False
    unstoppable_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class ChunkStep(StepOptions):
    """Read items and write them in chunks, resumable at every chunk.

    `read(cursor)` yields (cursor, item) pairs from behind that cursor and, like `process`, runs
    outside the chunk's transaction; `write(items)` runs inside it and may return Counters, else
    every item counts as done. `process` may raise Skip or ValidationError for its item, and may
    return None to leave it out silently as unchanged. `count()` is the number of items, or None.
    With `partitions`, that many children do the step side by side, each with the job's
    `partition` set: `read` must then yield the items of that part only.
    """

    read: Callable[[Cursor | None], Iterator[tuple[Cursor, Any]]]
    write: Callable[[list[Any]], Counters | None]
    process: Callable[[Any], Any] = lambda item: item
    count: Callable[[], int | None] = lambda: None
    size: int = 500
    partitions: int = 1


@dataclass(slots=True, kw_only=True)
class StagedChunk:
    """Parsed rows that commit together, and what was left out while parsing them.

    `rows` are ready for COPY, in the order of `row_numbers`, `keys` and `records`, which are the
    rows as the source has them; `rejected` are those that were refused while parsing, as pairs of
    number and record. `cursor` is the position behind the chunk, as JSON; `position` is how many
    bytes of the source have been read so far.
    """

    rows: list[tuple[Any, ...]]
    row_numbers: list[int]
    keys: list[str]
    cursor: Cursor
    position: int = 0
    counters: Counters = field(default_factory=Counters)
    warnings: list[ItemWarning] = field(default_factory=list)
    records: list[list[str]] = field(default_factory=list)
    rejected: list[tuple[int, list[str]]] = field(default_factory=list)


@dataclass(slots=True)
class Pace:
    """How many rows the next chunk should have; the engine adapts it to the time a chunk takes."""

    size: int = 5000


class Stager(Protocol):
    """Copies chunks to a staging table and merges them from there, on a connection of its own.

    Two take turns: one stages a chunk while the other merges the chunk before it.
    """

    def prepare(self, cursor: psycopg.Cursor) -> None:
        """Make the staging table. Called once per connection, inside no chunk."""

    def stage(self, cursor: psycopg.Cursor, chunk: StagedChunk) -> None:
        """Empty the staging table and COPY the chunk's rows, numbered from 0, into it."""

    def merge(self, cursor: psycopg.Cursor, low: int, high: int) -> Counters:
        """Merge the staged rows low <= number < high into the target and count what became of them.

        A row that only the database rejects raises psycopg.errors.IntegrityError or DataError;
        the engine rolls back to a savepoint and halves the range until the row stands alone.
        """


class RehearsingStager(Stager, Protocol):
    """A Stager whose merges can be rolled back, chunk by chunk, as if all had been kept."""

    def recall(self, cursor: psycopg.Cursor) -> int:
        """Stage the rows of earlier chunks that the staged ones meet again.

        Numbered from minus their number, which it returns, to -1; they are merged first.
        """

    def sample(self, cursor: psycopg.Cursor) -> Any:
        """What the merges of this chunk changed, to be kept by `remember` when they are undone."""

    def remember(self, cursor: psycopg.Cursor, refused: list[int], sample: Any) -> None:
        """Keep the staged rows for later chunks, but for those that were refused."""


@dataclass(frozen=True, kw_only=True)
class StagedStep(StepOptions):
    """A bulk load at the speed of COPY. See `Stager`.

    `chunks(cursor, pace)` parses the source from behind the cursor in chunks of about `pace.size`
    rows, each not empty of progress: the last may hold no rows but a new cursor. `length()` is the
    size of the source in bytes, or None; `count()` the number of rows, or None; `columns()` the
    names of what its records have. `partitions` as for a `ChunkStep`.

    `judge(counters)` is asked behind every chunk, with what has become of the rows in all attempts
    and parts so far; it may raise JobError, and what is committed stays.

    A step that `rehearses` counts and warns, and writes nothing: its stager is a
    `RehearsingStager`, and after an interruption it begins anew. One that does not `overlap`
    works on Django's connection, for stagers that go through models.
    """

    chunks: Callable[[Cursor | None, Pace], Iterator[StagedChunk]]
    stager: Callable[[], Stager]
    rehearses: bool = False
    overlaps: bool = True
    length: Callable[[], int | None] = lambda: None
    count: Callable[[], int | None] = lambda: None
    columns: Callable[[], list[str] | None] = lambda: None
    judge: Callable[[Counters], None] | None = None
    partitions: int = 1


@dataclass(frozen=True, kw_only=True)
class FunctionStep(StepOptions):
    """One function, called with a Context.

    With `atomic` the engine keeps a transaction open from checkpoint to checkpoint, so that the
    function's writes and its progress commit together. Without it the function must not write to
    the database itself; its files count from the next checkpoint on. The value it returns becomes
    the execution's result.
    """

    function: Callable[[Any], Any]
    atomic: bool = True


Step = ChunkStep | StagedStep | FunctionStep
ErrorClass = type[Exception]


class Job:
    """Base of every job: subclass a recipe, or this class, and give it a name with `@job`.

    `parameters` are the cleaned data of the `Parameters` form; `workspace` gives access to the
    files of the execution; `partition` is set where a step was divided among children. A value
    returned by `result()` is shown on the execution's page.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    type: ClassVar[str] = "other"
    queue: ClassVar[str] = "default"
    timeout_seconds: ClassVar[int | None] = None
    permissions: ClassVar[tuple[str, ...]] = ()  # model permissions that launching needs

    # How many executions of this job may run at once, how many with one `key()`, and what a launch
    # does when that many are open; at most how many start in a time, such as "10/m".
    concurrency: ClassVar[int | None] = None
    key_concurrency: ClassVar[int] = 1
    overlap: ClassVar[str] = "queue"  # queue, skip, reject or replace
    start_rate: ClassVar[str] = ""
    key_start_rate: ClassVar[str] = ""
    throttle: ClassVar[Throttle | None] = None
    # After so many seconds it lets others go first that wait; by default JOBS_SLICE_SECONDS.
    slice_seconds: ClassVar[float | None] = None
    # Alive without progress for so long, it is ended; by default JOBS_STALL_LIMIT_SECONDS.
    stall_limit_seconds: ClassVar[float | None] = None
    # Errors after which the same chunk is tried again, in a row and with a growing pause.
    retry_on: ClassVar[tuple[ErrorClass, ...]] = ()
    max_retries: ClassVar[int] = 3
    retry_backoff_seconds: ClassVar[float] = 10

    partition: Partition | None = None

    class Parameters(forms.Form):
        """No parameters."""

    def __init__(self, parameters: dict[str, Any] | None = None, workspace: Any = None):
        self.parameters = parameters or {}
        self.workspace = workspace

    def steps(self) -> Iterable[Step]:
        """The steps in order; called anew at every attempt, so it must not depend on the clock."""
        raise NotImplementedError

    def result(self) -> Any:
        """The job's return value as JSON, asked for after its last step."""
        return None

    def close(self, outcome: str) -> None:
        """Clean up: called in the job process after it completed, failed, stopped or timed out.

        `outcome` is completed, failed, stopped or timed_out. A stop's grace and the time limit
        go on; it is not called after an abort or when the process was lost.
        """

    @classmethod
    def key(cls, parameters: dict[str, Any]) -> str:  # noqa: ARG003 (for those that override it)
        """What executions with these parameters work on: at most `key_concurrency` run at once.

        `parameters` as stored with the execution. Empty: no such limit.
        """
        return ""

    @classmethod
    def check_file(cls, name: str, head: bytes, parameters: dict[str, Any]) -> str:  # noqa: ARG003
        """Why a file that is sent for a launch cannot be used, or nothing.

        `head` are its first bytes; what they do not tell is found out in the job.
        """
        return ""

    @classmethod
    def needs(cls, parameters: dict[str, Any]) -> set[str]:  # noqa: ARG003 (as for key)
        """Permissions that launching with these parameters needs, besides `permissions`."""
        return set()

    @classmethod
    def ledger_model(cls, parameters: dict[str, Any]) -> ModelClass | None:  # noqa: ARG003
        """The model whose rows the ledger is about; None when no ledger is kept.

        `parameters` as stored with the execution.
        """
        return None

    @classmethod
    def describe(cls) -> str:
        """The first paragraph of the docstring: what people read before they launch it."""
        return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())

    @classmethod
    def source(cls) -> str:
        """The source code that defines the job, or an empty string where there is none."""
        return source_of(cls)  # type: ignore[arg-type]  # because mypy asks the instances' hash

    @classmethod
    def version(cls) -> str:
        """Twelve hexadecimal digits that change whenever the definition's source code changes."""
        return digest(cls.name, cls.source())


JobClass = type[Job]


def digest(*parts: str) -> str:
    """A short fingerprint of these texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


class UnknownJob(LookupError):
    """No installed code defines a job of this name."""

    def __init__(self, name: str):
        self.name = name
        super().__init__(f"There is no job named {name!r} in the installed code.")


REGISTRY: dict[str, type[Job]] = {}


def find(name: str) -> type[Job]:
    """The job of this name; raises UnknownJob."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise UnknownJob(name) from None


def register(name: str, cls: type[Job], **options: Any) -> type[Job]:
    """Enter a job class under a name. Options set class attributes: label, type, queue, …"""
    if not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", name):
        raise ValueError(f"A job is named like 'app.what_it_does'; {name!r} is not.")
    present = REGISTRY.get(name)
    if present and (present.__module__, present.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"Two jobs are named {name!r}: {present} and {cls}.")
    for key, value in options.items():
        if not hasattr(Job, key):
            raise TypeError(f"@job({name!r}) knows no option {key!r}.")
        setattr(cls, key, value)
    if cls.type not in TYPES:
        raise ValueError(f"Job {name!r} has type {cls.type!r}; types are {', '.join(TYPES)}.")
    cls.name = name
    cls.label = cls.__dict__.get("label") or _label_from(cls.__name__)
    REGISTRY[name] = cls
    return cls


def job(name: str, **options: Any) -> Callable[[Any], Any]:
    """Give a Job class, or a plain function, the name under which it is stored and launched.

    Options: label, type, queue, timeout_seconds, permissions and the other class attributes of
    `Job`; for a function also `parameters`, a Django form class whose cleaned data the function
    gets as keyword arguments.
    """

    def decorate(target: Any) -> Any:
        if isinstance(target, type):
            return register(name, target, **options)
        parameters = options.pop("parameters", None)
        register(name, _job_from_function(target, parameters), **options)
        return target

    return decorate


def _job_from_function(function: Callable[..., Any], form: type[forms.Form] | None) -> type[Job]:
    def steps(self: Job) -> list[FunctionStep]:
        return [
            FunctionStep(
                name=function.__name__,
                label=_label_from(function.__name__),
                function=lambda context: function(context, **self.parameters),
            )
        ]

    body = {
        "steps": steps,
        "source": staticmethod(lambda: source_of(function)),
        "Parameters": form or Job.Parameters,
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
    }
    return type(function.__name__, (Job,), body)


def _label_from(name: str) -> str:
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", name).replace("_", " ")
    return words.strip().capitalize()


DECLARED_PROFILES: dict[str, dict[str, Any]] = {}


def profile(code: str, *, job: str, label: str, **values: Any) -> None:
    """Declare a profile that every installation has: made after migrations, unless it exists.

    `values` are fields of JobProfile: parameters, description, queue, priority, …
    """
    DECLARED_PROFILES[code] = {"job": job, "label": label, **values}


DECLARED_SCHEDULES: dict[str, dict[str, Any]] = {}


def schedule(code: str, *, profile: str, cron: str, label: str, **values: Any) -> None:
    """Declare a schedule that every installation has: made after migrations, unless it exists.

    It launches the profile of that code as the platform. `values` are fields of Schedule:
    time_zone, parameters, missed, overlap, enabled.
    """
    DECLARED_SCHEDULES[code] = {"profile": profile, "cron": cron, "label": label, **values}
