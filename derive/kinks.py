"""At a kink: a claim is held against the derivatives at points all around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product as cartesian
from random import Random

from flint import arb, ctx
from sympy import Expr

from derive.balls import Undetermined
from derive.errors import PminusyError
from derive.evaluate import Evaluator
from derive.index import Diff, Entry, Index, Partial
from derive.loss import Loss
from derive.point import Point

PRECISION = 256
STEP = Fraction(1, 10**18)
TOLERANCE = arb("1e-9")
MOST_AROUND = 24
FEWEST_AROUND = 4


def variable_of(loss: Loss, truth: Expr) -> str | None:
    """The declared name that a derivative still to be taken is taken along, if it has one."""
    if isinstance(truth, Partial | Diff):
        variable = truth.args[1]
        if isinstance(variable, Entry) and variable.tensor.name in loss.declared:
            return str(variable.tensor.name)
    return None


def around(point: Point, name: str) -> Iterator[Point]:
    """Points close by, the named values moved to all sides, also beyond an end of the domain: a
    formula may take the slope of either side there."""
    places = sorted(point.values[name])
    for moves in _directions(len(places), Random(7)):
        moved = {
            place: point.values[name][place] + STEP * move
            for place, move in zip(places, moves, strict=True)
        }
        yield replace(point, values={**point.values, name: moved})


def _directions(count: int, random: Random) -> Iterator[list[Fraction]]:
    """All combinations of signs where they are few, else each entry ahead of the others."""
    if count <= 3:
        for signs in cartesian((1, -1), repeat=count):
            yield [Fraction(sign * (11 + 2 * k), 10) for k, sign in enumerate(signs)]
            yield [Fraction(sign * (17 - 2 * k), 10) for k, sign in enumerate(signs)]
        return
    for ahead in range(min(count, MOST_AROUND // 2)):
        for sign in (1, -1):
            small = [Fraction(random.randint(-999, 999), 1000) for _ in range(count)]
            small[ahead] = Fraction(3 * sign)
            yield small


def outside(
    loss: Loss, claim: Expr, truth: Expr, point: Point, env: dict[Index, int]
) -> tuple[arb, arb] | None:
    """The claim's value at a kink and the hull of the derivatives around it, where the one
    lies outside of the other; None where it does not, or where too little can be evaluated."""
    name = variable_of(loss, truth)
    if name is None:
        return None
    with ctx.workprec(PRECISION):
        claimed = _value(loss, claim, point, env)
        if claimed is None:
            return None
        beside = list(around(point, name))
        if not _continuous(loss, truth.args[0], point, beside, env):
            return None
        near = [_value(loss, truth, here, env) for here in beside]
        slopes = [slope for slope in near if slope is not None]
        if len(slopes) < FEWEST_AROUND and len(slopes) < len(near):
            return None
        if not slopes:
            return None
        hull = slopes[0]
        for slope in slopes[1:]:
            hull = hull.union(slope)
        margin = TOLERANCE * (1 + abs(hull).upper())
        if claimed > hull + margin or claimed < hull - margin:
            return claimed, hull
        return None


def _continuous(
    loss: Loss, expr: Expr, point: Point, beside: list[Point], env: dict[Index, int]
) -> bool:
    """Whether what is differentiated has no jump here: at one there is no derivative."""
    here = _value(loss, expr, point, env)
    near = [_value(loss, expr, other, env) for other in beside]
    if here is None or None in near:
        return False
    return all(other is not None and abs(other - here) < TOLERANCE for other in near)


def _value(loss: Loss, expr: Expr, point: Point, env: dict[Index, int]) -> arb | None:
    try:
        value = Evaluator(loss, point)(expr, env)
    except (Undetermined, ZeroDivisionError, ValueError, PminusyError):
        return None
    return value if isinstance(value, arb) and value.is_finite() else None
