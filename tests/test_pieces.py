"""Properties of losses in pieces: bounds branch by branch, convexity where the pieces join.

What is proved is held against plain mpmath at random points: values, chords, far slopes.
"""

from __future__ import annotations

from fractions import Fraction as F
from random import Random

import mpmath
import pytest
from plain import DIGITS, run

from derive import load, parse
from derive.printing import language
from derive.properties import Property, bounds, properties

X = "r: input\nd: const > 0\n"
HUBER = "L = r**2/2 if abs(r) <= d else d*(abs(r) - d/2)"

# (loss, whether it is >= 0, whether it is convex in r): proved, refuted or unknown
CASES = [
    (HUBER, "proved", "proved"),
    ("L = r**2/2 if abs(r) <= d else d*abs(r) - d**2/2", "proved", "proved"),
    ("L = r**2/2 if abs(r) <= d else d*(abs(r) - d)", "proved", "refuted"),
    ("L = 0 if r < 1 else ((r - 1)**2 if r < 2 else 2*r - 3)", "proved", "proved"),
    ("L = 0 if r < 1 else ((r - 1)**2 if r < 2 else 2*r - 2)", "proved", "refuted"),
    ("L = r**3 if r > 0 else r**2", "proved", "proved"),
    ("L = r**3 if r > 0 else -r**2", "refuted", "refuted"),
    ("L = r**2 if r > 1 else 2*r - 1", "refuted", "proved"),
    ("L = r**2 if r > 1 else 2*r", "refuted", "refuted"),
    ("L = r**2 if r > 0 else r", "refuted", "refuted"),
    ("L = r**2 if r > 0 else -r", "proved", "unknown"),
    ("L = r**2 if r != 0 else 5", "proved", "refuted"),
    ("L = abs(d - (1 if r > 0 else 0))*r**2", "proved", "proved"),
    ("L = r - 2 if r > 2 and d > 1 else 0", "proved", "unknown"),
    ("L = r - 3 if r > 2 and d > 1 else 0", "refuted", "refuted"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "bound", "convex"), CASES)
def test_bound_and_convexity(text: str, bound: str, convex: str) -> None:
    loss = parse(X + text)
    assert bounds(loss)[0].status == bound
    found = named("convexity", properties(loss, "r"))
    assert found.status == convex
    random = Random(3)
    for _ in range(200):
        one, two = F(random.randrange(-40, 40), 8), F(random.randrange(-40, 40), 8)
        d = F(random.randrange(1, 30), 8)
        low, middle, high = (value(text, r, d) for r in (one, (one + two) / 2, two))
        assert bound != "proved" or low >= 0
        assert convex != "proved" or low + high - 2 * middle >= -(mpmath.mpf(10) ** -40)


def value(text: str, r: F, d: F) -> mpmath.mpf:
    with mpmath.workdps(DIGITS):
        return run(X + text, {}, {"r": {(): r}, "d": {(): d}})["L"]


def named(name: str, found: tuple[Property, ...]) -> Property:
    return next(each for each in found if each.name == name)


def test_the_bound_of_a_branch_shows_why() -> None:
    found = bounds(parse(X + HUBER))[0]
    assert found.hypotheses == ("d > 0",) and len(found.steps) == 2
    shown = "r**2/2 if abs(r) <= d else d**2/2 + d*(abs(r) - d)"
    assert language(found.steps[-1], found.loss) == shown


def test_a_term_is_at_most_the_sum_that_it_is_in() -> None:
    assert bounds(load("cox_partial_likelihood"))[0].statement == "L >= 0"
    assert bounds(load("cox_partial_likelihood"))[0].status == "proved"
    others = "z: input[N]\nt: target[N]\nL = sum(log(sum(exp(z[k]) for k in N if t[k] {} t[i]))"
    others += " - z[i] for i in N)"
    assert bounds(parse(others.format(">=")))[0].status == "proved"
    assert bounds(parse(others.format(">")))[0].status != "proved"


@pytest.mark.parametrize(
    ("name", "ends"), [("hinge", ("0 if y == 1 else 1", "-1 if y == 1 else 0"))]
)
def test_far_slopes_for_each_value_of_a_target(name: str, ends: tuple[str, str]) -> None:
    found = [p for p in properties(load(name), "z") if p.name == "saturation"]
    assert [p.status for p in found] == ["proved", "proved"]
    for each, end in zip(found, ends, strict=True):
        assert f"tends to {end} as" in each.statement
        assert each.hypotheses == ("y in sign",)


TANGENTS = [
    ("L = exp(r) - r - 1", "proved"),
    ("L = exp(r) - r - 2", "refuted"),
    ("L = d - log(d) - 1", "proved"),
    ("L = d - 2*log(d) - 1", "refuted"),
    ("L = d**2 - 2*log(d) - 1", "proved"),
    ("L = log(d) + 1/d - 1", "proved"),
    ("L = d**2*(abs(r)/d - log(1 + abs(r)/d))", "proved"),
    ("L = d*log(d/exp(r)) - d + exp(r)", "proved"),
    ("L = log(d/2) + (4 + r**2)/(2*d**2) - 1/2", "proved"),
    ("L = r*(exp(d) - d - 1)", "refuted"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "status"), TANGENTS)
def test_bounds_by_tangents(text: str, status: str) -> None:
    found = bounds(parse(X + text))[0]
    assert found.status == status
    if status == "proved":
        assert found.relation == "<=" and ", since " in found.statement
    random = Random(4)
    for _ in range(50):
        r, d = F(random.randrange(-40, 40), 8), F(random.randrange(1, 60), 8)
        assert status != "proved" or value(text, r, d) >= -(mpmath.mpf(10) ** -40)


SCORES = "a: input[K]\nw: const[K] > 0\nt: target in K\n"
ONE_OF_MANY = [
    ("L = log(sum(exp(a[k]) for k in K)) - a[t]", "proved"),
    ("L = log(sum(exp(2*a[k]) for k in K)) - 2*a[t]", "proved"),
    ("L = w[t]*(log(sum(exp(a[k]) for k in K)) - a[t])", "proved"),
    ("L = log(sum(w[k]*exp(a[k]) for k in K)) - a[t] - log(w[t])", "proved"),
    ("L = log(sum(exp(a[k]) for k in K)) - 2*a[t]", "refuted"),
    ("L = log(sum(exp(a[k]) for k in K if k != t)) - a[t]", "refuted"),
    ("L = log(sum(w[k]*exp(a[k]) for k in K)) - a[t]", "refuted"),
    ("L = log(sum(a[k]**3 for k in K)) - 3*log(a[t])", "refuted"),
]


@pytest.mark.parametrize(("text", "status"), ONE_OF_MANY)
def test_a_sum_is_at_least_each_of_its_terms(text: str, status: str) -> None:
    found = bounds(parse(SCORES + text))[0]
    assert found.status == status
    if status == "proved":
        assert found.statement.startswith("L >= 0, since a sum of terms >= 0 is at least each")
