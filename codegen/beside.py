"""Work that is done beside other work, in a process of its own."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def beside(make: Callable[[], T], processes: int) -> Callable[[], T]:
    """Begin `make` in a second process; the function that waits for what it returned.

    The process is a copy of this one, so `make` may be any function; what it returns is pickled.
    With one process, where this one has threads or it is not known whether it has (off Linux),
    and where the copy ends without an answer, `make` is called here when its result is asked
    for: an error in it is raised there.
    """
    if processes < 2 or not _has_one_thread():
        return make
    back, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(back)
        _answer(make, into)
    os.close(into)

    def wait() -> T:
        with os.fdopen(back, "rb") as pipe:
            answer = pipe.read()
        _, status = os.waitpid(child, 0)
        if status != 0:
            return make()
        made: T = pickle.loads(answer)
        return made

    return wait


def _has_one_thread() -> bool:
    """Whether no library has begun a thread, which a copy would lack."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return False


def _answer(make: Callable[[], T], into: int) -> None:
    """Write what `make` returns, and end: nothing else of the copied process may run."""
    status = 1
    try:
        with os.fdopen(into, "wb") as pipe:
            pickle.dump(make(), pipe)
        status = 0
    finally:
        os._exit(status)
