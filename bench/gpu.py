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

A peer that fails, or a case that does not fit into memory, is a row that says so; the others are
measured all the same.  `--output FILE` holds the rows as JSON after every case, so that a run that
is cut off loses nothing.  The exit status is 1 where a row failed, and 2 without a GPU.

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
    parser.add_argument("--output", metavar="FILE", help="write the same object after every case")
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
    # Each case anew: after some of them torch would no longer compile, and not say so.
    torch.compiler.reset()
    backend = "aot_eager" if dry else "inductor"
    compiled = torch.compile(lambda: by_torch(case, given), backend=backend)
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


def timed(
    works: dict[str, Work], runs: int, device: str, ends: float, notes: dict[str, str]
) -> dict[str, list[float]]:
    """Milliseconds of each call; the peers take turns, and the cache is written over before.

    A peer that fails leaves the round: `notes` has why.
    """
    import torch

    times: dict[str, list[float]] = {name: [] for name in works}
    flush = torch.empty(FLUSHED if device == "cuda" else 1, dtype=torch.int8, device=device)
    for turn in range(runs):
        if time.monotonic() > ends and turn > 2:
            break
        for name, work in works.items():
            if name in notes:
                continue
            flush.zero_()
            try:
                times[name].append(once(work, device))
            except Exception as failure:
                notes[name] = said(failure)
    return times


def once(work: Work, device: str) -> float:
    """Milliseconds of one call."""
    import torch

    if device != "cuda":
        begun = time.perf_counter()
        work()
        return (time.perf_counter() - begun) * 1e3
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end))


def said(failure: Exception) -> str:
    """An error as one line."""
    lines = str(failure).splitlines() or [""]
    return f"{type(failure).__name__}: {lines[0][:160]}"


def tried(
    case: Case, given: dict[str, Any], work: Work, options: argparse.Namespace, device: str
) -> tuple[float, float | None]:
    """The error of a peer, and by how much it exceeds the memory that was held; it is warm then."""
    import torch

    worst = error(case, given, work)
    for _ in range(0 if options.dry_run else 3):
        work()
    if device != "cuda":
        return worst, None
    torch.cuda.synchronize()
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return worst, (torch.cuda.max_memory_allocated() - held) / 2**20


def measured(
    case: Case, dtype: str, device: str, options: argparse.Namespace, ends: float
) -> Iterator[dict[str, Any]]:
    """A row for each peer of a case."""
    given = data(case, dtype, device)
    works = peers_of(case, given, options.dry_run)
    names, notes, errors, peaks = list(works), dict[str, str](), {}, {}
    for name, work in list(works.items()):
        try:
            errors[name], peaks[name] = tried(case, given, work, options, device)
            if not errors[name] <= TOLERANCE[dtype]:
                notes[name] = f"wrong by {errors[name]:.1e}"
        except Exception as failure:
            notes[name] = said(failure)
        if name in notes:
            del works[name]
    times = timed(works, options.runs, device, ends, notes)
    middle = {name: median(found) for name, found in times.items() if found and name not in notes}
    moved = 2 * case.rows * case.classes * given[next(iter(given))].element_size()
    for name in names:
        time_ms = middle.get(name)
        yield {
            "case": case.title,
            "dtype": dtype,
            "peer": name,
            "median_ms": time_ms,
            "least_ms": min(times[name]) if time_ms is not None else None,
            "runs": len(times.get(name, ())),
            "gb_per_s": moved / time_ms / 1e6 if time_ms and not case.inner else None,
            "of_roof": _ratio(middle, "roof", name),
            "against_compile": _ratio(middle, "torch.compile", name),
            "error": errors.get(name),
            "peak_mib": peaks.get(name),
            "note": notes.get(name, ""),
        }


def lost(case: Case, dtype: str, failure: Exception) -> dict[str, Any]:
    """The row of a case that could not be prepared."""
    names = ("median_ms", "least_ms", "gb_per_s", "of_roof", "against_compile", "error", "peak_mib")
    head = {"case": case.title, "dtype": dtype, "peer": "all", "runs": 0}
    return {**head, **dict.fromkeys(names), "note": said(failure)}


def _ratio(middle: dict[str, float], whose: str, name: str) -> float | None:
    """How much longer another takes."""
    return middle[whose] / middle[name] if whose in middle and name in middle else None


def written(place: Path, text: str) -> None:
    """Put a text into a file, whole or not at all."""
    part = place.with_name(place.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(place)


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
        text = "no GPU here, nothing is measured: --dry-run tries every part in the interpreter"
        print(text, file=sys.stderr)
        sys.exit(2)
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
        except Exception as failure:
            rows.append(lost(case, dtype, failure))
        if device == "cuda":
            torch.cuda.empty_cache()
        text = json.dumps({"device": where, "versions": versions, "rows": rows}, indent=1)
        if options.output:
            written(Path(options.output), text)
    if options.json:
        print(text)
    else:
        print(f"{where}, {versions}\n\n{table(rows)}")
    sys.exit(any(row["note"] for row in rows))


if __name__ == "__main__":
    main()
