"""Every sharded file that the library can give, each running its own checks, one after another.

    python bench/shards.py [--target torch jax] [--axes K N K,N] [--only LOSS ...] [--seconds 300]

Each loss, also with class labels, is split by classes, by samples and by both, and its file is run
as a user would run it: PyTorch's with two processes, or four where both axes are split, and JAX's
with four devices of this host.  A line a file; at the end how many passed, failed, and could not
be split, with the reasons.  Exit status 1 where one failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

sys.path.pop(0)  # this folder would hide the package derive

import derive
from codegen.builder import dense_target
from codegen.sharding import build_sharded
from derive.errors import PminusyError

TARGETS, AXES = ("torch", "jax"), ("K", "N", "K,N")


@dataclass(frozen=True)
class Result:
    """What became of a file: `passed`, `failed` or `not split`, and the last line or the reason."""

    status: str
    said: str


def variants(only: list[str]) -> list[tuple[str, str]]:
    """Every loss, also with class labels where it may have them."""
    return [
        (name, labels)
        for name in only or derive.library()
        for labels in ("dense", "index")
        if labels == "dense" or dense_target(derive.load(name))
    ]


def result(name: str, labels: str, axes: str, target: str, seconds: float, folder: Path) -> Result:
    """Generate one file and run it."""
    try:
        kernel = build_sharded(derive.load(name), axes.split(","), target, labels=labels)
    except PminusyError as error:
        return Result("not split", str(error))
    ((file, text),) = kernel.files.items()
    path = folder / file
    path.write_text(text, "utf-8")
    try:
        done = subprocess.run(
            [sys.executable, str(path)],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Result("failed", f"no end after {seconds:g} s")
    wrong = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    if done.returncode:
        return Result("failed", " | ".join(wrong) or (done.stderr.strip() or "?").splitlines()[-1])
    return Result("passed", (done.stdout.strip() or "?").splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("--axes", nargs="+", choices=AXES, default=AXES)
    parser.add_argument("--only", nargs="+", metavar="LOSS", default=[])
    parser.add_argument("--seconds", type=float, default=300, help="the most that a file may take")
    options = parser.parse_args()
    counts: Counter[tuple[str, str, str]] = Counter()
    with TemporaryDirectory() as folder:
        for target in options.target:
            for name, labels in variants(options.only):
                for axes in options.axes:
                    start = perf_counter()
                    found = result(name, labels, axes, target, options.seconds, Path(folder))
                    counts[target, axes, found.status] += 1
                    took = f"{perf_counter() - start:.0f} s"
                    what = f"{target:5} {name} ({labels}) over {axes}"
                    print(f"{found.status:9} {what}: {took}: {found.said}", flush=True)
    for (target, axes, status), number in sorted(counts.items()):
        print(f"{target:5} {axes:3} {status:9} {number}")
    raise SystemExit(any(status == "failed" for _, _, status in counts))


if __name__ == "__main__":
    main()
