"""Source code of what developers define: shown to people, and the base of versions."""

from __future__ import annotations

import functools
import inspect
import threading
from typing import Any

# Python 3.11 cannot parse in two threads at once ("AST constructor recursion depth mismatch"),
# and finding a class in its file means parsing the file.
_one_at_a_time = threading.Lock()


@functools.cache
def source_of(definition: Any) -> str:
    """The source code of a class or function, or an empty string where there is none.

    Read once: it is the code that runs, whatever becomes of the file.
    """
    with _one_at_a_time:
        try:
            return inspect.getsource(definition)
        except (OSError, TypeError):
            return ""
