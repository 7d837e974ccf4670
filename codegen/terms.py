"""How large the terms are that a gradient sums, and how far the rounding of a stage moves it.

Errors are counted against these, so that a root of the gradient asks for no more digits than
its terms have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import product as cartesian
from typing import Any

from flint import arb
from sympy import Expr, log

from derive.errors import PminusyError
from derive.evaluate import Evaluator
from derive.functions import largest, relu, smallest
from derive.index import (
    Binder,
    Choice,
    Delta,
    Entry,
    Maximum,
    Minimum,
    Total,
    tensors,
    unbound,
    walk,
)
from derive.loss import Loss
from derive.point import Point

Place = tuple[int, ...]
MOST_SOFT = 16
PASSING = (largest, smallest, relu)  # they give an argument as it is, or 0


@dataclass(frozen=True)
class Form:
    """A gradient as a formula, to see how large the terms are that it sums."""

    loss: Loss
    wrt: Entry
    result: Expr

    def sizes(self, at: Evaluator, places: list[Place], through: bool = False) -> list[arb]:
        """Entries with every term taken without its sign: what their rounding is relative to.

        With `through`, roughly also what the rounding inside of functions adds.
        """
        terms = Terms(at, through)
        return [_finite(lambda env: terms.size(self.result, env), self._env(p)) for p in places]

    def moved(self, at: Evaluator, places: list[Place], bits: int, lowest: int) -> list[arb]:
        """How far entries move when the sums of products that they read are rounded."""
        terms, whole = Terms(at), [arb(0) for _ in places]
        for name, numbers in self._stages(at.point):
            definition = self.loss.defined[name]
            here = dict(zip(definition.entry.indices, numbers, strict=True))
            step = last_place(terms.inside(definition.body, here), bits, lowest)
            there = at.moved(name, numbers, at.at(name, numbers) + step)
            self._add_moves(whole, places, at, there)
        return whole

    def softened(self, at: Evaluator, places: list[Place], bits: int, lowest: int) -> list[arb]:
        """How far entries move when soft targets, rounded numbers, move by their last place."""
        whole = [arb(0) for _ in places]
        for name, numbers in soft_targets(self.loss, at.point):
            number = at.at(name, numbers)
            there = at.moved(name, numbers, number + last_place(number, bits, lowest))
            self._add_moves(whole, places, at, there)
        return whole

    def _add_moves(
        self, whole: list[arb], places: list[Place], at: Evaluator, there: Evaluator
    ) -> None:
        for k, place in enumerate(places):
            whole[k] += _finite(
                lambda env: abs(there(self.result, env) - at(self.result, env)), self._env(place)
            )

    def _env(self, place: Place) -> dict[Expr, int]:
        return dict(zip(self.wrt.indices, place, strict=True))

    def _stages(self, point: Point) -> Iterator[tuple[str, Place]]:
        """Every entry of the definitions that are sums of products of other names."""
        for name in self._affine:
            axes = self.loss.tensor(name).axes
            for place in cartesian(*(range(point.sizes[axis.name]) for axis in axes)):
                yield name, place

    @cached_property
    def _affine(self) -> tuple[str, ...]:
        found: list[str] = []
        for definition in self.loss.definitions[:-1]:
            names = {tensor.name for tensor in tensors(definition.body)}
            known = all(name in self.loss.declared or name in found for name in names)
            sums = any(node.is_Add or isinstance(node, Total) for node in walk(definition.body))
            if known and sums and _is_affine(definition.body):
                found.append(definition.name)
        return tuple(found)


def soft_targets(loss: Loss, point: Point) -> Iterator[tuple[str, Place]]:
    """The entries of distributions that are no whole numbers; of many, the first."""
    for declaration in loss.declarations:
        if declaration.domain.kind == "simplex" and declaration.role == "target":
            table = point.values[declaration.name]
            soft = [place for place in sorted(table) if Fraction(table[place]).denominator != 1]
            yield from ((declaration.name, place) for place in soft[:MOST_SOFT])


def _finite(evaluate: Callable[..., arb], env: Mapping[Expr, int]) -> arb:
    """A value, or 0 where there is none."""
    try:
        value = evaluate(env)
    except (PminusyError, ZeroDivisionError, ValueError):
        return arb(0)
    return value if value.is_finite() else arb(0)


def _is_affine(expr: Expr) -> bool:
    """Whether an expression has no function in it but sums, products and whole powers."""
    if isinstance(expr, Entry) or expr.is_Rational or type(expr).__name__ == "Axis":
        return True
    if isinstance(expr, Total):
        return _is_affine(expr.args[1])
    if expr.is_Pow:
        whole = type(expr.base).__name__ == "Axis" or (expr.exp.is_Integer and expr.exp > 0)
        return whole and _is_affine(expr.base)
    return bool(expr.is_Add or expr.is_Mul) and all(map(_is_affine, expr.args))


def last_place(value: arb, bits: int, lowest: int) -> arb:
    """The distance from one float of the format to the next, at this value."""
    mantissa, exponent = value.mid().man_exp()
    top = int(exponent) + int(mantissa).bit_length()
    return arb(2) ** (max(top - bits, lowest) if mantissa != 0 else lowest)


class Terms:
    """How large the terms of expressions are at a point; keeps what it has found."""

    def __init__(self, at: Evaluator, through: bool = False) -> None:
        self.at, self.through = at, through
        self._kept: dict[tuple[Any, ...], arb] = {}

    def size(self, expr: Expr, env: Mapping[Expr, int]) -> arb:
        """The value with every term of every sum taken without its sign.

        A sum of given numbers counts with its value: floats are exact, and one rounding is its
        own.  So does one of whole numbers that is 0, as exp(0) - 1, and whatever a function is
        taken of.
        """
        key = (expr, *map(env.get, unbound(expr)))
        if key not in self._kept:
            self._kept[key] = self._size(expr, env)
        return self._kept[key]

    def _size(self, expr: Expr, env: Mapping[Expr, int]) -> arb:
        at = self.at
        if expr.is_Add:
            given = [arg for arg in expr.args if _is_given(at.loss, arg)]
            rest = [self.size(arg, env) for arg in expr.args if arg not in given]
            values = [at(arg, env) for arg in expr.args]
            if sum(values, arb(0)) == 0 and all(value.is_integer() for value in values):
                return arb(0)
            return sum(rest, abs(sum((at(arg, env) for arg in given), arb(0))))
        if _is_given(at.loss, expr):
            return abs(at(expr, env))
        return self.inside(expr, env)

    def inside(self, expr: Expr, env: Mapping[Expr, int]) -> arb:
        """The same where a sum of given numbers is one of terms as well."""
        at = self.at
        if expr.is_Mul:
            result = arb(1)
            for arg in expr.args:
                result *= self.size(arg, env)
            return result
        if isinstance(expr, Total):
            bound, body, guard = expr.args
            inside = [{**env, bound: k} for k in range(at.point.sizes[expr.axis.name])]
            return sum((self.size(body, here) for here in inside if at.holds(guard, here)), arb(0))
        if isinstance(expr, Choice):
            condition, value, otherwise = expr.args
            return self.size(value if at.holds(condition, env) else otherwise, env)
        if isinstance(expr, Entry) and expr.tensor.name in at.loss.defined:
            definition = at.loss.defined[expr.tensor.name]
            place = (at.index(i, env) for i in expr.indices)
            here = dict(zip(definition.entry.indices, place, strict=True))
            return self.size(definition.body, here)
        if expr.is_Add:
            return sum((self.size(arg, env) for arg in expr.args), arb(0))
        if isinstance(expr, PASSING):
            value = at(expr, env)
            taken = next((arg for arg in expr.args if bool(at(arg, env) == value)), None)
            return abs(value) if taken is None else self.size(taken, env)
        return self._of_function(expr, env)

    def _of_function(self, expr: Expr, env: Mapping[Expr, int]) -> arb:
        value = abs(self.at(expr, env))
        if not self.through or not expr.args or isinstance(expr, Binder | Delta | Entry):
            return value
        inner = sum((self.size(arg, env) for arg in expr.args), arb(0))
        return value + (inner if isinstance(expr, log) else inner * value)


@lru_cache(maxsize=1 << 14)
def _is_given(loss: Loss, expr: Any) -> bool:
    """Whether an expression is linear in declared numbers, or an extremum of such."""
    if isinstance(expr, Entry):
        return expr.tensor.name in loss.declared
    if isinstance(expr, Total | Maximum | Minimum):
        return _is_given(loss, expr.args[1])
    if expr.is_Mul:
        loose = [arg for arg in expr.args if not arg.is_Rational]
        return len(loose) <= 1 and all(_is_given(loss, arg) for arg in loose)
    if expr.is_Add:
        return all(_is_given(loss, arg) for arg in expr.args)
    return bool(expr.is_Rational)
