"""Choices by an equality of real numbers that vary: it holds on no interval.

The truth is a central difference of the loss in plain mpmath, at points on the equality too.
"""

from __future__ import annotations

from fractions import Fraction as F
from itertools import product
from random import Random
from typing import Any

import mpmath
import numpy as np
import pytest
from plain import DIGITS, STEP, claimed, run, slope
from sympy import S

import codegen
from derive import check, edges, gradient, hessian, load, parse
from derive.index import Choice, Condition, Entry
from derive.printing import language
from derive.sampling import points

X = "x: input\ny: target\n"
V = "x: input[K]\ny: target[K]\nt: target in K\n"
CLOSE = mpmath.mpf(10) ** -8

# (loss, the gradient by x, values of x to try)
SCALAR = [
    ("L = 3*x if x == 0 else x**2", "2*x", (0, 1)),
    ("L = x**2 if x != 0 else 3*x", "2*x", (0, 1)),
    ("L = (x - 1)**2 if x != 1 else 0", "2*x - 2", (1, 2)),
    ("L = 3*x if abs(x) == 0 else x**2", "2*x", (0, -1)),
    ("L = 3*x if x**2 <= 0 else x**2", "2*x", (0, -1)),
    ("L = 3*x if x == 0 or y > 0 else x**2", "3 if y > 0 else 2*x", (0, 1)),
    ("L = 3*x if x == 0 and y > 0 else x**2", "2*x", (0, 1)),
    ("L = 3*x if not (x != 0 or y == 2) else x**2", "2*x", (0, 1)),
    ("L = 5*x if x*y == 0 else x**2", "5 if y == 0 else 2*x", (0, 1)),
    ("u = x - 1\nL = x if u == 0 else 2*x - 1", "2", (1, 2)),
    ("u = x*y\nL = 3*u if u == 0 else u**2", "2*u*y", (0, 1)),
    ("L = (x**3 - x)*(y if abs(x) == 1 else x + y)", "", (1, -1, 2)),
    ("L = x if (x - y)**2 <= 0 else y", "0", (0, 1)),
    # Whatever y is, the equality holds on an interval: a branch as any other.
    ("L = 5*x if y == 0 else x**2", "5 if y == 0 else 2*x", (0, 1)),
    ("L = 3*x if relu(x) == 0 else x**2 + 3*x", "", (-1, 1)),
    # A point cut out where the other branch has no value: the slope is the limit.
    ("L = (exp(x) - 1)/x if x != 0 else 1", "", (0, 1)),
    ("L = sinh(x)/x if x != 0 else 1", "", (0, 1)),
    ("L = (exp(x) - 1 - x)/x**2 if x != 0 else 1/2", "", (0, 1)),
    ("L = log(1 + x**2)/x if x != 0 else 0", "", (0, 1)),
    ("L = (exp(x*y) - 1)/x if x != 0 else y", "", (0, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected", "tries"), SCALAR)
def test_the_slope_is_true_on_the_equality_too(
    text: str, expected: str, tries: tuple[int, ...]
) -> None:
    loss = parse(X + text)
    derivation = gradient(loss, "x")
    derivation.replay()
    assert all(step.check != "unknown" for step in derivation.all_steps())
    if expected:
        assert derivation.formula == expected
    for x in tries:
        for y in (0, 1, -2):
            values = {"x": {(): F(x)}, "y": {(): F(y)}}
            assert_slope(X + text, {}, values, ("x", ()), derivation.formula, {})
    assert check(loss, "x", derivation.formula).status == "proved"


TERMS = ("x", "x**2", "exp(x)", "x*y", "x*z + y", "3", "x - y", "x**3 - x", "abs(x)", "relu(x)")
TESTS = (
    *("x == 0", "x != 1", "x == y", "x*y == 0", "x != 2*y - 1", "y == 0", "y > 0", "x > 0"),
    *("x**2 > 0", "x**2 == 1", "x*y + z == 0", "abs(x) == 1", "x*(x - 1) == 0", "relu(x) == 0"),
    *("(x - y)**2 <= 0", "u == 0", "u != y"),
)
NAMED = ("x - 1", "x*y", "x", "relu(x)", "x**2 - y")


def test_choices_at_random() -> None:
    """Wherever the loss has a slope it is the derived one, on every equality too."""
    random = Random(8)
    for _ in range(30):
        one, two, front = (random.choice(TERMS) for _ in range(3))
        test, more = random.choice(TESTS), random.choice(TESTS)
        both = f"{test} {random.choice(('and', 'or'))} {more}"
        choice = f"({one} if {random.choice((test, both, f'not ({both})'))} else {two})"
        text = f"u = {random.choice(NAMED)}\nL = ({front}){random.choice('+*')}{choice}"
        formula = gradient(parse(f"{X}z: target\n{text}"), "x").formula
        for x, y, z in product((0, 1, -1, F(1, 2)), (0, 1, -2), (0, 2)):
            values = {"x": {(): F(x)}, "y": {(): F(y)}, "z": {(): F(z)}}
            with mpmath.workdps(DIGITS):
                ends = [loss_at(f"{X}z: target\n{text}", values, way) for way in (-1, 0, 1)]
                low, high = (ends[1] - ends[0]) / STEP, (ends[2] - ends[1]) / STEP
                found = claimed(f"{X}z: target\n{text}", {}, values, formula, {})
            smooth = abs(low - high) < CLOSE
            assert not smooth or abs(found - low) < CLOSE * (1 + abs(low)), (text, values, formula)


def loss_at(text: str, values: dict[str, Any], way: int) -> Any:
    x = mpmath.mpf(values["x"][()].numerator) / values["x"][()].denominator
    return run(text, {}, {**values, "x": {(): x + way * STEP}})["L"]


ENTRIES = [
    ("L = sum(3*x[i] if x[i] == 0 else x[i]**2 for i in K)", "2*x[j]"),
    ("L = sum(x[i] for i in K if x[i] != 0)", "1"),
    ("L = sum((x[i] - y[i])**2 if x[i] != y[i] else 0 for i in K)", "2*x[j] - 2*y[j]"),
    ("L = sum((exp(x[i]) - 1)/x[i] if x[i] != 0 else 1 for i in K)", ""),
    ("d = sum((x[i] - y[i])**2 for i in K)\nL = d**2 if d != 0 else 0", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), ENTRIES)
def test_entries_and_guards_of_sums(text: str, expected: str) -> None:
    derivation = gradient(parse(V + text), "x")
    if expected:
        assert derivation.formula == expected
    letter = language(derivation.wrt[0].indices[0], derivation.loss, derivation.names)
    values = {
        "x": {(0,): F(0), (1,): F(1), (2,): F(3)},
        "y": {(0,): F(0), (1,): F(2), (2,): F(3)},
        "t": {(): F(1)},
    }
    for j in range(3):
        assert_slope(V + text, {"K": 3}, values, ("x", (j,)), derivation.formula, {letter: j})


def assert_slope(
    text: str,
    sizes: dict[str, int],
    values: dict[str, Any],
    variable: tuple[str, tuple[int, ...]],
    formula: str,
    letters: dict[str, int],
) -> None:
    with mpmath.workdps(DIGITS):
        true = slope(text, sizes, values, "L", [variable])
        found = claimed(text, sizes, values, formula, letters)
    assert abs(found - true) < CLOSE, (values, found, true)


# (loss, claim, verdict)
CLAIMS = [
    ("L = 3*x if x == 0 else x**2", "3 if x == 0 else 2*x", "refuted"),
    ("L = x**2 if x != 7/3 else 49/9", "2*x if x != 7/3 else 5", "refuted"),
    ("L = x**2 if x != y + 1/3 else (y + 1/3)**2", "2*x", "proved"),
    ("L = x**2", "2*x if 3*x != y + 1/7 else 5", "refuted"),
    ("L = 5*x if x*y == 0 else x**2", "2*x", "refuted"),
    ("L = 5*x if x*y == 0 else x**2", "5 if x*y == 0 else 2*x", "refuted"),
    ("L = (exp(x) - 1)/x if x != 0 else 1", "exp(x)/x - (exp(x) - 1)/x**2 if x != 0 else 0",
     "refuted"),
    ("L = 1 if x == 1 else 0", "0", "proved"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "claim", "status"), CLAIMS)
def test_claims(text: str, claim: str, status: str) -> None:
    assert check(parse(X + text), "x", claim).status == status


BOX_COX = "y: input > 0\nm: const\nL = (y**m - 1)/m if m != 0 else log(y)\n"
HYPER = "y: input\nm: const\nL = (exp(m*y) - 1)/m if m != 0 else y\n"


@pytest.mark.parametrize(
    ("text", "claim", "status"),
    [
        (BOX_COX, "y**(m - 1)", "proved"),
        (BOX_COX, "y**m/y if m != 0 else 1/y", "proved"),
        (BOX_COX, "y**(m - 1) if m != 0 else 1", "refuted"),
        (HYPER, "exp(m*y)", "proved"),
        (HYPER, "exp(m*y) + (1 if m == 0 else 0)", "refuted"),
        (HYPER, "exp(m*y) if m != 0 else 0", "refuted"),
    ],
)
def test_a_number_that_a_choice_asks_for(text: str, claim: str, status: str) -> None:
    """Where m is 0 the loss is another formula; what cancels an m elsewhere does not there."""
    assert check(parse(text), "y", claim).status == status


def test_a_jump_is_left_out_and_said_to_be() -> None:
    derivation = gradient(parse(X + "L = 1 if x == 1 else 0"), "x")
    assert derivation.formula == "0"
    assert any(step.check == "normal form off the kinks" for step in derivation.all_steps())


def test_a_value_put_in_where_there_is_none_is_kept() -> None:
    """Folding L back in would divide by x at x = 0."""
    derivation = gradient(parse(X + "L = (exp(x) - 1)/x if x != 0 else 1"), "x")
    assert Condition("!=", *derivation.result.args[0].operands) == derivation.result.args[0]


def test_two_classes_that_coincide() -> None:
    """x[i] == x[t] holds at i = t whatever x is, and almost nowhere else."""
    loss = parse(V + "L = sum((1 if x[i] == x[t] else 0)*x[i]**2 for i in K)")
    assert check(loss, "x[j]", "2*x[j] if j == t else 0").status == "proved"
    assert check(loss, "x[j]", "2*x[j]").status == "refuted"
    assert check(loss, "x[j]", "0").status == "refuted"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (X + "L = 3*x if x == 0 else x**3", "6*x"),
        (V + "L = sum(3*x[i] if x[i] == 0 else x[i]**3 for i in K)", "6*x[i]*delta(i, j)"),
    ],
)
def test_second_derivatives(text: str, expected: str) -> None:
    assert hessian(parse(text), "x").formula == expected


def test_a_guarded_distance_has_a_gradient_where_it_is_0() -> None:
    """(x - y)/L is 0/0 there: the guard stays, in the result and in the kernel."""
    text = "d = sum((x[i] - y[i])**2 for i in K)\nL = sqrt(d) if d != 0 else 0"
    loss = parse("x: input[K]\ny: target[K]\n" + text)
    assert "if d != 0 else 0" in gradient(loss, "x").formula
    one, two = np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([[1.0, 2.0], [4.0, 6.0]])
    _, found = codegen.build(loss)(x=one, y=two)
    assert np.allclose(found["x"], [[0.0, 0.0], [-0.6, -0.8]], rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("text", "slope_at_0"),
    [
        ("L = 3*x if x == 0 else x**2", 0.0),
        ("L = (exp(x) - 1)/x if x != 0 else 1", 0.5),
        ("L = sinh(x)/x if x != 0 else 1", 0.0),
    ],
)
def test_kernels_have_the_slope_on_the_equality(text: str, slope_at_0: float) -> None:
    _, found = codegen.build(parse("x: input\n" + text))(x=np.array([0.0, 1.0]))
    assert found["x"][0] == slope_at_0 and np.isfinite(found["x"][1])


def test_points_on_an_equality_where_a_label_is_ignored() -> None:
    """There an entry at the label has no number."""
    loss = load("weighted_softmax_cross_entropy")
    looked = Condition("==", loss.tensor("a")[Entry(loss.tensor("t"))], S.Zero)
    expr = Choice(looked, S.Zero, S.One)
    found = [p for point in points(loss, 2) for p in edges.upon(loss, expr, point, {})]
    assert found
