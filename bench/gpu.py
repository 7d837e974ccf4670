"""Generated Triton kernels beside PyTorch's own losses on one GPU, checked before they are timed.

    python bench/gpu.py [--quick] [--cases ce:4096x32000 linear] [--dtype float32] [--json]

A case is a loss and its gradient by the logits (for the linear head: by x, W and b), forward and
backward in one call; every peer starts from the same tensors and gives its gradients anew.  A peer
is compiled and run a few times, its loss and gradient are compared with float64 for some of the
rows, and then it takes turns with the others: between two calls a buffer larger than the cache is
written, and CUDA events around the call give its time.  Medians are compared: as a ratio to
torch.compile, and as the part of the bandwidth of a plain copy that reading the logits once and
writing the gradient once would have needed.  For the linear head the roof is its three matrix
products.

    torch eager     torch.nn.functional.cross_entropy, and autograd
    torch.compile   the same compiled
    linear_cross_entropy   torch's fused linear head, where this version has one

Without a GPU `--dry-run` tries every part in Triton's interpreter, at tiny sizes.
Needs `pip install torch triton`, and pminusy.  The whole takes some minutes, --quick about one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

# This folder would hide the package derive; its parts are beside it.
sys.path[0] = str(Path(__file__).resolve().parent / "parts")

from gpu_cases import CASES, TINY, Case, Work, by_torch, data, module_of, roof, table, trained  # noqa: E402

TOLERANCE = {"float32": 1e-4, "float16": 4e-3, "bfloat16": 2e-2}
CHECKED = 64  # rows
FLUSHED = 2**28  # bytes, more than any cache
LIMIT = 480.0  # seconds for everything


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", nargs="*", help="names, or name:sizes as the table has them")
    parser.add_argument("--dtype", nargs="*", default=["float32", "bfloat16"], choices=TOLERANCE)
    parser.add_argument("--runs", type=int, default=30, help="calls of each peer")
    parser.add_argument("--quick", action="store_true", help="ten calls, the smaller sizes")
    parser.add_argument("--dry-run", action="store_true", help="in the interpreter, tiny sizes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def selected(options: argparse.Namespace) -> list[Case]:
    """The cases that were asked for."""
    cases = TINY if options.dry_run else CASES
    if options.quick and not options.dry_run:
        cases = tuple(c for c in cases if c.classes < 100_000)
    names = options.cases
    found = [c for c in cases if not names or c.name in names or c.title in names]
    if not found:
        sys.exit(f"--cases: expected some of {', '.join(c.title for c in cases)}, or their names")
    return found


def peers_of(case: Case, given: dict[str, Any], dry: bool) -> dict[str, Work]:
    """What is timed, by name; the first is the roof."""
    import torch

    ours = module_of(case)
    found = {
        "roof": roof(case, given),
        "pminusy": trained(lambda: ours(**given), given),
        "torch eager": trained(lambda: by_torch(case, given), given),
    }
    if not dry:
        compiled = torch.compile(lambda: by_torch(case, given))
        found["torch.compile"] = trained(compiled, given)
    fused = getattr(torch.nn.functional, "linear_cross_entropy", None)
    if case.name == "linear" and fused is not None:
        parts = (given["x"], given["W"], given["y"])
        found["linear_cross_entropy"] = trained(
            lambda: fused(*parts, linear_bias=given["b"]), given
        )
    return found


def error(case: Case, given: dict[str, Any], work: Work) -> float:
    """The largest relative error of the gradient by the first argument, for some rows, and of
    the loss, against float64."""
    import torch

    value, slopes = work()
    if value is None:
        return 0.0
    exact = {key: x.detach().double() if x.is_floating_point() else x for key, x in given.items()}
    if case.rows > CHECKED:
        shared = ("W", "b")
        exact = {key: x if key in shared else x[:CHECKED] for key, x in exact.items()}
    first = next(iter(given))
    exact[first] = exact[first].clone().requires_grad_()
    (slope,) = torch.autograd.grad(by_torch(case, exact), exact[first])
    rows = len(slope)
    found = slopes[0][:rows].double() * (case.rows / rows)
    worst = float((found - slope).abs().max() / slope.abs().max())
    if case.rows == rows:
        wanted = float(by_torch(case, exact).detach())
        worst = max(worst, abs(float(value.detach()) - wanted) / abs(wanted))
    return worst


def timed(works: dict[str, Work], runs: int, device: str, ends: float) -> dict[str, list[float]]:
    """Milliseconds of each call; the peers take turns, and the cache is written over before."""
    import torch

    times: dict[str, list[float]] = {name: [] for name in works}
    flush = torch.empty(FLUSHED if device == "cuda" else 1, dtype=torch.int8, device=device)
    for _ in range(runs):
        if time.monotonic() > ends and min(map(len, times.values())) > 2:
            break
        for name, work in works.items():
            flush.zero_()
            if device == "cuda":
                start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                torch.cuda.synchronize()
                start.record()
                work()
                end.record()
                torch.cuda.synchronize()
                times[name].append(start.elapsed_time(end))
            else:
                begun = time.perf_counter()
                work()
                times[name].append((time.perf_counter() - begun) * 1e3)
    return times


def measured(
    case: Case, dtype: str, device: str, options: argparse.Namespace, ends: float
) -> Iterator[dict[str, Any]]:
    """A row for each peer of a case."""
    import torch

    given = data(case, dtype, device)
    works, notes, errors, peaks = peers_of(case, given, options.dry_run), {}, {}, {}
    for name, work in list(works.items()):
        try:
            errors[name] = error(case, given, work)
            for _ in range(0 if options.dry_run else 3):
                work()
            if device == "cuda":
                torch.cuda.synchronize()
                held = torch.cuda.memory_allocated()
                torch.cuda.reset_peak_memory_stats()
                work()
                torch.cuda.synchronize()
                peaks[name] = torch.cuda.max_memory_allocated() - held
        except Exception as failure:
            notes[name] = f"{type(failure).__name__}: {str(failure).splitlines()[0][:160]}"
        if not notes.get(name) and not errors[name] <= TOLERANCE[dtype]:
            notes[name] = f"wrong by {errors[name]:.1e}"
        if notes.get(name):
            del works[name]
    times = timed(works, options.runs, device, ends)
    middle = {name: median(found) for name, found in times.items()}
    for name in [*works, *notes]:
        yield {
            "case": case.title,
            "dtype": dtype,
            "peer": name,
            "median_ms": middle.get(name),
            "least_ms": min(times[name]) if name in times else None,
            "runs": len(times.get(name, ())),
            "of_roof": _ratio(middle, "roof", name),
            "against_compile": _ratio(middle, "torch.compile", name),
            "error": errors.get(name),
            "peak_mib": peaks[name] / 2**20 if name in peaks else None,
            "note": notes.get(name, ""),
        }


def _ratio(middle: dict[str, float], whose: str, name: str) -> float | None:
    """How much longer another takes."""
    return middle[whose] / middle[name] if whose in middle and name in middle else None


def main() -> None:
    options = arguments().parse_args()
    cases = selected(options)
    if options.dry_run:
        os.environ["TRITON_INTERPRET"] = "1"
    import numpy as np
    import torch
    import triton

    device = "cpu" if options.dry_run else "cuda"
    np.seterr(all="ignore")  # of the interpreter, where a kernel chooses between two values
    if device == "cuda" and not torch.cuda.is_available():
        print("no GPU here, nothing is measured: --dry-run tries every part in the interpreter")
        return
    options.runs = (
        1 if options.dry_run else min(10, options.runs) if options.quick else options.runs
    )
    where = "Triton's interpreter" if options.dry_run else torch.cuda.get_device_name()
    versions = f"torch {torch.__version__}, triton {triton.__version__}"
    rows: list[dict[str, Any]] = []
    begun, jobs = time.monotonic(), [(c, d) for d in options.dtype for c in cases]
    for at, (case, dtype) in enumerate(jobs):
        print(f"{case.title}, {dtype}", file=sys.stderr, flush=True)
        left = LIMIT - (time.monotonic() - begun)
        ends = time.monotonic() + left / (len(jobs) - at)
        try:
            rows += measured(case, dtype, device, options, ends)
        except torch.OutOfMemoryError:
            print("  too large for this GPU", file=sys.stderr)
        if device == "cuda":
            torch.cuda.empty_cache()
    if options.json:
        print(json.dumps({"device": where, "versions": versions, "rows": rows}, indent=1))
    else:
        print(f"{where}, {versions}\n\n{table(rows)}")
    sys.exit(any(row["note"] for row in rows))


if __name__ == "__main__":
    main()
