"""Properties: convexity proved or refuted by numbers, gradients that sum to zero, limits."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
import sympy
from extra_losses import get
from flint import arb
from mpmath import mpf
from plain import DIGITS, run
from points import assert_same_value

import derive
from derive import Loss, gradient, parse
from derive.evaluate import Point, evaluate
from derive.limits import _by_parts
from derive.properties import Property, convexity, properties, sums_to_zero

CONVEX = [
    ("softmax_cross_entropy", "a"),
    ("sigmoid_cross_entropy", "z"),
    ("mean_squared_error", "z"),
    ("cross_entropy", "p"),
    ("kl_divergence", "z"),
    ("linear_softmax_cross_entropy", "b"),
    ("linear_sigmoid_cross_entropy", "w"),
    ("softplus_bce", "z"),
    ("log_cosh", "z"),
]
NOT_CONVEX = [
    ("softmax_mse", "a"),
    ("sigmoid_mse", "z"),
    ("entropy", "z"),
    ("products", "a"),
]


@pytest.mark.parametrize(("name", "wrt"), CONVEX)
def test_convexity_is_proved(name: str, wrt: str) -> None:
    found = convexity(get(name), wrt)
    assert found.status == "proved", found
    assert found.counterexample is None
    assert "is convex" in found.statement
    for step in found.steps[1:]:
        assert_same_value(found.loss, found.steps[0], step, seed=1)


def test_convexity_of_log_sum_exp_without_a_name_for_softmax() -> None:
    assert convexity(get("log_sum_exp"), "a").status == "proved"


@pytest.mark.parametrize(("name", "wrt"), NOT_CONVEX)
def test_convexity_is_refuted(name: str, wrt: str) -> None:
    found = convexity(get(name), wrt)
    assert found.status == "refuted", found
    assert found.counterexample is not None
    assert found.counterexample.true < 0
    curvature = along_a_line(get(name), wrt, found)
    assert curvature < 0
    assert abs(mpf(found.counterexample.true.str(40, radius=False)) - curvature) < mpf(10) ** -15


def number(value: Fraction) -> mpf:
    return mpf(value.numerator) / value.denominator


def along_a_line(loss: Loss, wrt: str, found: Property) -> mpf:
    """The second difference of the loss along v, by mpmath: v'Hv at the counterexample."""
    assert found.counterexample is not None
    sizes, values = found.counterexample.sizes, found.counterexample.point.values
    (direction,) = set(values) - {d.name for d in loss.declarations}
    name = loss.value.name
    with mpmath.workdps(DIGITS):
        step, ends = mpf(10) ** -12, []
        for way in (-1, 0, 1):
            moved = {
                place: mpf(value.numerator) / value.denominator
                + way
                * step
                * values[direction][place].numerator
                / values[direction][place].denominator
                for place, value in values[wrt].items()
            }
            ends.append(run(loss.text, sizes, {**values, wrt: moved})[name])
        return (ends[0] - 2 * ends[1] + ends[2]) / step**2


def test_convexity_of_cross_entropy_is_shown_as_a_variance() -> None:
    """v'Hv = sum p (v - sum p v)^2, as WORKED_EXAMPLES asks for."""
    found = convexity(get("softmax_cross_entropy"), "a")
    text = "sum(p[i]*(v[i] - sum(p[k]*v[k] for k in K))**2 for i in K)"
    assert found.steps[-1] == derive.parse_expression(found.loss, text)
    middle = "sum(p[i]*v[i]**2 for i in K) - sum(p[i]*v[i] for i in K)**2"
    assert found.steps[-2] == derive.parse_expression(found.loss, middle)


@pytest.mark.parametrize("body", ["x**3", "exp(x) - 3*x**2", "-x**2", "sin(x)", "x**4 - x**2"])
def test_what_is_not_convex_is_never_proved(body: str) -> None:
    assert convexity(parse(f"x: input\nL = {body}\n"), "x").status == "refuted"


@pytest.mark.parametrize("body", ["x**2", "exp(x)", "x**4", "3*x - 2", "softplus(x)", "exp(-2*x)"])
def test_what_is_convex_is_proved(body: str) -> None:
    assert convexity(parse(f"x: input\nL = {body}\n"), "x").status == "proved"


@pytest.mark.parametrize(
    ("name", "wrt", "status"),
    [
        ("softmax_cross_entropy", "a", "proved"),
        ("softmax_mse", "a", "proved"),
        ("entropy", "z", "proved"),
        ("kl_divergence", "z", "proved"),
        ("dense_focal", "a", "proved"),
        ("free_cross_entropy", "a", "proved"),
        ("smoothed", "a", "proved"),
        ("label_hinge", "a", "proved"),
        ("linear_softmax_cross_entropy", "b", "proved"),
        ("log_sum_exp", "a", "refuted"),
        ("cross_entropy", "p", "refuted"),
        ("products", "a", "refuted"),
        ("linear_softmax_cross_entropy", "x", "refuted"),
    ],
)
def test_gradient_sums_to_zero_where_a_shift_changes_nothing(
    name: str, wrt: str, status: str
) -> None:
    found = sums_to_zero(gradient(get(name), wrt))
    assert found.status == status
    assert (found.counterexample is not None) == (status == "refuted")
    if found.counterexample is not None:
        assert 0 not in found.counterexample.true


@pytest.mark.parametrize(
    ("name", "up", "down"),
    [
        ("sigmoid_cross_entropy", "1 - y", "-y"),
        ("sigmoid_mse", "0", "0"),
        ("softplus_bce", "1 - t", "-t"),
        ("log_cosh", "1", "-1"),
    ],
)
def test_saturation_limits(name: str, up: str, down: str) -> None:
    """dCE/ds = p - y does not vanish as p -> 0 or 1; dMSE/ds = (p - y) p (1 - p) does."""
    loss = get(name)
    found = [item for item in properties(loss, "z") if item.name == "saturation"]
    limits = {item.statement.rsplit(" -> ")[-1]: item.steps[-1] for item in found}
    assert limits == {
        "infinity": derive.parse_expression(loss, up),
        "-infinity": derive.parse_expression(loss, down),
    }


def test_limits_agree_with_numbers() -> None:
    """The gradient at +-80 is within 1e-30 of its limit."""
    loss = get("sigmoid_mse")
    derivation = gradient(loss, "z")
    for at in (-80, 80):
        here = Point({}, {"z": {(): Fraction(at)}, "y": {(): Fraction(1, 3)}})
        assert abs(evaluate(loss, derivation.result, here)) < arb("1e-30")


def test_properties_of_a_vector_and_of_a_number() -> None:
    names = [item.name for item in properties(get("softmax_cross_entropy"), "a")]
    assert names == ["gradient sums to zero", "gradient bounds", "convexity", "Lipschitz"]
    names = [item.name for item in properties(get("sigmoid_mse"), "z")]
    assert names == ["gradient bounds", "saturation", "saturation", "convexity"]


@pytest.mark.parametrize(
    ("name", "wrt", "constant"),
    [
        ("softmax_cross_entropy", "a", "1"),  # sum p v^2 <= sum v^2
        ("sigmoid_cross_entropy", "z", "1/4"),  # p (1 - p) <= 1/4
        ("mean_squared_error", "z", "1"),
        ("log_cosh", "z", "1"),
    ],
)
def test_lipschitz_bound_is_proved_and_holds(name: str, wrt: str, constant: str) -> None:
    found = [item for item in properties(get(name), wrt) if item.name == "Lipschitz"]
    assert [item.statement for item in found] == [
        f"the gradient in {wrt} is Lipschitz with constant {constant}"
    ]


@pytest.mark.parametrize("name", ["poisson", "gamma"])
def test_an_unbounded_curvature_has_no_lipschitz_bound(name: str) -> None:
    assert "Lipschitz" not in [item.name for item in properties(get(name), "z")]


Z, Y = sympy.Symbol("z", real=True), sympy.Symbol("y", real=True)
D = sympy.Symbol("d", positive=True)


@pytest.mark.parametrize("end", [sympy.oo, -sympy.oo])
@pytest.mark.parametrize(
    "expr",
    [
        sympy.exp(Z) - Y,
        -sympy.tanh(Y - Z),
        1 / (sympy.exp(Z) + 1),
        (Y + sympy.exp(-Z)) ** 2,
        D * Z,
        (Z - Y) ** 3,
        sympy.exp(-D * Z),
        D * sympy.atan(Z),
        (1 / Z) ** D,
        1 / (Z**2 + 1),
    ],
)
def test_a_limit_put_together_is_that_of_sympy(expr: sympy.Expr, end: sympy.Expr) -> None:
    found = _by_parts(expr, Z, end)
    assert found is not None
    assert found == sympy.limit(expr, Z, end)


@pytest.mark.parametrize(
    "expr", [Z - Z**2, Z * sympy.exp(-Z), (1 + 1 / Z) ** Z, Y * Z, 1 / (Y + 1 / Z), D**Z]
)
def test_no_limit_is_put_together_of_what_pulls_both_ways(expr: sympy.Expr) -> None:
    assert _by_parts(expr, Z, sympy.oo) is None
