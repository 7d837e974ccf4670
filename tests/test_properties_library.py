"""Every property that is asserted of the library is held against balls at random points.

The truth is the loss itself and its automatic derivative; no property is taken at its word, and
every counterexample is evaluated again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import pairwise
from random import Random

import pytest
from extra_losses import EXTRA, get
from flint import arb, ctx
from points import environments

import derive
from derive.balls import Undetermined
from derive.curvature import Curvature
from derive.evaluate import Evaluator, Point, evaluate
from derive.index import Partial
from derive.loss import Loss
from derive.properties import Property, convexity, properties, value_bounds
from derive.ranges import Ranges
from derive.sampling import allows, points

LIBRARY = [
    (name, d.name)
    for name in derive.library()
    for d in derive.load(name).declarations
    if d.role in ("input", "param")
]
SEVERAL = [(name, wrt) for name, (names, _) in EXTRA.items() for wrt in names.split()]
QUICK = [
    *("log_sum_exp", "label_hinge", "softplus_bce", "huber", "likelihood", "shifted"),
    *("free_cross_entropy", "dense_focal", "smoothed", "products"),
]
EVERY = [*LIBRARY, *((name, wrt) for name, wrt in SEVERAL if name in QUICK)]
SLACK = arb("1e-30")
MOST = 40


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    """Balls narrow enough for differences of nearby values."""
    with ctx.workprec(256):
        yield


@cache
def found(name: str, wrt: str) -> tuple[Property, ...]:
    return properties(get(name), wrt)


def tried(loss: Loss) -> Iterator[Point]:
    """Points of every kind: every third of those that a search takes."""
    for number, point in enumerate(points(loss)):
        if number % 3 == 0:
            yield point
        if number > 3 * MOST:
            return


def value(loss: Loss, point: Point) -> arb | None:
    """The loss at a point; None where it has no value."""
    try:
        result = Evaluator(loss, point)(loss.value.entry, {})
    except (Undetermined, ZeroDivisionError, ValueError):
        return None
    return result if result.is_finite() else None


def slopes(loss: Loss, wrt: str, point: Point) -> dict[tuple[int, ...], arb]:
    """The automatic derivative by every entry; none at all where one has no value."""
    entry = loss.free_entry(wrt)
    result = {}
    for env in environments(point.sizes, entry):
        try:
            slope = Evaluator(loss, point, True)(Partial(loss.value.entry, entry), env)
        except (Undetermined, ZeroDivisionError, ValueError):
            return {}
        if not slope.is_finite():
            return {}
        result[tuple(env[index] for index in entry.indices)] = slope
    return result


def moved(
    loss: Loss, point: Point, wrt: str, step: dict[tuple[int, ...], Fraction]
) -> Point | None:
    """The point with a name moved, where that stays in its domain."""
    values = {place: old + step[place] for place, old in point.values[wrt].items()}
    declaration = loss.declared[wrt]
    if declaration.domain.kind == "simplex":
        if any(new < 0 for new in values.values()):
            return None
    elif not all(allows(declaration, new, point.sizes) for new in values.values()):
        return None
    return Point(point.sizes, {**point.values, wrt: values})


def directions(loss: Loss, point: Point, wrt: str) -> Iterator[dict[tuple[int, ...], Fraction]]:
    random = Random(5)
    places = sorted(point.values[wrt])
    for size in (Fraction(1, 50), Fraction(1), Fraction(6)):
        step = {place: size * random.randint(-9, 9) / 10 for place in places}
        if loss.declared[wrt].domain.kind == "simplex":
            step[places[-1]] -= sum(step.values())
        yield step


def of_kind(name: str, wrt: str, kind: str, status: str = "proved") -> list[Property]:
    return [p for p in found(name, wrt) if (p.name, p.status) == (kind, status)]


@pytest.mark.parametrize(("name", "wrt"), EVERY)
def test_a_loss_proved_convex_lies_below_its_chords(name: str, wrt: str) -> None:
    if not of_kind(name, wrt, "convexity"):
        return
    loss, seen = get(name), 0
    for point in tried(loss):
        here = value(loss, point)
        for step in directions(loss, point, wrt):
            ends = [moved(loss, point, wrt, {k: w * v for k, v in step.items()}) for w in (1, -1)]
            sides = [value(loss, end) for end in ends if end is not None]
            if here is None or len(sides) < 2 or None in sides:
                continue
            seen += 1
            bend = sum(sides, arb(0)) - 2 * here
            assert bend > -SLACK * (1 + abs(here)), (point, step, bend)
    assert seen > 10


@pytest.mark.parametrize(("name", "wrt"), EVERY)
def test_sums_and_bounds_of_gradients_hold(name: str, wrt: str) -> None:
    loss, seen = get(name), 0
    bounds = of_kind(name, wrt, "gradient bounds")
    sums = of_kind(name, wrt, "gradient sums to zero")
    for point in tried(loss) if bounds or sums else ():
        entries = slopes(loss, wrt, point)
        for bound in bounds:
            lower, upper = (evaluate(loss, end, point) for end in (bound.steps[0], bound.steps[-1]))
            assert all(lower - SLACK < slope < upper + SLACK for slope in entries.values())
        for zero in sums:
            over = re.search(" over (\\w+):", zero.statement)
            axes = [axis.name for axis in loss.tensor(wrt).axes]
            cut = axes.index(over[1]) if over else len(axes) - 1
            rows: dict[tuple[int, ...], arb] = {}
            for place, slope in entries.items():
                rest = place[:cut] + place[cut + 1 :]
                rows[rest] = rows.get(rest, arb(0)) + slope
            most = max((abs(slope) for slope in entries.values()), default=arb(0))
            assert all(abs(row) < SLACK * (1 + most) for row in rows.values())
        seen += bool(entries)
    assert seen > 5 or not (bounds or sums)


@pytest.mark.parametrize(("name", "wrt"), EVERY)
def test_a_lipschitz_constant_bounds_the_change_of_the_gradient(name: str, wrt: str) -> None:
    for proved in of_kind(name, wrt, "Lipschitz"):
        loss, constant = get(name), Fraction(proved.statement.rsplit(" ", 1)[1])
        for point in tried(loss):
            before = slopes(loss, wrt, point)
            for step in directions(loss, point, wrt):
                there = moved(loss, point, wrt, step)
                after = slopes(loss, wrt, there) if there else {}
                if before and after:
                    change = sum(
                        ((after[k] - before[k]) * (after[k] - before[k]) for k in after), arb(0)
                    )
                    length = sum((v * v for v in step.values()), Fraction(0)) * constant**2
                    most = arb(length.numerator) / length.denominator
                    assert change < most + SLACK, (point, step)


@pytest.mark.parametrize("name", sorted({name for name, _ in EVERY}))
def test_bounds_of_the_value_hold(name: str) -> None:
    loss, claimed = get(name), value_bounds(get(name))
    numbers = [Fraction(n) for n in re.findall(r"-?\d+(?:/\d+)?", claimed.statement)]
    if claimed.status == "unknown":
        return
    if claimed.status == "refuted":
        assert claimed.counterexample is not None
        below = value(loss, claimed.counterexample.point)
        assert below is not None and below < 0
        return
    if claimed.relation == "<=":
        for point in tried(loss):
            if value(loss, point) is not None:
                ends = [evaluate(loss, step, point) for step in claimed.steps]
                assert all(two > one - SLACK for one, two in pairwise(ends)), point
        return
    lower = numbers[0] if "L >=" in claimed.statement or "H >=" in claimed.statement else None
    upper = numbers[-1] if "<=" in claimed.statement else None
    lower = numbers[0] if len(numbers) == 2 else lower
    assert lower is not None or upper is not None
    for point in tried(loss):
        here = value(loss, point)
        if here is not None:
            assert lower is None or here > arb(lower.numerator) / lower.denominator - SLACK
            assert upper is None or here < arb(upper.numerator) / upper.denominator + SLACK


@pytest.mark.parametrize(
    ("name", "wrt"), [pair for pair in EVERY if not get(pair[0]).tensor(pair[1]).axes]
)
def test_limits_are_approached(name: str, wrt: str) -> None:
    loss = get(name)
    for limit in of_kind(name, wrt, "saturation"):
        far = Fraction(10**7) * (-1 if limit.statement.endswith("-infinity") else 1)
        for point in tried(loss):
            there = Point(point.sizes, {**point.values, wrt: {(): far}})
            entries = slopes(loss, wrt, there)
            text = str(limit.steps[-1])
            if entries and text in ("oo", "-oo"):
                assert (entries[()] > 100) if text == "oo" else (entries[()] < -100)
            elif entries:
                assert abs(entries[()] - evaluate(loss, limit.steps[-1], point)) < arb("1e-3")


@pytest.mark.parametrize(("name", "wrt"), EVERY)
def test_counterexamples_are_evaluated_again(name: str, wrt: str) -> None:
    loss = get(name)
    for refuted in (p for p in found(name, wrt) if p.status == "refuted"):
        example = refuted.counterexample
        assert example is not None
        plain = Point(
            example.sizes, {d.name: example.point.values[d.name] for d in loss.declarations}
        )
        if refuted.name == "gradient sums to zero":
            last = loss.free_entry(wrt)
            rows = slopes(loss, wrt, plain)
            place = (0,) * (len(last.indices) - 1)
            whole = sum((v for k, v in rows.items() if k[:-1] == place), arb(0))
            assert 0 not in whole
            continue
        (direction,) = set(example.point.values) - set(plain.values)
        size = Fraction(1) if "2*" in refuted.statement else Fraction(1, 10**9)
        step = {k: size * v for k, v in example.point.values[direction].items()}
        bend = [bent(loss, plain, wrt, step, way) for way in (1, -1, 0)]
        assert bend[0] + bend[1] - 2 * bend[2] < 0, refuted


def bent(
    loss: Loss, point: Point, wrt: str, step: dict[tuple[int, ...], Fraction], way: int
) -> arb:
    values = {place: old + way * step[place] for place, old in point.values[wrt].items()}
    return evaluate(
        loss, loss.value.entry, Point(point.sizes, {**point.values, wrt: values}), {}, 60
    )


NOT_CONVEX = [
    *("-abs(x)", "x**2 - abs(x)", "-max(0, x)", "x if x > 0 else 1", "max(x, 0)**2 - max(x, 0)"),
    *("min(x, 0)", "abs(x**2 - 1)", "sqrt(abs(x))", "sign(x)", "abs(x)*x", "log(1 + x**2)"),
]
UNSETTLED = ["1/x", "1/x**2", "-log(abs(x))", "x**2 if x > 0 else -x", "tan(x)"]
CONVEX = [
    *("abs(x)", "max(x, 2*x - 1, -3)", "max(0, 1 - x)**2", "relu(x - 1)", "abs(x)**3", "-log(x)"),
    *("x*log(x)", "exp(abs(x))", "sqrt(1 + x**2)", "softplus(x)", "-min(x, 1 - x)", "1/exp(x)"),
]


@pytest.mark.parametrize("body", NOT_CONVEX)
def test_a_kink_does_not_make_a_loss_convex(body: str) -> None:
    """-|x| has second derivative 0 wherever it has one, and is not convex."""
    assert convexity(derive.parse(f"x: input\nL = {body}\n"), "x").status == "refuted"


@pytest.mark.parametrize("body", UNSETTLED)
def test_a_pole_or_an_open_question_is_not_a_proof(body: str) -> None:
    assert convexity(derive.parse(f"x: input\nL = {body}\n"), "x").status != "proved"


@pytest.mark.parametrize("body", CONVEX)
def test_convexity_by_parts_and_by_hessian(body: str) -> None:
    loss = derive.parse(f"x: input\nL = {body}\n")
    verdict = convexity(loss, "x")
    known = body in ("x*log(x)", "sqrt(1 + x**2)") and verdict.status == "unknown"
    assert verdict.status == "proved" or known


def test_a_pull_back_needs_an_affine_map_and_no_other_way_in() -> None:
    layer = "x: input[D]\nw: param[D]\n"
    square = "a = sum(w[i]*x[i] for i in D)\nL = softplus(a)\n"
    assert convexity(derive.parse(layer + square), "w").status == "proved"
    around = "a = sum(w[i]*x[i] for i in D)\nL = softplus(a) - sum(w[i]**2 for i in D)\n"
    assert convexity(derive.parse(layer + around), "w").status == "refuted"
    bent_map = "a = sum(w[i]**2*x[i] for i in D)\nL = softplus(a)\n"
    assert convexity(derive.parse(layer + bent_map), "w").status == "refuted"
    flat = "a = sum(w[i]*x[i] for i in D)\nL = -a**2\n"
    assert convexity(derive.parse(layer + flat), "w").status == "refuted"


def test_a_direction_on_the_simplex_sums_to_zero() -> None:
    """sum(p)**2 is constant on the simplex, so that -sum(p)**2 is not refuted there."""
    loss = derive.parse("p: input[K] in simplex\nL = -sum(p[i] for i in K)**2\n")
    assert convexity(loss, "p").status != "refuted"
    loss = derive.parse("p: input[K] in simplex\nL = -sum(p[i]**2 for i in K)\n")
    refuted = convexity(loss, "p")
    assert refuted.status == "refuted" and refuted.counterexample is not None
    assert sum(refuted.counterexample.point.values["v"].values()) == 0


def test_what_curvature_says_of_parts() -> None:
    loss = derive.parse("x: input\nc: const >= 0 = 1\nd: const = 1\nL = c*x**2\n")
    bends = Curvature(loss, "x")
    texts = {
        "c*x**2": "convex",
        "d*x**2": "",
        "-c*x**2": "concave",
        "d*x": "affine",
        "d": "constant",
        "max(x, x**2)": "convex",
        "min(x, -c*abs(x))": "concave",
        "log(exp(x) + c*exp(-2*x))": "convex",
        "exp(-x**2)": "",
    }
    for text, expected in texts.items():
        assert bends(derive.parse_expression(loss, text)) == expected, text


SHARES = [
    # Not at most 1: what is left of one sum is not what is left of another.
    (
        "p[i] = (exp(u[i]) + sum(exp(w[k]) for k in K))/(exp(w[i]) + sum(exp(u[k]) for k in K))",
        False,
    ),
    ("p[i] = (u[i]**2 + sum(w[k]**2 for k in K))/(w[i]**2 + sum(u[k]**2 for k in K))", False),
    ("p[i] = exp(u[i])/sum(exp(w[k]) for k in K)", False),
    ("p[i] = exp(u[i])/sum(exp(u[k]) for k in K)", True),
    ("p[i] = exp(u[i] + w[i])/sum(exp(u[k] + w[k]) for k in K)", True),
    ("p[i] = u[i]**2/(w[i]**2 + sum(u[k]**2 for k in K))", True),
]


@pytest.mark.parametrize(("share", "bounded"), SHARES)
def test_a_share_is_at_most_one_only_if_it_is_one(share: str, bounded: bool) -> None:
    loss = derive.parse(f"u: input[K]\nw: input[K]\n{share}\nL = sum(p[i] for i in K)\n")
    assert (Ranges(loss)(loss.defined["p"].entry).upper == 1) == bounded


def test_of_two_indices_over_one_axis_either_may_be_summed_over() -> None:
    for place in ("i, k", "k, j"):
        text = f"z: input[N, N]\np[i, j] = exp(z[i, j])/sum(exp(z[{place}]) for k in N)\n"
        loss = derive.parse(text + "L = -sum(log(p[i, i]) for i in N)\n")
        assert value_bounds(loss).statement == "L >= 0"
        assert value_bounds(loss).status == "proved"


@pytest.mark.parametrize(
    ("body", "proved"),
    [("max(-x, 2*x)", True), ("max(x*c, -x)", True), ("max(x, 2*x)", False), ("max(x, -y)", False)],
)
def test_of_two_numbers_of_different_signs_one_is_not_below_0(body: str, proved: bool) -> None:
    loss = derive.parse(f"x: input\ny: input\nc: const >= 0 = 1\nL = {body}\n")
    assert (value_bounds(loss).status == "proved") == proved


def test_a_quadratic_form_that_is_too_long_to_multiply_out_stays_as_it_is() -> None:
    loss = derive.parse(
        "x: input[I]\nA: param[H, I]\nB: param[H, H]\nw: param[H]\n"
        "h[j] = tanh(sum(A[j, i] * x[i] for i in I))\n"
        "u[j] = tanh(sum(B[j, k] * h[k] for k in H)) + h[j]\n"
        "z = sum(w[j] * u[j] for j in H)\nL = log(1 + exp(-z))\n"
    )
    (found,) = (fact for fact in properties(loss, "x") if fact.name == "convexity")
    assert found.status in ("refuted", "unknown") and len(found.steps) == 1
