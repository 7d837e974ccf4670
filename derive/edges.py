"""Points next to the edges of a claim: where one of its conditions changes, found by bisection.

A threshold that is off by little is wrong in a thin layer only, which few other points hit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from flint import ctx
from sympy import Expr

from derive.errors import PminusyError
from derive.evaluate import Evaluator
from derive.index import Condition
from derive.loss import Declaration, Loss
from derive.point import Point
from derive.sampling import numbers, points

PRECISION = 128
NARROWEST = Fraction(1, 1 << 30)
MOST_HALVINGS = 200
ATTEMPTS = 5
MOST_PAIRS = 96
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
