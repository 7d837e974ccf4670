"""Bounds of divergences and entropies: what is claimed holds, and what is false is not claimed.

Values at random points, by mpmath from the loss file's own text, are the truth.
"""

from __future__ import annotations

import re
from itertools import pairwise

import mpmath
import pytest
import sympy
from plain import DIGITS, run

import derive
from derive import Loss, parse
from derive.evaluate import evaluate
from derive.properties import Property, bounds, value_bounds
from derive.sampling import points

TWO = "p: input[K] in simplex\nq: target[K] in simplex\n"
FREE = "p: input[K] > 0\nq: target[K] > 0\n"
ONE = "z: input\ny: target in unit\np = sigmoid(z)\n"
SOFTMAX = "p[i] = exp(z[i])/sum(exp(z[k]) for k in K)\n"
HOLDS = {
    "apart": (
        TWO + "L = sum(q[i]*log(q[i]) for i in K) - sum(q[i]*log(p[i]) for i in K)\n",
        "L >= 0",
    ),
    "both ways": (TWO + "L = sum((p[i] - q[i])*log(p[i]/q[i]) for i in K)\n", "L >= 0"),
    "scaled": (TWO + "c: const >= 0\nL = c*sum(q[i]*log(q[i]/p[i]) for i in K)\n", "L >= 0"),
    "of no sum": (FREE + "L = sum(q[i]*log(q[i]/p[i]) - q[i] + p[i] for i in K)\n", "L >= 0"),
    "of two events": (ONE + "L = y*log(y/p) + (1 - y)*log((1 - y)/(1 - p))\n", "L >= 0"),
    "of a ratio": ("p: input > 0\nq: target > 0\nL = q/p - log(q/p) - 1\n", "L >= 0"),
    "less a little": (TWO + "L = sum(q[i]*log(q[i]/p[i]) for i in K) - 1/8\n", "L >= -1/8"),
    "over a batch": (
        "z: input[N, K]\ny: target[N, K] in simplex\n"
        "p[n, i] = exp(z[n, i])/sum(exp(z[n, k]) for k in K)\n"
        "L = sum(y[n, i]*log(y[n, i]/p[n, i]) for n in N for i in K)/N\n",
        "L >= 0",
    ),
    "of three": (
        "z: input[K]\ny: target[K] in simplex\nw: target[K] in simplex\n"
        + SOFTMAX
        + "m[i] = (p[i] + y[i] + w[i])/3\n"
        "L = sum(p[i]*log(p[i]/m[i]) + y[i]*log(y[i]/m[i]) + w[i]*log(w[i]/m[i]) for i in K)/3\n",
        "0 <= L <= log(3)",
    ),
}
# What looks like a divergence and has no such bound.
FALSE = {
    "sums unknown": FREE + "L = sum(q[i]*log(q[i]/p[i]) for i in K)\n",
    "p sums to anything": "p: input[K] in unit\nq: target[K] in simplex\n"
    "L = sum(q[i]*log(q[i]/p[i]) for i in K)\n",
    "negated": TWO + "L = -sum(q[i]*log(q[i]/p[i]) for i in K)\n",
    "of any sign": TWO + "c: const\nL = c*sum(q[i]*log(q[i]/p[i]) for i in K)\n",
    "weighted by entry": TWO + "w: const[K] >= 0\nL = sum(w[i]*q[i]*log(q[i]/p[i]) for i in K)\n",
    "half of two events": ONE + "L = y*log(y/p)\n",
    "guarded": TWO + "t: target in K\nL = sum(q[i]*log(q[i]/p[i]) for i in K if i != t)\n",
    "swapped weights": TWO + "L = sum(q[i]*log(q[i]) - p[i]*log(p[i]) for i in K)\n",
}
# Cross-entropies that are not least at the entropy of a target.
NOT_ENTROPY = {
    "weighted": TWO + "w: const[K] >= 0\nL = -sum(w[i]*q[i]*log(p[i]) for i in K)\n",
    "doubled": TWO + "L = -2*sum(q[i]*log(p[i]) for i in K)\n",
    "p sums to anything": "p: input[K] in unit\nq: target[K] in simplex\n"
    "L = -sum(q[i]*log(p[i]) for i in K)\n",
    "two of them": TWO
    + "r: input[K] in simplex\ns: target[K] in simplex\n"
    + "L = -sum(q[i]*log(p[i]) for i in K) - sum(s[i]*log(r[i]) for i in K)\n",
    "of two weights": ONE + "c: const in unit\nL = -c*y*log(p) - (1 - y)*log(1 - p)\n",
}


def values(loss: Loss, count: int = 60) -> list[mpmath.mpf]:
    found = []
    for point, _ in zip(points(loss), range(count), strict=False):
        with mpmath.workdps(DIGITS):
            try:
                value = run(loss.text, point.sizes, point.values)[loss.value.name]
            except (ValueError, ZeroDivisionError):
                continue  # a logarithm of 0
            if mpmath.isfinite(value):
                found.append(value)
    return found


def chain_holds(loss: Loss, found: Property) -> int:
    """At how many points every expression of the chain was at most the next."""
    seen = 0
    for point, _ in zip(points(loss), range(40), strict=False):
        try:
            steps = [evaluate(loss, step, point) for step in found.steps]
        except (derive.PminusyError, ValueError, ZeroDivisionError):
            continue
        if all(step.is_finite() for step in steps):
            seen += 1
            assert not any(one > two for one, two in pairwise(steps)), point
    return seen


@pytest.mark.parametrize("case", HOLDS)
def test_a_divergence_is_bounded(case: str) -> None:
    text, expected = HOLDS[case]
    loss = parse(text, "case")
    found = value_bounds(loss)
    assert found.status == "proved"
    assert found.statement.startswith(f"{expected}, since log u <= u - 1")
    assert found.relation == "<="
    assert chain_holds(loss, found) > 3
    least = sympy.Rational(found.steps[0])
    assert min(values(loss)) > mpmath.mpf(least.p) / least.q - 1e-12


@pytest.mark.parametrize("case", FALSE)
def test_a_bound_that_does_not_hold_is_not_claimed(case: str) -> None:
    loss = parse(FALSE[case], "case")
    found = value_bounds(loss)
    assert found.status != "proved", found.statement
    # The case is a fair one: the loss does go below 0.
    assert min(values(loss, 200)) < 0


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("kl_divergence", "L >= 0"),
        ("distillation", "L >= 0"),
        ("jensen_shannon", "0 <= L <= -((1 - b)*log(1 - b)) - b*log(b)"),
        ("entropy", "0 <= H <= log(K)"),
    ],
)
def test_bounds_of_the_library(name: str, statement: str) -> None:
    loss = derive.load(name)
    found = value_bounds(loss)
    assert (found.status, found.statement.partition(", since ")[0]) == ("proved", statement)
    assert chain_holds(loss, found) > 10


@pytest.mark.parametrize(
    ("name", "of", "at"),
    [
        ("cross_entropy", "y", "p is y"),
        ("softmax_cross_entropy", "y", "p is y"),
        ("sigmoid_cross_entropy", "y", "p is y"),
        ("label_smoothing", "q", "p is q"),
    ],
)
def test_a_cross_entropy_is_at_least_an_entropy(name: str, of: str, at: str) -> None:
    loss = derive.load(name)
    _, found = bounds(loss)
    assert found.name == "entropy bound"
    assert re.search(rf"at least the entropy of {of}, which it is where {at}\b", found.statement)
    assert chain_holds(loss, found) > 5


@pytest.mark.parametrize("case", NOT_ENTROPY)
def test_no_entropy_is_claimed_of_another_sum(case: str) -> None:
    assert len(bounds(parse(NOT_ENTROPY[case], "case"))) == 1


def test_a_label_or_an_entropy_has_no_entropy_below() -> None:
    assert len(bounds(derive.load("focal"))) == len(bounds(derive.load("entropy"))) == 1
