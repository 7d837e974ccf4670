"""Run by test_triton_target.py in a process of its own, whose environment has TRITON_INTERPRET=1:
generated Triton modules as PyTorch's users call them.  Prints the name of what was checked."""

from __future__ import annotations

import itertools
import sys
import warnings
from importlib import import_module
from typing import Any

import torch

warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
own = torch.nn.functional.cross_entropy
REDUCTIONS = ("none", "sum", "mean")


def slope(loss: Any, by: Any) -> Any:
    """The gradient of a loss that something else weighs."""
    return torch.autograd.grad((loss * torch.linspace(1, 2, loss.numel())).sum(), by)[0]


def refused(call: Any, expected: str) -> None:
    try:
        call()
    except RuntimeError as error:
        assert expected in str(error), error
    else:
        raise AssertionError(f"no error: {expected}")


torch.manual_seed(0)
ours = import_module("weighted_softmax_cross_entropy").weighted_softmax_cross_entropy
logits = torch.randn(9, 5, dtype=torch.float64, requires_grad=True)
labels = torch.tensor([0, -100, 1, 2, -100, 3, 4, 4, 0])
weight = torch.rand(5, dtype=torch.float64)


def as_torch() -> None:
    """Loss and gradient by autograd in every reduction, as torch.nn.functional.cross_entropy."""
    marked = torch.where(labels == -100, 3, labels)
    for reduction, smoothing, mark in itertools.product(REDUCTIONS, (0.0, 0.3), (-100, 3)):
        options = {"ignore_index": mark, "label_smoothing": smoothing, "reduction": reduction}
        y = labels if mark == -100 else marked
        pair = [f(logits, y, weight=weight, **options) for f in (ours, own)]
        torch.testing.assert_close(pair[0], pair[1], rtol=1e-12, atol=1e-14)
        a, b = (slope(loss, logits) for loss in pair)
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)
        assert not a[y == mark].any()


def nothing() -> None:
    """The mean of nothing is NaN or 0, and its gradient 0."""
    ignored = torch.full((9,), -100)
    for empty, expected in (("nan", float("nan")), ("zero", 0.0)):
        loss = ours(logits, ignored, on_empty=empty)
        torch.testing.assert_close(loss.item(), expected, equal_nan=True)
        assert not slope(loss, logits).any()


def compiled() -> None:
    """As eager, forward and backward, through the traces of torch.compile."""
    for reduction in REDUCTIONS:

        def loss(a: Any, reduction: str = reduction) -> Any:
            return 3 * ours(a, labels, weight=weight, label_smoothing=0.1, reduction=reduction)

        other = torch.compile(loss, backend="aot_eager", fullgraph=True)
        for f in (lambda x: x, lambda x: slope(x, logits)):
            torch.testing.assert_close(f(other(logits)), f(loss(logits)), rtol=1e-14, atol=1e-15)


def second() -> None:
    """A second derivative is refused where it is taken, never left out."""
    for reduction in REDUCTIONS:
        loss = ours(logits, labels, reduction=reduction).sum()
        (first,) = torch.autograd.grad(loss, logits, create_graph=True)
        assert first.requires_grad
        both = loss + first.square().sum()
        refused(both.backward, "second derivatives")
    forward = lambda: torch.func.jvp(lambda a: ours(a, labels), (logits,), (logits,))  # noqa: E731
    refused(forward, "a: forward-mode derivatives")
    refused(
        lambda: torch.func.grad(lambda a: ours(a, labels))(logits.detach()), "use torch.autograd"
    )


def mapped() -> None:
    """vmap maps over logits and labels, one call of the kernel after another."""
    many, classes = logits.detach().expand(3, *logits.shape), labels.expand(3, *labels.shape)
    many = many * torch.arange(1, 4, dtype=many.dtype)[:, None, None]
    found = torch.func.vmap(lambda a, t: ours(a, t, weight=weight))(many, classes)
    rows = [ours(a, t, weight=weight) for a, t in zip(many, classes, strict=True)]
    torch.testing.assert_close(found, torch.stack(rows), rtol=1e-14, atol=0)


def others() -> None:
    """A gradient that was not derived is refused; autocast changes nothing."""
    try:
        ours(logits, labels, weight=weight.clone().requires_grad_())
    except ValueError as error:
        assert "weight: requires a gradient, and none was derived" in str(error)
    else:
        raise AssertionError("no error")
    name = "linear_softmax_cross_entropy_labels"
    linear = getattr(import_module(name), name)
    given = (torch.randn(4, 8), torch.randn(7, 8), torch.randn(7), torch.tensor([0, 1, 6, 2]))
    plain = linear(*given)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(plain, linear(*given))


for check in (as_torch, nothing, compiled, second, mapped, others):
    check()
    print(check.__name__)
