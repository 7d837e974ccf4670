"""The weighted losses are those of torch.nn.functional: in every reduction, gradients too."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import codegen
import derive
from codegen.builder import KernelFunction

torch = pytest.importorskip("torch")
reductions = pytest.mark.parametrize("reduction", ["none", "sum", "mean"])


# NumPy for every number of classes; the GPU's kernels, in their interpreter, for few and for more.
CLASSES = [*(("numpy", classes) for classes in range(2, 11)), ("triton", 2), ("triton", 10)]


@cache
def kernel(name: str, target: str = "numpy") -> KernelFunction:
    if target == "triton":
        pytest.importorskip("triton")
    return codegen.build(derive.load(name), target)


def slope(value: Any, variable: Any) -> Any:
    (found,) = torch.autograd.grad(value.sum(), variable)
    return found.numpy()


@reductions
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("target", "classes"), CLASSES)
def test_cross_entropy(target: str, classes: int, smoothing: float, reduction: str) -> None:
    """Ours with NaN in the ignored rows, where torch's own gradient is NaN with smoothing."""
    random = np.random.default_rng(classes)
    a, t = 3 * random.normal(size=(12, classes)), random.integers(0, classes, 12)
    weight = random.uniform(0, 2, classes)
    t[::5] = -100
    given = torch.tensor(a, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        given,
        torch.tensor(t),
        torch.tensor(weight),
        label_smoothing=smoothing,
        reduction=reduction,
    )
    a[::5] = np.nan
    loss, found = kernel("weighted_softmax_cross_entropy", target)(
        a=a, t=t, weight=weight, label_smoothing=smoothing, reduction=reduction
    )
    np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(found["a"], slope(expected, given), rtol=1e-10, atol=1e-15)


@reductions
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", ["numpy", "triton"])
def test_binary_cross_entropy_with_logits(target: str, weighted: bool, reduction: str) -> None:
    """A sample is a row here: torch's mean also divides by the number of labels in it."""
    random = np.random.default_rng(3)
    z, y = 3 * random.normal(size=(12, 5)), random.uniform(size=(12, 5))
    weight, positive = random.uniform(0.1, 2, (2, 5))
    given = torch.tensor(z, requires_grad=True)
    consts = {"weight": weight, "pos_weight": positive} if weighted else {}
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        given,
        torch.tensor(y),
        reduction=reduction,
        **{name: torch.tensor(value) for name, value in consts.items()},
    )
    if reduction == "none":
        expected = expected.sum(dim=1)
    share = 5 if reduction == "mean" else 1
    k = kernel("weighted_sigmoid_cross_entropy", target)
    loss, found = k(z=z, y=y, reduction=reduction, **consts)
    np.testing.assert_allclose(loss / share, expected.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(found["z"] / share, slope(expected, given), rtol=1e-10, atol=1e-15)
