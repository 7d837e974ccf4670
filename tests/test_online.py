"""A maximum and the sums against it in one pass: which losses, and rows of many blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import codegen
import derive
from codegen.builder import KernelFunction
from codegen.schedule import Phase, schedule, schedule_lines

INF, NAN = np.inf, np.nan
BLOCK = 1024
SIZES = (1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7)
FOUND = ("focal", "label_smoothing", "kl_divergence", "distillation", "arcface")
DTYPES = (np.float32, np.float64)


def online(name: str) -> int:
    """How many maxima the schedule takes in one pass with the sums against them."""
    kernel = codegen.build(derive.load(name), "c").kernel
    phases = schedule(kernel, products=True, online=True).phases
    found = [p.online for p in phases if isinstance(p, Phase) and p.online]
    return sum(len(each.shifted) for each in found)


@pytest.mark.parametrize(
    ("name", "count"),
    [*((name, 2 if name == "distillation" else 1) for name in FOUND), ("mean_squared_error", 0)],
)
def test_the_schedule_decides(name: str, count: int) -> None:
    assert online(name) == count


def test_the_schedule_says_so() -> None:
    kernel = codegen.build(derive.load("focal"), "c").kernel
    lines = list(schedule_lines(schedule(kernel, online=True)))
    assert any("in the same pass, block by block" in line for line in lines)
    assert not any("block by block" in line for line in schedule_lines(schedule(kernel)))


def rows(size: int, dtype: type, rng: np.random.Generator) -> Any:
    """Rows that rise, fall, tie over blocks, and begin or end in what is not finite."""
    z = (3 * rng.standard_normal((12, size))).astype(dtype)
    z[1].sort()
    z[2] = np.sort(z[2])[::-1]
    z[3, : size // 2] = -INF
    z[4, -1] = INF
    z[5, -1] = NAN
    z[6] = -INF
    z[7, [0, -1]] = 50
    z[8, 0] = INF
    z[9] += 1e4
    z[10] = np.finfo(dtype).min
    z[11] = np.linspace(-300, 300, size)
    return z


@pytest.fixture(scope="module")
def softmax() -> KernelFunction:
    loss = derive.load("softmax_cross_entropy")
    return codegen.build(loss, "c", wrt=["a"], labels="index")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_rows_of_many_blocks(softmax: KernelFunction, size: int, dtype: type) -> None:
    """Against the closed form in extended precision, to a few units in the last place."""
    rng = np.random.default_rng(size)
    a = rows(size, dtype, rng)
    y = rng.integers(0, size, len(a))
    loss, gradients = softmax(a=a, y=y)
    exact = a.astype(np.longdouble)
    with np.errstate(invalid="ignore"):
        e = np.exp(exact - exact.max(axis=1, keepdims=True))
    slope = e / e.sum(axis=1, keepdims=True)
    at = np.arange(len(a))
    with np.errstate(divide="ignore"):
        value = -np.log(slope[at, y])
    slope[at, y] -= 1
    bound = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(gradients["a"], slope, rtol=bound, atol=np.finfo(dtype).tiny)
    np.testing.assert_allclose(loss, value, rtol=bound, atol=bound)


@pytest.mark.parametrize("name", ["kl_divergence", "distillation"])
def test_other_losses_agree_with_whole_arrays(name: str) -> None:
    """NumPy's kernel has no blocks: it takes the true maximum first."""
    loss = derive.load(name)
    c, whole = (codegen.build(loss, target) for target in ("c", "numpy"))
    main, size = c.wrt[0], 3 * BLOCK + 7
    rng = np.random.default_rng(1)
    z = rows(size, np.float64, rng)
    given: dict[str, Any] = {main: np.clip(z / 9, -0.9, 0.9) if name == "arcface" else z}
    for other in c.kernel.inputs:
        if other.tensor.label is not None:
            given[other.name] = rng.integers(0, size, len(z))
        elif other.tensor.axes and other.name != main:
            q = rng.random(z.shape)
            given[other.name] = q / q.sum(axis=1, keepdims=True)
    value, slope = c(**given)
    other_value, other_slope = whole(**given)
    np.testing.assert_allclose(value, other_value, rtol=1e-12)
    for key in c.wrt:
        np.testing.assert_allclose(slope[key], other_slope[key], rtol=1e-11, atol=1e-14)
