"""A process for one peer: it answers each line it reads by one measurement."""

from __future__ import annotations

import os
import resource
import sys
import threading
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, TextIO

import numpy as np
from cases import CASES, Arrays, Case, data, error, right
from peers import Peer, all_peers

WARM = 0.05  # seconds
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}


def resident() -> int:
    """Bytes of memory that this process holds now."""
    place = Path("/proc/self/statm")
    if place.exists():
        return int(place.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_of(work: Any, before: int) -> int:
    """Bytes by which a call exceeds what was held before its peer was made, sampled."""
    most, done = resident(), threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, resident())
            sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(0, most - before)


def serve(options: dict[str, Any], answers: TextIO) -> None:
    """Make the peer, check it, say so, then measure at each line from standard input."""
    threads = options["threads"]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    case = next(c for c in CASES if c.title == options["case"])
    case = Case(case.name, case.loss, case.main, tuple(options["shape"]), case.labels)
    peer = next(p for p in all_peers(options["targets"]) if p.name == options["peer"])
    given = data(case, options["dtype"])
    before = resident()
    work = peer.make(case, given, threads)
    if work is None:
        print("none", file=answers, flush=True)
        return
    wrong = _error(peer, case, given, work)
    if not wrong <= TOLERANCE[options["dtype"]]:
        print(f"wrong {wrong}", file=answers, flush=True)
        return
    work()
    print(f"ready {wrong} {peak_of(work, before)}", file=answers, flush=True)
    for _ in sys.stdin:
        # Wakes the threads, lets the system spread them over the cores (a matter of milliseconds,
        # longer than a short call), and faults in what was swapped out by the others.
        end = perf_counter() + WARM
        while perf_counter() < end:
            work()
        start = perf_counter()
        work()
        print(perf_counter() - start, file=answers, flush=True)


def _error(peer: Peer, case: Case, given: Arrays, work: Any) -> float:
    loss, slope = work()
    return 0.0 if peer.is_roof else error(case, given, (loss, slope), _expected(case, given))


def _expected(case: Case, given: Arrays) -> tuple[Any, Any]:
    with np.errstate(all="ignore"):
        return right(case, given)
