"""Names of files: what may be a path, what is a pattern, and what patterns of names become."""

from __future__ import annotations

import datetime as dt
import re

PATH_LIMIT = 500  # characters
JOKERS = frozenset("*?[")
PLACEHOLDERS = ("%job_label%", "%datetime%", "%execution%")
UNSAFE = re.compile(r"[^\w.\-+@ ]+")


def clean_path(path: str) -> str:
    """The path as places take it. Raises ValueError, with a sentence, for one that leads outside.

    It is relative, its parts are separated by slashes, and none of them is `..`.
    """
    if len(path) > PATH_LIMIT:
        raise ValueError(f"A path has at most {PATH_LIMIT} characters.")
    if "\\" in path or any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        raise ValueError("A path has no backslashes and no control characters.")
    if path.startswith("/"):
        raise ValueError("A path begins within its place: leave the first slash out.")
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise ValueError("A path stays within its place: '..' is not allowed.")
    return "/".join(parts)


def is_pattern(path: str) -> bool:
    return not JOKERS.isdisjoint(path)


def folder_and_name(path: str) -> tuple[str, str]:
    """`a/b.csv` as `a` and `b.csv`."""
    folder, _, name = path.rpartition("/")
    return folder, name


def expand(pattern: str, *, job_label: str, at: dt.datetime, execution: str) -> str:
    """The pattern with %job_label%, %datetime% and %execution% filled in, safe as part of a path.

    The same execution gives the same name at every attempt when `at` is when it was launched.
    """
    values = {
        "%job_label%": safe_name(job_label),
        "%datetime%": at.astimezone(dt.UTC).strftime("%Y-%m-%d_%H-%M-%S"),
        "%execution%": safe_name(execution),
    }
    for placeholder, value in values.items():
        pattern = pattern.replace(placeholder, value)
    return pattern


def safe_name(text: str) -> str:
    """The text as a part of a file's name: no slashes, nothing that a shell or a URL reads."""
    return re.sub(r"[\s_]+", "_", UNSAFE.sub("_", text)).strip("._")[:100] or "file"


def numbered(path: str, number: int) -> str:
    """`a/b.csv` as `a/b_2.csv`; the first keeps its name."""
    folder, name = folder_and_name(path)
    stem, dot, ending = name.partition(".")
    name = name if number == 1 else f"{stem}_{number}{dot}{ending}"
    return f"{folder}/{name}" if folder else name
