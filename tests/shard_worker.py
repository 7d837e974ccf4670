"""One process of kernels over several: its parts of the arguments, and what came out, in files.

Run as `python shard_worker.py FOLDER RANK WORLD`.  FOLDER has jobs.json, and for each job a
folder with kernel.py and given.npz, where `found_RANK.npz` or `error_RANK.txt` is put.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

Parts = dict[str, list[int]]  # for each split axis, how much of it each rank has
TIMEOUT = timedelta(seconds=20)
SOON = timedelta(seconds=4)  # where a rank is known not to come


def main(folder: Path, rank: int, world: int) -> None:
    torch.set_num_threads(1)
    meet = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=world, timeout=TIMEOUT)
    jobs = json.loads((folder / "jobs.json").read_text("utf-8"))
    groups = [_groups(job["parts"], rank, TIMEOUT if job["raises"] < 0 else SOON) for job in jobs]
    for job, over in zip(jobs, groups, strict=True):
        if job["dies"] == rank:
            os._exit(3)
        try:
            found = _called(folder / job["folder"], job, rank, over)
            np.savez(folder / job["folder"] / f"found_{rank}.npz", **found)
        except (RuntimeError, ValueError) as error:
            text = f"{type(error).__name__}: {error}"
            (folder / job["folder"] / f"error_{rank}.txt").write_text(text, "utf-8")
    if job["dies"] >= 0:
        os._exit(0)  # gloo aborts where it takes leave of a process that is gone
    dist.destroy_process_group()


def _called(folder: Path, job: dict[str, Any], rank: int, over: Any) -> dict[str, Any]:
    """The loss, and the gradients by what the job names, weighted by `row_weights`."""
    module, whole = load(folder / "kernel.py"), dict(np.load(folder / "given.npz"))
    place = place_of(rank, job["parts"])
    given = {
        name: torch.tensor(whole[name][tuple(slice_of(a, job["parts"], place) for a in axes)])
        for name, axes in job["held"].items()
    }
    moved = {name: given[name].requires_grad_() for name in job["wrt"]}
    loss = getattr(module, job["name"])(**given, **over, reduction=job["reduction"])
    if job["raises"] == rank:
        time.sleep(2 * SOON.total_seconds())  # alive, and not coming
        raise RuntimeError("of its own")
    weight = torch.tensor(whole["row_weights"][slice_of("N", job["parts"], place)])
    scalar = (loss * weight).sum() if loss.dim() else loss
    slopes = torch.autograd.grad(scalar, list(moved.values()))
    found = {name: slope.numpy() for name, slope in zip(moved, slopes, strict=True)}
    return {"loss": loss.detach().numpy(), **found}


def load(path: Path) -> Any:
    """The module in a file."""
    spec = importlib.util.spec_from_file_location("kernel", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def place_of(rank: int, parts: Parts) -> dict[str, int]:
    """The place of a rank along each split axis."""
    counts = [len(sizes) for sizes in parts.values()]
    return dict(zip(parts, map(int, np.unravel_index(rank, counts)), strict=True))


def slice_of(axis: str, parts: Parts, place: dict[str, int]) -> slice:
    """The part of an axis that is at a place."""
    if axis not in parts:
        return slice(None)
    start = sum(parts[axis][: place[axis]])
    return slice(start, start + parts[axis][place[axis]])


def _groups(parts: Parts, rank: int, timeout: timedelta) -> dict[str, Any]:
    """The process group of each split axis."""
    counts = [len(sizes) for sizes in parts.values()]
    grid = np.arange(int(np.prod(counts))).reshape(counts)
    groups = {}
    for k, name in enumerate(parts):
        for row in np.moveaxis(grid, k, -1).reshape(-1, counts[k]).tolist():
            group = dist.new_group(row, timeout=timeout)
            if rank in row:
                groups[f"over_{name}"] = group
    return groups


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
