"""Where a claim has no value: a root or a logarithm of a number < 0, a division by 0, and such.

Two expressions of one normal form are equal wherever both have a value; a claim that has none
on more than a null set of the domain is wrong all the same.  No ball decides that a value is
missing: the arguments do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

from flint import arb, ctx
from sympy import Expr, Pow, acos, asin, log

from derive.balls import Number, Undetermined
from derive.edges import discrete
from derive.evaluate import Evaluator
from derive.index import Argmax, Index, Maximum, Minimum, walk
from derive.loss import Declaration, Loss
from derive.point import Point
from derive.sampling import allows, points

PRECISION = 256
SMALLEST = 2  # classes of one entry hardly say more than that a sum may be empty
ATTEMPTS = 3
MOST_POINTS = 16
AROUND = 6
GRAIN = 1 << 10
PARTIAL = (Pow, log, asin, acos, Maximum, Minimum, Argmax)


class Valueless(Exception):
    """There is no value; the text says why."""


class _Watching(Evaluator):
    """An evaluator that raises Valueless where the language defines no value."""

    def _value(self, expr: Expr, env: Mapping[Expr, int]) -> Number:
        if isinstance(expr, Pow):
            self._power(self(expr.base, env), self(expr.exp, env))
        elif isinstance(expr, log) and not_above_zero(inner := self(expr.args[0], env)):
            raise Valueless(f"a logarithm of {_sign(inner)}")
        elif isinstance(expr, asin | acos) and abs(self(expr.args[0], env)) > 1:
            raise Valueless(f"an {type(expr).__name__} of a number beyond 1")
        elif isinstance(expr, Maximum | Minimum) and not self.over(expr, env):
            raise Valueless("the largest or smallest of nothing")
        return super()._value(expr, env)

    def _power(self, base: Number, exponent: Number) -> None:
        if base == 0 and exponent < 0:
            raise Valueless("a division by 0")
        if base < 0 and not exponent.contains_integer():
            raise Valueless("a root of a number below 0")


def not_above_zero(value: Number) -> bool:
    return bool(value < 0 or value == 0)


def _sign(value: Number) -> str:
    return "0" if value == 0 else "a number below 0"


def may_be(claim: Expr) -> bool:
    """Whether some operation in the claim itself has no value for some numbers."""
    return any(isinstance(node, PARTIAL) for node in walk(claim))


def says_more(written: Expr, claim: Expr) -> bool:
    """Whether some operation of a text that may have no value is gone from what was read."""
    partial = {node for node in walk(written) if isinstance(node, PARTIAL)}
    return not partial <= set(walk(claim))


def generic(loss: Loss) -> Iterator[Point]:
    """Points that lie on no edge by chance."""
    random = Random(11)
    count = 0
    for point in points(loss, ATTEMPTS):
        if any(size < SMALLEST for size in point.sizes.values()):
            continue
        yield _moved(loss, point, random)
        count += 1
        if count >= MOST_POINTS:
            return


def beside(loss: Loss, point: Point) -> Iterator[Point]:
    """Points near one, to all sides."""
    random = Random(13)
    return (_moved(loss, point, random) for _ in range(AROUND))


def why(loss: Loss, claim: Expr, point: Point, env: Mapping[Index, int]) -> str:
    """Why the claim has no value at a point; empty where it has one, or it is not decided."""
    try:
        with ctx.workprec(PRECISION):
            _Watching(loss, point)(claim, dict(env))
    except Valueless as error:
        return str(error)
    except (Undetermined, ZeroDivisionError, ValueError):
        return ""
    return ""


def value(loss: Loss, truth: Expr, point: Point, env: Mapping[Index, int]) -> arb | None:
    """The truth at a point, where it has a value."""
    try:
        with ctx.workprec(PRECISION):
            found = Evaluator(loss, point)(truth, dict(env))
    except (Undetermined, ZeroDivisionError, ValueError):
        return None
    return found if found.is_finite() else None


def _moved(loss: Loss, point: Point, random: Random) -> Point:
    """The point with every number that is no label, bit or sign moved a little, to fractions
    that balls hold exactly."""
    values: dict[str, Any] = dict(point.values)
    for declaration in loss.declarations:
        old = point.values[declaration.name]
        if declaration.domain.kind == "simplex":
            values[declaration.name] = _rows(old, random)
        elif not discrete(declaration):
            values[declaration.name] = {
                place: _near(declaration, number, point.sizes, random)
                for place, number in old.items()
            }
    return replace(point, values=values)


def _near(
    declaration: Declaration, number: Fraction, sizes: Mapping[str, int], random: Random
) -> Fraction:
    whole = Fraction(round(number * 16), 16)
    for _ in range(8):
        moved = whole + Fraction(2 * random.randrange(-127, 127) + 1, GRAIN)
        if allows(declaration, moved, sizes):
            return moved
    return number


def _rows(
    old: Mapping[tuple[int, ...], Fraction], random: Random
) -> dict[tuple[int, ...], Fraction]:
    """Rows of positive numbers that sum to 1, with a power of 2 below the line."""
    rows: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for place in sorted(old):
        rows.setdefault(place[:-1], []).append(place)
    values = {}
    for places in rows.values():
        weights = [2 * random.randrange(GRAIN // (4 * len(places))) + 1 for _ in places[1:]]
        for place, weight in zip(places, (GRAIN - sum(weights), *weights), strict=True):
            values[place] = Fraction(weight, GRAIN)
    return values
