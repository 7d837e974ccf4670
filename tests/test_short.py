"""Results are as short as a person would write them, and shortening keeps the value.

The forms are those of the literature, in the language of the loss files.  Two measures: the
symbols that the engine counts, and the words and signs of the printed text.
"""

from __future__ import annotations

import re
from fractions import Fraction
from random import Random

import pytest
from extra_losses import extra
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from points import assert_same_value, environments
from sympy import Expr, S

import derive
from derive.balls import Undetermined
from derive.evaluate import Point, evaluate
from derive.functions import absolute, largest, relu, signum, smallest, step
from derive.index import Choice, Condition, Delta, Entry, Index, Total, fresh, kinds, nodes, total
from derive.normal import NormalForm
from derive.normal.cases import ByCases
from derive.notation import parse_entry, parse_expression
from derive.printing import language
from derive.rules.fold import shallow
from derive.rules.gathered import gathered
from derive.rules.shorten import length

RISK = "sum(exp(z[k]) for k in N if t[k] >= t[i])"
TWO = "(1 if theta <= pi/2 else -1)"
FOUR = "(1 if theta <= pi/4 else -1 if theta <= pi/2 else 1 if theta <= 3*pi/4 else -1)"

# (loss, entry, form)
FORMS = [
    ("cross_entropy", "p[j]", "-y[j]/p[j]"),
    ("softmax_cross_entropy", "a[j]", "p[j] - y[j]"),
    (
        "weighted_softmax_cross_entropy",
        "a[j]",
        "0 if t == ignore_index else (1 - label_smoothing)*w*(p[j] - delta(j, t))"
        " + label_smoothing/K*(p[j]*sum(weight[k] for k in K) - weight[j])",
    ),
    (
        "weighted_sigmoid_cross_entropy",
        "z[j]",
        "weight[j]*(p[j]*(1 - y[j]) - pos_weight[j]*y[j]*(1 - p[j]))",
    ),
    ("linear_softmax_cross_entropy", "W[k, i]", "(p[k] - y[k])*x[i]"),
    ("linear_softmax_cross_entropy", "b[k]", "p[k] - y[k]"),
    ("linear_softmax_cross_entropy", "x[i]", "sum(W[k, i]*(p[k] - y[k]) for k in K)"),
    ("linear_sigmoid_cross_entropy", "w[j]", "(p - y)*x[j]"),
    ("sigmoid_cross_entropy", "z", "p - y"),
    ("mean_squared_error", "z", "z - y"),
    ("mean_absolute_error", "z", "sign(z - y)"),
    ("softmax_mse", "a[j]", "p[j]*(p[j] - y[j] - sum((p[i] - y[i])*p[i] for i in K))"),
    ("sigmoid_mse", "z", "(p - y)*p*(1 - p)"),
    ("huber", "z", "max(-d, min(d, r))"),
    ("pseudo_huber", "z", "r/sqrt(1 + r**2/d**2)"),
    ("log_cosh", "z", "tanh(z - y)"),
    ("quantile", "z", "(1 if r > 0 else 0) - tau"),
    ("expectile", "z", "2*abs(tau - (1 if r > 0 else 0))*r"),
    ("binary_focal", "z", "s*alpha*(1 - q)**gamma*(gamma*q*log(q) + q - 1)"),
    (
        "focal",
        "z[j]",
        "(gamma*p[t]*(1 - p[t])**(gamma - 1)*log(p[t]) - (1 - p[t])**gamma)*(delta(j, t) - p[j])",
    ),
    ("label_smoothing", "z[j]", "p[j] - q[j]"),
    ("kl_divergence", "z[j]", "p[j] - q[j]"),
    ("distillation", "z[j]", "T*(p[j] - q[j])"),
    ("entropy", "z[j]", "-p[j]*(log(p[j]) + H)"),
    ("jensen_shannon", "z[j]", "(1 - b)*p[j]*(log(p[j]/m[j]) - KL)"),
    (
        "total_variation",
        "z[j]",
        "p[j]*(sign(p[j] - y[j]) - sum(sign(p[i] - y[i])*p[i] for i in K))/2",
    ),
    ("hinge", "z", "-y*(1 if y*z < 1 else 0)"),
    ("squared_hinge", "z", "-2*y*max(0, 1 - y*z)"),
    (
        "multiclass_hinge",
        "z[j]",
        "(1 if 1 + z[j] - z[t] > 0 else 0) if j != t"
        " else -sum(1 if 1 + z[i] - z[t] > 0 else 0 for i in K if i != t)",
    ),
    ("poisson", "z", "exp(z) - y"),
    ("gamma", "z", "1 - y*exp(-z)"),
    ("tweedie", "z", "exp((2 - rho)*z) - y*exp((1 - rho)*z)"),
    ("dice", "z[j]", "-p[j]*(1 - p[j])*(2*y[j] - (2*I + eps)/S)/S"),
    (
        "tversky",
        "z[j]",
        "p[j]*(1 - p[j])*((1 - L)*(y[j] + alpha*(1 - y[j]) - beta*y[j]) - y[j])/S",
    ),
    ("info_nce", "z[i, j]", "(p[i, j] - delta(i, j))/(tau*N)"),
    ("info_nce", "U[n, r]", "(sum(p[n, j]*V[j, r] for j in N) - V[n, r])/(tau*N)"),
    ("triplet", "a[j]", "2*(n[j] - p[j])*(1 if L > 0 else 0)"),
    ("triplet", "p[j]", "2*(p[j] - a[j])*(1 if L > 0 else 0)"),
    ("triplet", "n[j]", "2*(a[j] - n[j])*(1 if L > 0 else 0)"),
    ("am_softmax", "c[j]", "s*(p[j] - delta(j, t))"),
    ("sm_softmax", "a[j]", "p[j] - delta(j, t)"),
    (
        "arcface",
        "c[j]",
        "s*(p[j] - delta(j, t))*(1 if j != t or theta > pi - m else sin(theta + m)/sin(theta))",
    ),
    (
        "l_softmax_2",
        "c[j]",
        f"s*(p[j] - delta(j, t))*(1 if j != t else 2*{TWO}*sin(2*theta)/sin(theta))",
    ),
    (
        "l_softmax_4",
        "c[j]",
        f"s*(p[j] - delta(j, t))*(1 if j != t else 4*{FOUR}*sin(4*theta)/sin(theta))",
    ),
    (
        "cox_partial_likelihood",
        "z[n]",
        f"sum(e[i]*exp(z[n])/{RISK} for i in N if t[n] >= t[i]) - e[n]",
    ),
    ("ranknet", "u", "-sigmoid(v - u)"),
    ("ranknet", "v", "sigmoid(v - u)"),
]
IDS = [f"{name} {entry}" for name, entry, _ in FORMS]


def words(text: str) -> int:
    """How many names, numbers and signs a text has."""
    return len(re.findall(r"\w+|\*\*|[-+*/]|[<>=!]=?", text))


@pytest.mark.parametrize(("name", "entry", "form"), FORMS, ids=IDS)
def test_as_short_as_the_literature(name: str, entry: str, form: str) -> None:
    loss = derive.load(name)
    variable = parse_entry(loss, entry)
    free = {index.name: index for index in variable.indices if isinstance(index, Index)}
    known = parse_expression(loss, form, free)
    result = derive.gradient(loss, variable).result
    text = language(result, loss)
    assert length(result) <= length(known), text
    assert words(text) <= words(language(known, loss)), text


@pytest.mark.parametrize(("name", "entry", "form"), FORMS, ids=IDS)
def test_the_form_of_the_literature_is_right(name: str, entry: str, form: str) -> None:
    verdict = derive.check(derive.load(name), entry, form)
    assert verdict.status == "proved", verdict


def test_every_loss_of_the_library_has_a_form() -> None:
    assert {name for name, _, _ in FORMS} == set(derive.library())


# (loss, entry, the result as it is printed)
EXTRA_FORMS = [
    (
        "small_numbers",
        "z[j]",
        "p[j]*(1 - p[j])*(y[j]*(1e-7 + TP + 3*FP/10 + 7*FN/10) - 3e-8 - 3*TP/10)"
        "/(1e-7 + TP + 3*FP/10 + 7*FN/10)**2 * (-1)",
    ),
    (
        "small_numbers",
        "x[j]",
        "y[j]/sqrt(s + 1e-5) - x[j]*sum(x[i]*y[i] for i in D)/D/(s + 1e-5)**(3/2)",
    ),
    ("contrastive", "u[j]", "(u[j] - v[j])*(d*y - (1 - y)*max(0, m - d))/d"),
    (
        "normalised",
        "x[j]",
        "(D*(z[j] - t[j]) - z[j]*sum(z[i]*(z[i] - t[i]) for i in D) + sum(t[i] for i in D))"
        "/(D*sqrt(1e-5 + v))",
    ),
    (
        "asymmetric",
        "z[j]",
        "p[j]*(1 - p[j])*((y[j] - 1)*(4*q[j]**3*log(1 - q[j]) - q[j]**4/(1 - q[j]))"
        " + y[j]*(log(p[j]) - (1 - p[j])/p[j]))",
    ),
]


@pytest.mark.parametrize(("name", "entry", "form"), EXTRA_FORMS)
def test_as_short_as_a_person_would(name: str, entry: str, form: str) -> None:
    loss = extra(name)
    variable = parse_entry(loss, entry)
    free = {index.name: index for index in variable.indices if isinstance(index, Index)}
    known = parse_expression(loss, form, free)
    text = language(derive.gradient(loss, variable).result, loss)
    assert len(text) <= len(language(known, loss)), text
    assert derive.check(loss, entry, form).status == "proved"


LOSS = derive.parse(
    "x: input\ny: input\nd: const >= 0\nc: const\ns: target in sign\na: input[K]\nb: input[K]\n"
    "t: target in K\nu: target in K\nL = x\n"
)


def read(text: str, letters: str = "j") -> Expr:
    axis = LOSS.tensor("a").axes[0]
    return parse_expression(LOSS, text, {letter: Index(letter, axis) for letter in letters})


def assert_same_at_ties(one: Expr, two: Expr, seed: int) -> None:
    """Equal where entries are small whole numbers, so that conditions meet their edges."""
    random = Random(seed)
    for _ in range(6):
        values = {}
        for declared in LOSS.declarations:
            places = [(k,) for k in range(3)] if declared.tensor.axes else [()]
            low = 0 if declared.tensor.label or declared.name == "d" else -1
            drawn = {place: Fraction(random.randint(low, low + 2)) for place in places}
            values[declared.name] = {(): Fraction(1)} if declared.name == "s" else drawn
        point = Point({"K": 3}, values)
        for env in environments(point.sizes, one, two):
            left, right = (evaluate(LOSS, side, point, env) for side in (one, two))
            assert left.overlaps(right), (one, two, point, env)


SHORTER = [
    # (before, after)
    ("x if x > 0 else 0", "relu(x)"),
    ("0 if x <= 0 else s*x", "s*relu(x)"),
    ("(1 if 1 - x > 0 else 0) * max(0, 1 - x)", None),
    ("y - (1 if d > x else 0) * c * max(0, d - x)", "y - c*max(0, d - x)"),
    ("y*(x - y) if x < y else 0", "-y*relu(y - x)"),
    ("x if x > 0 else -x", "abs(x)"),
    ("x if x >= y else y", "max(x, y)"),
    ("x if x >= y + 1 else y + 1", "max(x, y + 1)"),
    ("x if x <= y else y", "min(x, y)"),
    ("x if abs(x) <= d else d*sign(x)", "max(-d, min(d, x))"),
    ("d if x > d else -d if x < -d else x", "min(d, max(-d, x))"),
    ("2*exp(x) if y > 0 else -2*exp(x)", "2*exp(x)*(1 if y > 0 else -1)"),
    ("x + exp(y) if y > 0 else x", "x + (exp(y) if y > 0 else 0)"),
    ("(exp(x) if y > 0 else 1) if x > 0 else 1", "exp(x) if x > 0 and y > 0 else 1"),
    ("1 if x > 0 else (1 if y > 0 else exp(x))", "1 if x > 0 or y > 0 else exp(x)"),
    ("(x if y > 0 else c) + (exp(x) if y > 0 else 0)", "x + exp(x) if y > 0 else c"),
    ("(x if y > 0 else c) * (1 if y <= 0 else 0)", "0 if y > 0 else c"),
    ("sum(a[k]*(b[k] if a[k] > x else 0) for k in K)", "sum(a[k]*b[k] for k in K if a[k] > x)"),
    ("sum(a[k]*(0 if a[k] > x else b[k]) for k in K)", "sum(a[k]*b[k] for k in K if a[k] <= x)"),
    ("a[j]*exp(x) if j == t else a[j]", "a[j]*(exp(x) if j == t else 1)"),
    ("(a[t] - 1)*x if j == t else a[j]", "(a[j] - delta(j, t))*(x if j == t else 1)"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), SHORTER, ids=[before for before, _ in SHORTER])
def test_cases_are_gathered(before: str, after: str | None) -> None:
    expr = read(before)
    found = gathered(expr, shallow(LOSS))
    assert length(found) <= length(
        read(after) if after else largest(0, 1 - Entry(LOSS.tensor("x")))
    )
    for seed in range(4):
        assert_same_value(LOSS, expr, found, seed)
        assert_same_at_ties(expr, found, seed)


SAME = [
    # Nothing shorter has this value: not a clip, a ramp, a maximum, a guard.
    ("x if abs(x) <= c else c*sign(x)", (largest, smallest)),
    ("x if abs(x) <= d else -d*sign(x)", (largest, smallest)),
    ("x if y > 0 else 0", (relu, largest)),
    ("x if x > 1 else 0", (relu, largest)),
    ("x if x >= y else -y", (largest, smallest, absolute)),
    ("x if x > 1 else -x", (absolute,)),
    ("sum(a[k]*(b[k] if x > 0 else 1) for k in K)", ()),
]


def test_a_choice_stays_beside_a_factor_that_is_not_0_but_0_divided_by_0() -> None:
    loss = derive.parse("z: input\ng: const >= 2\nq = max(z, 0)\nL = q**g * log(1 + q)\n")
    second = derive.hessian(loss, "z")
    assert kinds(second.result) & {step, Choice}, second.formula
    assert all(each.check.startswith("normal form") for each in second.all_steps())


@pytest.mark.parametrize(("before", "never"), SAME, ids=[before for before, _ in SAME])
def test_what_only_looks_alike_is_left(before: str, never: tuple[type, ...]) -> None:
    expr = read(before)
    found = gathered(expr, shallow(LOSS))
    assert not (kinds(found) - kinds(expr)) & set(never), found
    assert all(node.args[2] == expr.atoms(Total).pop().args[2] for node in found.atoms(Total))
    for seed in range(4):
        assert_same_value(LOSS, expr, found, seed)
        assert_same_at_ties(expr, found, seed)


X, Y, C, SIGN, T, U = (Entry(LOSS.tensor(name)) for name in "xycstu")
A, B = LOSS.tensor("a"), LOSS.tensor("b")
J, K_AXIS = Index("j", A.axes[0]), A.axes[0]


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    if draw(st.booleans()):
        return Condition(draw(st.sampled_from(["==", "!="])), J, draw(st.sampled_from([T, U])))
    sides = st.sampled_from([X, Y, C, A[J], X - Y, Y - X, S.Zero, S.One, absolute(X)])
    operator = draw(st.sampled_from(["<", "<=", ">", ">="]))
    return Condition(operator, draw(sides), draw(sides))


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> Expr:
    leaves = [X, Y, C, A[J], A[T], B[J], Delta(J, T), S.One, S.Zero, S(2)]
    if depth == 0:
        return draw(st.sampled_from(leaves))
    below = expressions(depth=depth - 1)
    kind = draw(st.sampled_from(["+", "*", "if", "if", "f", "sum", "and"]))
    if kind == "+":
        return draw(below) + draw(below)
    if kind == "*":
        return draw(below) * draw(below)
    if kind == "f":
        one = draw(st.sampled_from([relu, step, absolute, signum]))
        return one(draw(st.sampled_from([X, X - Y, Y - X, A[J], 1 - X]))) * draw(below)
    if kind == "sum":
        index = fresh(K_AXIS)
        inner = Choice(Condition(">", B[index], X), draw(below), S.Zero)
        return total(index, inner * A[index])
    test = draw(conditions())
    if kind == "and":
        test = Condition(draw(st.sampled_from(["and", "or"])), test, draw(conditions()))
    return Choice(test, draw(below), draw(below))


@given(expressions(), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_gathering_keeps_the_value_and_never_lengthens(expr: Expr, seed: int) -> None:
    found = gathered(expr, shallow(LOSS))
    assert length(found) <= length(expr)
    try:
        assert_same_value(LOSS, expr, found, seed)
        assert_same_at_ties(expr, found, seed)
    except Undetermined:  # x < abs(x) and the like, which balls cannot tell
        assume(False)


def by_cases(one: str, two: str, assumed: bool = False) -> bool:
    return ByCases(NormalForm(LOSS, assume=assumed)).equal(read(one), read(two))


def test_a_product_that_must_be_one_is_solved_for_an_entry() -> None:
    """At s x = 1 both sides are 0, which takes solving for an entry beside another one."""
    assert by_cases("(1 - c*x)*(1 if 1 - c*x > 0 else 0)", "max(0, 1 - c*x)")
    assert not by_cases("(2 - c*x)*(1 if 1 - c*x > 0 else 0)", "max(0, 1 - c*x)")
    assert not by_cases("(1 - c*x)*(1 if 1 - c*x > 0 else 0)", "max(0, 1 - x)")


def test_a_zero_product_is_not_divided_by_what_may_be_zero() -> None:
    """c x = 0 with c = 0 says nothing of x."""
    assert not by_cases("x*(1 if c*x > 0 else 0) + x*(1 if c*x < 0 else 0)", "x")


def test_two_values_count_only_where_the_hypothesis_may_be_used() -> None:
    assert by_cases("s**2", "1", assumed=True)
    assert not by_cases("s**2", "1")
    assert not by_cases("abs(s)", "1")


def test_no_sum_is_left_out_of_a_guard() -> None:
    expr = read("sum((b[k] if a[k] > x else 0)*(1 if b[k] != y else 0) for k in K if k != t)")
    found = gathered(expr, shallow(LOSS))
    (guard,) = (node.args[2] for node in nodes(found) if isinstance(node, Total))
    assert guard.op == "and" and len(guard.operands) == 3
    for seed in range(4):
        assert_same_value(LOSS, expr, found, seed)
        assert_same_at_ties(expr, found, seed)
