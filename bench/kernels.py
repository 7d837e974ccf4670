"""Time and memory of kernels, beside those of others, checked before they are measured.

    python bench/kernels.py [--quick] [--only ce:8192x1000 bce] [--peers c torch] [--plot FILE]
    python bench/kernels.py --only ce:8192x1000 --dtype float32 --json > parts/ce_1000.json
    python bench/kernels.py --from parts/*.json [--summary] [--plot FILE]

Each peer runs in a process of its own, for a case, a dtype and a number of threads; the processes
take turns, after a pause calls for 0.05 s that are not counted and one that is, and medians of one
such run are compared.  The roof is the faster of a
plain copy and one past the cache of the same bytes: logits read once, gradient written once; for
linear + cross-entropy it is its three matrix products.  "fresh" outputs are new at each call,
the others of ours are the caller's.  "torch tuned" is torch with its page faults taken away by
the environment.  Extra memory is what a call holds above the arguments, outputs included.

A run of everything takes long: a run of some rows, with --json, is a part, and --from puts parts
together; where two measure the same, the later one counts.  Where others use the machine the
least of the runs (--least) says more than the median.

Peers are measured where they are installed: `pip install torch jax scikit-learn numba`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import sleep
from typing import Any

# This folder would hide the package derive; its parts are beside it.
sys.path[0] = str(Path(__file__).resolve().parent / "parts")

from cases import CASES, Case  # noqa: E402
from peers import Peer, all_peers  # noqa: E402
from report import plot, summary, table  # noqa: E402

PAUSE = 0.2  # seconds: threads of the one before spin for a while after its work
QUICK = 64  # the part of the rows that --quick keeps
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Process:
    """A peer at work in a process of its own."""

    def __init__(self, peer: Peer, case: Case, title: str, options: dict[str, Any]) -> None:
        self.peer, self.times = peer, list[float]()
        threads = str(options["threads"])
        environment = {**os.environ, **dict.fromkeys(VARIABLES, threads), **peer.environment}
        words = json.dumps({**options, "peer": peer.name, "case": title, "shape": case.shape})
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None and self.process.stdin is not None
        self.answers, self.calls = self.process.stdout, self.process.stdin
        self.state = ["starting"]

    def wait(self) -> None:
        """Until it has checked its results."""
        self.state = self.answers.readline().split() or ["failed"]

    @property
    def is_ready(self) -> bool:
        return self.state[0] == "ready"

    def measure(self) -> None:
        sleep(PAUSE)
        self.calls.write("\n")
        self.calls.flush()
        self.times.append(float(self.answers.readline()))

    def close(self) -> str:
        """What it said last, where it failed."""
        _, said = self.process.communicate()
        lines = said.strip().splitlines()
        return lines[-1] if lines else f"exit status {self.process.returncode}"


def selected(options: argparse.Namespace) -> list[tuple[Case, str]]:
    """The cases, each with the title of the full case that it comes from."""
    found = []
    for case in CASES:
        if not options.only or any(x in (case.name, _spec(case)) for x in options.only):
            rows = max(64, case.shape[0] // QUICK) if options.quick else case.shape[0]
            shape = (rows, *case.shape[1:])
            found.append((Case(case.name, case.loss, case.main, shape, case.labels), case.title))
    if not found:
        sys.exit(f"--only: expected some of {', '.join(map(_spec, CASES))}, or their names")
    return found


def _spec(case: Case) -> str:
    return f"{case.name}:{'x'.join(map(str, case.shape))}"


def groups(peers: list[Peer], case: Case, memory: float) -> Iterator[list[Peer]]:
    """Peers that fit in memory together, the roof in each group."""
    roofs = [peer for peer in peers if peer.is_roof]
    others = [peer for peer in peers if not peer.is_roof]
    count = max(2, int(memory // max(1, case_bytes(case) * 5)) - len(roofs))
    for start in range(0, len(others), count) or [0]:
        yield roofs + others[start : start + count]


def case_bytes(case: Case) -> int:
    """About the bytes of the largest array."""
    size = case.shape[0] * case.shape[-1] if len(case.shape) > 1 else case.shape[0]
    return size * 8


def measured(
    case: Case, title: str, peers: list[Peer], options: argparse.Namespace, given: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """A row for each peer of one group."""
    with ExitStack() as stack:
        running = []
        for peer in peers:
            running.append(Process(peer, case, title, given))
            stack.callback(running[-1].process.kill)
        for process in running:
            process.wait()
            say(f"  {process.peer.name}: {process.state[0]}")
        ready = [process for process in running if process.is_ready]
        for turn in range(options.runs):
            say(f"  run {turn + 1} of {options.runs}")
            for process in ready:
                process.measure()
        for process in running:
            said = process.close()
            if process.state[0] != "none":
                yield row(process, case, given, said)


def row(process: Process, case: Case, given: dict[str, Any], said: str) -> dict[str, Any]:
    """What is reported of one peer."""
    ready = process.is_ready
    return {
        "case": case.title,
        "peer": process.peer.name,
        "dtype": given["dtype"],
        "threads": given["threads"],
        "is_roof": process.peer.is_roof,
        "is_ours": process.peer.name.partition(",")[0] in given["targets"]
        or process.peer.name.startswith("generated "),
        "median_ms": round(median(process.times) * 1e3, 4) if process.times else None,
        "least_ms": round(min(process.times) * 1e3, 4) if process.times else None,
        "runs": len(process.times),
        "error": float(process.state[1]) if ready else None,
        "extra_mib": round(int(process.state[2]) / 2**20, 1) if ready else None,
        "note": "" if ready else f"{' '.join(process.state)}: {said}",
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", help="cases: names, or name:shape")
    parser.add_argument("--peers", nargs="*", help="their names; the roof is always there")
    parser.add_argument("--dtype", nargs="*", default=["float32", "float64"])
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--runs", type=int, default=9, help="calls of each peer")
    parser.add_argument("--memory", type=float, default=12, help="GiB for peers at one time")
    parser.add_argument("--quick", action="store_true", help="few rows, and five runs at the most")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--from", nargs="+", metavar="FILE", dest="parts", help="measured before")
    parser.add_argument("--least", action="store_true", help="the least in place of the median")
    parser.add_argument("--summary", action="store_true", help="one table: a case and dtype a row")
    parser.add_argument("--plot", metavar="FILE", help="a picture of the ratios")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser


def usable_targets() -> list[str]:
    from codegen.targets import TARGETS

    return [name for name in ("numpy", "c", "numba") if name in TARGETS]


def main() -> None:
    options = arguments().parse_args()
    if options.worker:
        from worker import serve

        # What a library prints must not be taken for an answer.
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        return serve(json.loads(options.worker), answers)
    rows, notes = gathered(options.parts) if options.parts else everything(options)
    if options.least:
        rows = [{**row, "median_ms": row["least_ms"]} for row in rows]
    if options.plot:
        plot(rows, options.plot)
    if options.json:
        print(json.dumps({"rows": rows, "notes": notes}, indent=1))
    else:
        print("\n".join([summary(rows) if options.summary else table(rows), "", *notes]))
    sys.exit(any(row["note"] for row in rows))


def gathered(files: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows and the notes of earlier runs; of the same measurement the last."""
    parts = [json.loads(Path(file).read_text(encoding="utf-8")) for file in files]
    same = ("case", "dtype", "threads", "peer")
    rows = {tuple(row[key] for key in same): row for part in parts for row in part["rows"]}
    return list(rows.values()), list(
        dict.fromkeys(note for part in parts for note in part["notes"])
    )


def everything(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    """A row for each case, dtype, number of threads and peer; and what is not installed."""
    targets = usable_targets()
    peers = all_peers(targets)
    known = {peer.name for peer in peers}
    if unknown := sorted(set(options.peers or ()) - known):
        sys.exit(f"--peers: no {unknown[0]!r}; expected some of {', '.join(sorted(known))}")
    peers = [p for p in peers if not options.peers or p.is_roof or p.name in options.peers]
    notes = [f"not installed: {p.name} ({', '.join(p.missing)})" for p in peers if p.missing]
    here = [peer for peer in peers if not peer.missing]
    options.runs = min(5, options.runs) if options.quick else options.runs
    rows = []
    for case, title in selected(options):
        for dtype in options.dtype:
            for threads in options.threads:
                say(f"{case.title}, {dtype}, {threads} thread{'s' * (threads > 1)}")
                given = {"dtype": dtype, "threads": threads, "targets": targets}
                for group in groups(here, case, options.memory * 2**30):
                    rows += measured(case, title, group, options, given)
    return rows, notes


if __name__ == "__main__":
    main()
