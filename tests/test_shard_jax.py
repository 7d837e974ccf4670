"""Generated kernels inside shard_map on four devices of a host, against the kernel of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import derive
from codegen.sharding import build_sharded

pytest.importorskip("jax")

PROGRAM = """
import importlib.util
import os
import sys

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
import jax
import jax.numpy as jnp
import numpy as np
from functools import partial
from jax.sharding import AxisType, PartitionSpec as P

sys.path[:0] = PATHS
import samples

import codegen
import derive
from codegen.sharding import build_sharded
from codegen.targets.target import python_module

jax.config.update("jax_enable_x64", True)
SIZES = {"N": 4, "K": 8, "D": 3}
CASES = [
    ("softmax_cross_entropy", "index", {"K": 4}, "none"),
    ("label_smoothing", "index", {"K": 4}, "mean"),
    ("weighted_softmax_cross_entropy", "dense", {"K": 2, "N": 2}, "mean"),
    ("linear_softmax_cross_entropy", "index", {"K": 2, "N": 2}, "mean"),
    ("linear_softmax_cross_entropy", "dense", {"N": 4}, "sum"),
]


def distance(got, want):
    scale = np.max(np.abs(want), axis=-1, keepdims=True) if np.ndim(want) else np.abs(want)
    return float(np.max(np.abs(got - want) / np.spacing(np.maximum(np.abs(want), scale))))


def checked(name, labels, split, reduction):
    loss = derive.load(name)
    kernel = build_sharded(loss, tuple(split), "jax", labels=labels)
    function = python_module(next(iter(kernel.files.values())))[kernel.program.name]
    kinds = (AxisType.Auto,) * len(split)
    mesh = jax.make_mesh(tuple(split.values()), tuple(split), axis_types=kinds)
    local = {s.local.name: s.axis.name for s in kernel.program.splits}
    specs = {
        g.name: P(*(local.get(a.name) for a in g.tensor.axes))
        for g in kernel.program.inputs
        if g.name != kernel.cotangent
    }
    dense = codegen.build(loss, labels=labels)
    given = {k: jnp.asarray(x) for k, x in samples.arrays(dense.loss, SIZES).items()}
    out = P("N" if "N" in split else None) if reduction == "none" else P()
    call = jax.shard_map(
        lambda given: function(**given, reduction=reduction),
        mesh=mesh, in_specs=(specs,), out_specs=out,
    )
    moved = {name: given[name] for name in kernel.wrt}
    value, back = jax.vjp(jax.jit(lambda moved: call(given | moved)), moved)
    (found,) = back(jnp.ones_like(value))
    want, slopes = dense(**given, reduction=reduction)
    assert distance(np.asarray(value), want) <= 16, (name, value, want)
    for wrt, slope in slopes.items():
        assert distance(np.asarray(found[wrt]), slope) <= 16, (name, wrt)
    return call, given


call, given = None, None
for case in CASES:
    print(case, file=sys.stderr)
    found = checked(*case)
    call, given = found if call is None else (call, given)
a = np.array([[-np.inf] * 4 + [1.0] * 4, [0.0] * 7 + [np.nan], [0.0] * 8, [0.0] * 8])
y = np.array([7, 0, 8, 3])
rows, back = jax.vjp(jax.jit(lambda a: call({"a": a, "y": y})), jnp.asarray(a))
(slope,) = back(jnp.ones_like(rows))
np.testing.assert_allclose(rows[np.array([0, 3])], np.log([4, 8]), rtol=1e-15)
assert np.isnan(rows[1]) and np.isnan(rows[2]) and np.all(np.isnan(slope[2]))
# Two messages and no more, forward and backward, as the docstring says and as with PyTorch.
both = jax.jit(lambda a, u: jax.vjp(lambda a: call({"a": a, "y": y}), a)[1](u))
program = both.lower(jnp.asarray(a), jnp.ones(4)).compile().as_text()
assert program.count(" all-reduce(") == 2, program
# The kernel of one device, over samples that are split.
kernel = codegen.build(derive.load("linear_softmax_cross_entropy"), "jax", labels="index")
module = python_module(kernel.source)
given = samples.arrays(kernel.loss, SIZES)
mesh = jax.make_mesh((4,), ("N",), axis_types=(AxisType.Auto,))
call = jax.shard_map(
    lambda x, W, b, y: jax.lax.pmean(
        module["linear_softmax_cross_entropy"](x, W, b, y, reduction="mean"), "N"
    ),
    mesh=mesh, in_specs=(P("N"), P(), P(), P("N")), out_specs=P(),
)
arrays = [jnp.asarray(given[name]) for name in ("x", "W", "b", "y")]
found = jax.jit(jax.grad(call, argnums=(0, 1, 2)))(*arrays)
_, slopes = kernel(**given, reduction="mean")
for wrt, slope in zip(("x", "W", "b"), found, strict=True):
    assert distance(np.asarray(slope), slopes[wrt]) <= 16, wrt
print("as on one device")
"""


def test_four_devices(root: Path) -> None:
    """Classes, samples and both; labels elsewhere; rows of NaN; a device without a finite logit."""
    program = PROGRAM.replace("PATHS", repr([str(root), str(root / "tests")]))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "as on one device"


@pytest.mark.parametrize(
    ("name", "labels", "axes"),
    [
        ("focal", "dense", ("K",)),
        ("linear_softmax_cross_entropy", "index", ("K", "N")),
    ],
)
def test_a_file_checks_itself(
    name: str, labels: str, axes: tuple[str, ...], tmp_path: Path
) -> None:
    """Parts of one size with NaN beyond the end: loss, gradients, second derivatives."""
    kernel = build_sharded(derive.load(name), axes, "jax", labels=labels)
    path = tmp_path / next(iter(kernel.files))
    path.write_text(next(iter(kernel.files.values())), "utf-8")
    command = [sys.executable, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "second derivatives by" in done.stdout
    assert done.stdout.rstrip().endswith("parts of one size that hold more than the whole")
