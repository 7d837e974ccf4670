"""Products with Hessians, as double backward of PyTorch gives them, against ball arithmetic.

Errors are in units in the last place of the largest of what a row of the Hessian and a direction
add up: the exact numbers, entry times entry.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flint import arb, ctx
from test_curvature_balls import CLASSES, MOST, REGIMES, drawn, point

import derive
from derive.evaluate import Evaluator
from derive.loss import Loss
from derive.point import Point

torch = pytest.importorskip("torch")
from test_torch_target import function  # noqa: E402

LOSSES = ["binary_focal", "focal", "pseudo_huber", "sigmoid_mse", "softmax_cross_entropy"]
LOSSES += ["softmax_mse"]


def product(loss: Loss, score: str, here: Point, along: Any) -> list[list[arb]]:
    """d2L/da_i da_j v_j of one row in balls, for each i and j."""
    found = derive.hessian(loss, score)
    first, second = found.wrt
    with ctx.workprec(2000):
        evaluate = Evaluator(loss, here)
        if not first.indices:
            return [[evaluate(found.result, {}) * arb(float(along))]]
        (i,), (j,) = first.indices, second.indices
        entry = [
            [evaluate(found.result, {i: a, j: b}) for b in range(CLASSES)] for a in range(CLASSES)
        ]
        directions = [arb(float(v)) for v in along]
        return [[h * v for h, v in zip(row, directions, strict=True)] for row in entry]


@pytest.mark.parametrize("name", LOSSES)
def test_products_keep_their_digits(name: str) -> None:
    loss = derive.load(name)
    score = next(d.name for d in loss.declarations if d.role == "input")
    target = next(d for d in loss.declarations if d.role == "target")
    consts = {d.name: float(d.default) for d in loss.declarations if d.role == "const"}
    for regime in REGIMES:
        scores, y = drawn(loss, score, target.name, regime)
        y = np.eye(CLASSES)[y.astype(int)] if target.domain.kind == "simplex" else y
        along = np.random.default_rng(5).normal(size=scores.shape)
        z = torch.tensor(scores, requires_grad=True)
        labels = torch.tensor(y).long() if target.tensor.label is not None else torch.tensor(y)
        value = function(name)(z, labels, reduction="none").sum()
        (slope,) = torch.autograd.grad(value, z, create_graph=True)
        (found,) = torch.autograd.grad((slope * torch.tensor(along)).sum(), z)
        for n, got in enumerate(found.numpy()):
            here = point(loss, {score: scores[n], target.name: y[n], **consts})
            exact = product(loss, score, here, along[n])
            for mine, terms in zip(np.atleast_1d(got), exact, strict=True):
                largest = max(abs(float(term.mid())) for term in terms)
                with ctx.workprec(2000):
                    error = arb(float(mine)) - sum(terms, arb(0))
                unit = np.spacing(max(largest, np.finfo(float).tiny))
                assert abs(float(error.mid())) <= MOST * unit, regime
