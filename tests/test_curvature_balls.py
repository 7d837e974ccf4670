"""Second derivatives of boosting objectives, entry by entry, against ball arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

import codegen
import derive
from codegen.objectives import fits
from derive.errors import KernelError
from derive.evaluate import Evaluator
from derive.loss import Loss
from derive.point import Point

CLASSES, ROWS, MOST = 4, 8, 64
# Regime: the spread of the scores, and by how much the target's score lies above the others.
REGIMES = {"moderate": (1.0, 0.0), "small": (1e-4, 0.0), "above": (1.0, 20.0), "below": (1.0, -20)}
# No rule of stability keeps the digits of these yet: differences that cancel far from 0.
OPEN = {
    *("binary_focal", "jensen_shannon", "pseudo_huber", "sigmoid_mse", "softmax_mse"),
    "total_variation",
}


FITTING = [name for name in derive.library() if fits(derive.load(name))]
CASES = [pytest.param(n, marks=[pytest.mark.xfail] if n in OPEN else []) for n in FITTING]


def drawn(loss: Loss, score: str, target: str, regime: str) -> tuple[Any, Any]:
    """Scores and targets of a regime."""
    random, (spread, above) = np.random.default_rng(3), REGIMES[regime]
    domain = loss.declared[target].domain
    if loss.tensor(score).axes:
        y = random.integers(0, CLASSES, ROWS).astype(float)
        scores = random.normal(size=(ROWS, CLASSES)) * spread
        scores[np.arange(ROWS), y.astype(int)] += above
        return scores, y
    bits, numbers = random.integers(0, 2, ROWS), random.normal(size=ROWS)
    y = np.abs(numbers) + 0.1 if domain.lower is not None else numbers * spread
    y = {"binary": bits, "unit": bits, "sign": 2 * bits - 1}.get(domain.kind, y).astype(float)
    return random.normal(size=ROWS) * spread + above, y


def diagonal(loss: Loss, score: str, values: dict[str, Any]) -> list[arb]:
    """d2L/da_i^2 of one row in balls; a label is a distribution where the loss wants one."""
    found = derive.hessian(loss, score)
    first, second = found.wrt
    sizes = {axis.name: CLASSES for axis in loss.axes}
    exact = {
        name: {at: Fraction(float(array[at])) for at in np.ndindex(np.shape(array))}
        for name, array in ((name, np.asarray(value)) for name, value in values.items())
    }
    with ctx.workprec(2000):
        evaluate = Evaluator(loss, Point(sizes, exact))
        if not first.indices:
            return [evaluate(found.result, {})]
        (i,), (j,) = first.indices, second.indices
        return [evaluate(found.result, {i: k, j: k}) for k in range(CLASSES)]


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_keep_their_digits(name: str) -> None:
    loss = derive.load(name)
    try:
        f = codegen.objective(loss, hessian="exact")
    except KernelError as error:
        assert "its second derivative is 0 everywhere" in str(error)
        (score,) = (d.name for d in loss.declarations if d.role == "input")
        assert derive.hessian(loss, score).result == 0
        return
    score, target = (given.name for given in f.kernel.inputs[:2])
    consts = {d.name: float(d.default) for d in loss.declarations if d.role == "const"}
    soft = loss.declared[target].domain.kind == "simplex"
    for regime in REGIMES:
        scores, y = drawn(loss, score, target, regime)
        for row, label, found in zip(scores, y, f(scores, y)[2], strict=True):
            given = np.eye(CLASSES)[int(label)] if soft else label
            exact = diagonal(loss, score, {score: row, target: given, **consts})
            for got, ball in zip(np.atleast_1d(found), exact, strict=True):
                unit = np.spacing(max(abs(float(ball.mid())), np.finfo(float).tiny))
                assert abs(float((arb(float(got)) - ball).mid())) <= MOST * unit, regime
