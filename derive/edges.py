"""Points next to the edges of a claim: where one of its conditions changes, found by bisection.

A threshold that is off by little is wrong in a thin layer only, which few other points hit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from itertools import product as cartesian
from typing import Any

from flint import ctx
from sympy import Expr

from derive.balls import Undetermined
from derive.errors import PminusyError
from derive.evaluate import Evaluator
from derive.index import Condition, Entry, axis_of, comparisons, entries, order, unbound
from derive.loss import Declaration, Loss
from derive.point import Point
from derive.rational import rational
from derive.sampling import allows, numbers, points, spread

PRECISION = 128
NARROWEST = Fraction(1, 1 << 30)
MOST_HALVINGS = 200
ATTEMPTS = 5
MOST_PAIRS = 96
MOST_PLACES = 4
MOST_ALIKE = 2
DISCRETE = ("binary", "sign", "label")
KINKED = ("relu", "absolute", "largest", "smallest", "signum", "step")


Trace = list[bool] | None


class _Traced(Evaluator):
    """An evaluator that keeps how every condition and every kinked function was decided."""

    def __init__(self, loss: Loss, point: Point) -> None:
        super().__init__(loss, point)
        self.trace: list[bool] = []

    def __call__(self, expr: Expr, env: Mapping[Expr, int]) -> Any:
        if type(expr).__name__ in KINKED:
            first, *rest = (self(arg, env) for arg in expr.args)
            self.trace.append(bool(first > (rest[0] if rest else 0)))
        return super().__call__(expr, env)

    def holds(self, condition: Condition, env: Mapping[Expr, int]) -> bool:
        result = super().holds(condition, env)
        self.trace.append(result)
        return result


def pairs(loss: Loss, claim: Expr) -> Iterator[tuple[Point, Point]]:
    """Points of equal sizes, the second with the first one's labels, bits and signs."""
    last: dict[tuple[tuple[str, int], ...], Point] = {}
    count = 0
    for point in points(loss, ATTEMPTS, numbers(loss, claim)):
        sizes = tuple(sorted(point.sizes.items()))
        if sizes in last:
            yield last[sizes], _mixed(loss, last[sizes], point, Fraction(1))
            count += 1
        last[sizes] = point
        if count >= MOST_PAIRS:
            return


def between(
    loss: Loss, claim: Expr, env: Mapping[Any, int], one: Point, two: Point
) -> Iterator[Point]:
    """Points from one to another that close in on the edges of the claim between them."""
    ends = [(share, _trace(loss, claim, env, end)) for share, end in ((0, one), (1, two))]
    open_: list[tuple[Fraction | int, Trace, Fraction | int, Trace]] = [(*ends[0], *ends[1])]
    for _ in range(MOST_HALVINGS):
        if not open_:
            return
        low, before, high, after = open_.pop()
        if before == after or high - low < NARROWEST:
            continue
        middle = Fraction(low + high) / 2
        point = _mixed(loss, one, two, middle)
        yield point
        here = _trace(loss, claim, env, point)
        open_ += [(low, before, middle, here), (middle, here, high, after)]


def on_levels(loss: Loss, claim: Expr) -> Iterator[Point]:
    """Points at which an equality of real numbers in a claim or its loss holds."""
    exprs = [e for e in (claim, *(d.body for d in loss.definitions)) if _levels(e)]
    for point in islice(points(loss, 1), MOST_PLACES if exprs else 0):
        for expr in exprs:
            yield from upon(loss, expr, point, {})


def and_beyond(loss: Loss, claim: Expr) -> Iterator[Point]:
    """These points, and after them more with numbers of all magnitudes."""
    yield from on_levels(loss, claim)
    yield from spread(loss)


def upon(loss: Loss, expr: Expr, point: Point, env: Mapping[Any, int]) -> Iterator[Point]:
    """The point moved so that an equality of real numbers in an expression holds: an entry that
    it is linear in is put where it does."""
    for test in _levels(expr):
        left, right = test.operands
        gap = loss.unfold(left - right)
        bound = [index for index in unbound(gap) if index not in env]
        ranges = [range(point.sizes[axis_of(index).name]) for index in bound]
        for chosen in islice(cartesian(*ranges), MOST_PLACES):
            here = {**env, **dict(zip(bound, chosen, strict=True))}
            solved = (_solved(loss, gap, entry, point, here) for entry in _sorted(gap))
            yield from filter(None, solved)
            alike = (other for other in _alike(loss, point) if _gap(loss, gap, other, here) == 0)
            yield from islice(alike, MOST_ALIKE)


def _sorted(expr: Expr) -> list[Entry]:
    return sorted(entries(expr), key=order)


def _alike(loss: Loss, point: Point) -> Iterator[Point]:
    """The point with all entries of one name 0, or those of another name."""
    free = [d for d in loss.declarations if not discrete(d) and d.domain.kind == "real"]
    for one in free:
        old = point.values[one.name]
        others = [point.values[d.name] for d in free if d.tensor.axes == one.tensor.axes]
        for values in ({place: Fraction(0) for place in old}, *others):
            if all(allows(one, value, point.sizes) for value in values.values()):
                yield replace(point, values={**point.values, one.name: values})


def _levels(expr: Expr) -> list[Condition]:
    return [test for test in comparisons(expr) if test.op in ("==", "!=")]


def _solved(
    loss: Loss, gap: Expr, entry: Entry, point: Point, env: Mapping[Any, int]
) -> Point | None:
    """The point where the gap is 0, one entry moved along the line through two values of it."""
    name, at = entry.tensor.name, Evaluator(loss, point)
    declaration = loss.declared[name]
    if discrete(declaration) or not all(index in env for index in entry.indices):
        return None
    place = tuple(at.index(index, env) for index in entry.indices)

    def moved(value: Fraction) -> Point:
        return replace(point, values={**point.values, name: {**point.values[name], place: value}})

    start, end = (_gap(loss, gap, moved(Fraction(value)), env) for value in (0, 1))
    if start is None or end is None or start == end:
        return None
    root = start / (start - end)
    fits = allows(declaration, root, point.sizes) and _gap(loss, gap, moved(root), env) == 0
    return moved(root) if fits else None


def _gap(loss: Loss, gap: Expr, point: Point, env: Mapping[Any, int]) -> Fraction | None:
    try:
        return rational(Evaluator(loss, point), gap, env)
    except Undetermined:
        return None


def _trace(loss: Loss, claim: Expr, env: Mapping[Any, int], point: Point) -> Trace:
    traced = _Traced(loss, point)
    try:
        with ctx.workprec(PRECISION):
            traced(claim, env)
    except (PminusyError, ZeroDivisionError, ValueError):
        return None
    return traced.trace


def _mixed(loss: Loss, one: Point, two: Point, share: Fraction) -> Point:
    values = {}
    for declaration in loss.declarations:
        start, end = one.values[declaration.name], two.values[declaration.name]
        step = Fraction(0) if discrete(declaration) else share
        values[declaration.name] = {p: start[p] + step * (end[p] - start[p]) for p in start}
    return Point(one.sizes, values)


def discrete(declaration: Declaration) -> bool:
    """Whether its numbers are labels, bits or signs."""
    return declaration.tensor.label is not None or declaration.domain.kind in DISCRETE
