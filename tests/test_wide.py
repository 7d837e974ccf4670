"""float32 in and out, float64 inside: every result is the exact one, rounded once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import codegen
import derive
from codegen.accuracy import measure

ROUNDED = 0.51
LOSSES = [
    "softmax_cross_entropy",
    "sigmoid_cross_entropy",
    "focal",
    "binary_focal",
    "kl_divergence",
    "jensen_shannon",
    "entropy",
    "log_cosh",
    "pseudo_huber",
    "poisson",
    "gamma",
    "tweedie",
    "ranknet",
    "cross_entropy",
    "distillation",
]


@pytest.mark.parametrize("target", ["numpy", "c"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_result_is_rounded_once(name: str, target: str) -> None:
    rows = list(measure(derive.load(name), (target,), ("float32",), accumulate="float64"))
    assert rows
    for row in rows:
        assert row.value_of_terms <= ROUNDED, row
        assert row.slope_of_terms <= ROUNDED, row


def test_without_it_float32_rounds_more_often() -> None:
    rows = measure(derive.load("focal"), ("numpy",), ("float32",))
    assert max(row.slope_of_terms for row in rows) > 1


@pytest.mark.parametrize("target", ["numpy", "c", "numba"])
def test_types_and_buffers_are_those_of_the_arguments(target: str) -> None:
    rng = np.random.default_rng(3)
    kernel = codegen.build(
        derive.load("softmax_cross_entropy"), target, dtype="float32", accumulate="float64"
    )
    a: Any = rng.normal(0, 3, (5, 4)).astype(np.float32)
    y: Any = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0]]
    loss, slopes = kernel(a=a, y=y)
    assert loss.dtype == slopes["a"].dtype == np.float32
    buffer = np.empty_like(a)
    _, same = kernel(a=a, y=y, out={"a": buffer})
    assert same["a"] is buffer
    np.testing.assert_array_equal(buffer, slopes["a"])
    mean, _ = kernel(a=a, y=y, reduction="mean")
    assert mean.dtype == np.float32 and mean.ndim == 0
    with pytest.raises(TypeError, match="one floating type"):
        kernel(a=a, y=y.astype(np.float64))
