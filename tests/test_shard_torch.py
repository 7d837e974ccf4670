"""Generated kernels over processes (gloo), against the kernel of one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples

import codegen
import derive
from codegen.builder import KernelFunction
from codegen.sharding import build_sharded

pytest.importorskip("torch")
import shard_worker

INF, NAN = np.inf, np.nan
SIZES = {"N": 6, "K": 7, "D": 5}


@dataclass(frozen=True)
class Job:
    """A loss, how its axes are split, and what it is given; `dies` is a rank that goes first.

    `raises` is one that raises between the loss and the backward pass, and lives on.
    """

    name: str
    labels: str
    parts: dict[str, list[int]]
    reduction: str = "none"
    given: dict[str, Any] | None = None
    dies: int = -1
    raises: int = -1

    @property
    def dense(self) -> KernelFunction:
        return codegen.build(derive.load(self.name), labels=self.labels)

    @property
    def arguments(self) -> dict[str, Any]:
        return self.given or samples.arrays(self.dense.loss, SIZES)

    @property
    def weight(self) -> Any:
        batched = [g.name for g in self.dense.kernel.inputs if g.tensor.axes[:1]]
        return np.linspace(0.5, 2, len(self.arguments[batched[0]]))


def prepared(folder: Path, job: Job) -> dict[str, Any]:
    """The files of a job, and what a process is told of it."""
    loss = derive.load(job.name)
    kernel = build_sharded(loss, tuple(job.parts), "torch", labels=job.labels)
    local = {s.local.name: s.axis.name for s in kernel.program.splits}
    inputs = [g for g in kernel.program.inputs if g.name != kernel.cotangent]
    held = {g.name: [local.get(a.name, a.name) for a in g.tensor.axes] for g in inputs}
    folder.mkdir()
    (folder / "kernel.py").write_text(next(iter(kernel.files.values())), "utf-8")
    np.savez(folder / "given.npz", row_weights=job.weight, **job.arguments)
    told = {"name": kernel.program.name, "held": held, "wrt": kernel.wrt, "folder": folder.name}
    return (
        told
        | {"parts": job.parts, "reduction": job.reduction, "dies": job.dies}
        | {"raises": job.raises}
    )


def run(folder: Path, jobs: dict[str, Job], world: int) -> None:
    """Every job, one after the other, in one set of processes."""
    told = [prepared(folder / name, job) for name, job in jobs.items()]
    (folder / "jobs.json").write_text(json.dumps(told), "utf-8")
    script = [sys.executable, shard_worker.__file__, str(folder)]
    processes = [
        subprocess.Popen([*script, str(rank), str(world)], stderr=subprocess.PIPE, text=True)
        for rank in range(world)
    ]
    try:
        for process in processes:
            _, error = process.communicate(timeout=100)
            assert process.returncode in (0, 3), error
    finally:
        for process in processes:
            process.kill()


def together(folder: Path, job: Job, name: str, axes: list[str]) -> Any:
    """The array of all ranks; those that hold the same have to agree."""
    whole: Any = None
    world = int(np.prod([len(sizes) for sizes in job.parts.values()]))
    for rank in range(world):
        error = folder / f"error_{rank}.txt"
        assert not error.exists(), error.read_text("utf-8")
        part = np.load(folder / f"found_{rank}.npz")[name]
        if whole is None:
            sizes = dict(zip(axes, part.shape, strict=True))
            shape = [sum(job.parts.get(axis, [sizes[axis]])) for axis in axes]
            whole, known = np.zeros(shape), np.zeros(shape, bool)
        place = shard_worker.place_of(rank, job.parts)
        here = tuple(shard_worker.slice_of(axis, job.parts, place) for axis in axes)
        np.testing.assert_array_equal(whole[here][known[here]], part[known[here]])
        whole[here], known[here] = part, True
    return whole


def expected(job: Job) -> tuple[Any, dict[str, Any]]:
    """Loss and gradients of one process; rows are weighted where the loss is not reduced."""
    dense, given, weight = job.dense, job.arguments, job.weight
    with np.errstate(all="ignore"):
        loss, slopes = dense(**given, reduction=job.reduction)
        if job.reduction != "none":
            return loss, slopes
        batched = {g.name for g in dense.kernel.inputs if dense.kernel.batch in g.tensor.axes}
        rows = [
            dense(**{k: x[n : n + 1] if k in batched else x for k, x in given.items()})[1]
            for n in range(len(weight))
        ]
        found = {}
        for wrt in slopes:
            each = [w * row[wrt] for w, row in zip(weight, rows, strict=True)]
            found[wrt] = np.concatenate(each) if wrt in batched else np.sum(each, axis=0)
    return loss, found


def distance(got: Any, want: Any) -> float:
    """The largest difference in ULP of the largest number of its row; what is not finite is as
    it has to be."""
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
    got, want = (np.where(np.isfinite(x), x, 0.0) for x in (got, want))
    scale = np.max(np.abs(want), axis=-1, keepdims=True) if np.ndim(want) else np.abs(want)
    return float(np.max(np.abs(got - want) / np.spacing(np.maximum(np.abs(want), scale))))


def assert_as_dense(folder: Path, job: Job) -> None:
    value, slopes = expected(job)
    ranks = max(map(len, job.parts.values()))
    axes = ["N"] if job.reduction == "none" else []
    assert distance(together(folder, job, "loss", axes), value) <= 4 * ranks
    for wrt, slope in slopes.items():
        axes = [a.name for a in dict(job.dense.kernel.outputs)[wrt].tensor.axes]
        # The weights of the rows are rounded in other places.
        assert distance(together(folder, job, wrt, axes), slope) <= 4 * ranks, wrt


HARD = {
    "a": np.array(
        [
            [-INF, -INF, 1, 1],  # a rank without a finite logit
            [0, 1, NAN, 0],
            [-INF, 0, 0, 0],  # the target's logit, on the other rank
            [-INF, -INF, -INF, -INF],
            [1e308, -1e308, 0, 0],
        ]
    ),
    "y": np.array([3, 0, 0, 1, 3]),
}


def test_two_processes(tmp_path: Path) -> None:
    """Classes or samples in uneven parts; hard rows; an error on all; a process that dies."""
    wrong = {"a": np.zeros((3, 4)), "y": np.array([0, 4, 2])}
    jobs = {
        "labels": Job("softmax_cross_entropy", "index", {"K": [4, 3]}),
        "samples": Job("linear_softmax_cross_entropy", "dense", {"N": [4, 2]}, "mean"),
        "divergence": Job("kl_divergence", "dense", {"K": [4, 3]}),
        "margin": Job("arcface", "dense", {"K": [2, 5]}, "mean"),
        "weighted": Job("weighted_softmax_cross_entropy", "dense", {"K": [4, 3]}, "mean"),
        "smoothing": Job("label_smoothing", "index", {"K": [6, 1]}, "sum"),
        "hard": Job("softmax_cross_entropy", "index", {"K": [2, 2]}, given=HARD),
        "wrong": Job("softmax_cross_entropy", "index", {"K": [2, 2]}, given=wrong),
        "raises": Job("linear_softmax_cross_entropy", "index", {"K": [4, 3]}, raises=1),
        "dies": Job("softmax_cross_entropy", "index", {"K": [4, 3]}, dies=1),
    }
    run(tmp_path, jobs, 2)
    for name, job in jobs.items():
        if name not in ("wrong", "raises", "dies"):
            assert_as_dense(tmp_path / name, job)
    for rank in (0, 1):
        text = (tmp_path / "wrong" / f"error_{rank}.txt").read_text("utf-8")
        assert text == "ValueError: y: row 1 holds the label 4, expected 0 <= label < 4"
    assert (tmp_path / "raises" / "error_1.txt").read_text("utf-8") == "RuntimeError: of its own"
    assert "imed out" in (tmp_path / "raises" / "error_0.txt").read_text("utf-8")
    assert "Error" in (tmp_path / "dies" / "error_0.txt").read_text("utf-8")


def test_four_processes(tmp_path: Path) -> None:
    """An empty part; classes and samples both split."""
    jobs = {
        "classes": Job("linear_softmax_cross_entropy", "index", {"K": [3, 0, 1, 3]}),
        "both": Job("linear_softmax_cross_entropy", "index", {"K": [5, 2], "N": [2, 4]}, "mean"),
    }
    run(tmp_path, jobs, 4)
    for name, job in jobs.items():
        assert_as_dense(tmp_path / name, job)


def test_a_language_model_head_over_two_processes(root: Path) -> None:
    """The example: its losses are those of the model that one process holds whole."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, "--nproc-per-node", "2", "examples/sharded_head.py", "--steps", "24"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 all-reduces forward, 1 backward" in done.stdout
    assert "largest relative difference of the losses: " in done.stdout


SELF_TESTED = [
    ("label_smoothing", "index", ("K",)),
    ("weighted_softmax_cross_entropy", "dense", ("N",)),
    ("linear_softmax_cross_entropy", "dense", ("K",)),
]


@pytest.mark.parametrize(("name", "labels", "axes"), SELF_TESTED)
def test_a_file_checks_itself(
    name: str, labels: str, axes: tuple[str, ...], tmp_path: Path
) -> None:
    """Loss, gradients, second derivatives and bfloat16 on two processes, against differences."""
    kernel = build_sharded(derive.load(name), axes, "torch", labels=labels)
    path = tmp_path / next(iter(kernel.files))
    path.write_text(next(iter(kernel.files.values())), "utf-8")
    command = [sys.executable, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("checks on 2 processes, 0 failed")
    assert "second derivatives by" in done.stdout
