"""A shorter form is defined wherever the longer one is, in the formula and in the kernels."""

from __future__ import annotations

import numpy as np
import pytest

import codegen
import derive
from derive import parse
from derive.index import Condition, Total, walk

APART = "x: input[K]\nL = sum(log(abs(x[i] - x[j])) for i in K for j in K if i != j)\n"


def test_what_a_guard_leaves_out_need_not_be_defined() -> None:
    """sum_i 1/(x_r - x_i) keeps its guard: 1 - delta in front of 1/0 would be no number."""
    found = derive.gradient(parse(APART), "x")
    assert found.formula == "2*sum(1/(x[r] - x[i]) for i in K if i != r)"
    (inner,) = (node for node in walk(found.result) if isinstance(node, Total))
    assert isinstance(inner.args[2], Condition) and inner.args[2].op == "!="
    assert all(step.check.startswith("normal form") for step in found.steps)


@pytest.mark.parametrize("target", ["numpy", "c", "numba"])
def test_the_kernels_leave_it_out_too(target: str) -> None:
    x = np.array([[1.0, 2.5, 4.0], [0.25, -1.0, 7.0]])
    apart = x[:, :, None] - x[:, None, :] + np.where(np.eye(3), np.inf, 0.0)
    loss, slopes = codegen.build(parse(APART), target=target)(x=x)
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(loss, np.log(np.abs(apart[:, off])).sum(axis=1), rtol=1e-14)
    np.testing.assert_allclose(slopes["x"], (2 / apart).sum(axis=2), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        # 0 at 0 for g > 1/2, where 2*g*L/x is 0/0.
        ("(x**2)**g", "2*g*sign(x)*abs(x)**(2*g - 1)"),
        ("abs(x)**g", "g*sign(x)*abs(x)**(g - 1)"),
    ],
)
def test_no_division_by_what_was_not_divided_by(body: str, form: str) -> None:
    loss = parse(f"x: input\ng: const = 2\nL = {body}\n")
    assert derive.gradient(loss, "x").formula == form
    _, slopes = codegen.build(loss)(x=np.array([0.0, 1.0]), g=np.array(2.0))
    assert slopes["x"][0] == 0.0


def test_a_divisor_that_is_never_zero_may_be_new() -> None:
    """p = e/S is the shorter name of exp(a)/S, and dividing by S is no loss."""
    found = derive.gradient(derive.load("softmax_cross_entropy"), "a")
    assert found.formula == "p[j] - y[j]"
