"""Exact values of expressions that are rational at a point: for comparisons that balls leave open.

At a point all declared values are rational, and so is what is made of them by arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import prod
from typing import Any, Protocol

from sympy import Expr

from derive.index import (
    Axis,
    Binder,
    Choice,
    Condition,
    Delta,
    Entry,
    Maximum,
    Minimum,
    Product,
    Total,
)
from derive.loss import Loss
from derive.point import Point

Env = Mapping[Expr, int]
LARGEST_POWER = 64
FOLDS = {Total: sum, Product: prod, Maximum: max, Minimum: min}


class At(Protocol):
    """What an evaluator at a point tells of indices and conditions."""

    loss: Loss
    point: Point

    def index(self, index: Expr, env: Env) -> int: ...

    def holds(self, condition: Condition, env: Env) -> bool: ...


class _Irrational(Exception):
    """The value is not made of rational numbers by arithmetic."""


def rational(at: At, expr: Expr, env: Env) -> Fraction | None:
    """The value as a rational number, where arithmetic alone makes it one."""
    try:
        return _value(at, expr, env)
    except (_Irrational, ZeroDivisionError):
        return None


def _value(at: At, expr: Expr, env: Env) -> Fraction:
    if expr.is_Rational:
        return Fraction(int(expr.p), int(expr.q))
    if isinstance(expr, Entry):
        return _entry(at, expr, env)
    if expr.is_Add or expr.is_Mul:
        values = [_value(at, arg, env) for arg in expr.args]
        return sum(values, Fraction(0)) if expr.is_Add else prod(values, start=Fraction(1))
    if expr.is_Pow and expr.exp.is_Integer and abs(expr.exp) <= LARGEST_POWER:
        return _value(at, expr.base, env) ** int(expr.exp)
    if isinstance(expr, Choice):
        condition, value, otherwise = expr.args
        return _value(at, value if at.holds(condition, env) else otherwise, env)
    if isinstance(expr, Delta):
        i, j = expr.args
        return Fraction(int(at.index(i, env) == at.index(j, env)))
    if isinstance(expr, Axis):
        return Fraction(at.point.sizes[expr.name])
    fold: Any = FOLDS.get(type(expr))
    if fold is None:
        raise _Irrational
    values = list(_over(at, expr, env))
    if not values and isinstance(expr, Maximum | Minimum):
        raise _Irrational
    return Fraction(fold(values))


def _entry(at: At, expr: Entry, env: Env) -> Fraction:
    place = tuple(at.index(i, env) for i in expr.indices)
    definition = at.loss.defined.get(expr.tensor.name)
    if definition is None:
        given = at.point.values[expr.tensor.name].get(place)
        if given is None:  # at a label that is ignored there is no value
            raise _Irrational
        return given
    here = dict(zip(definition.entry.indices, place, strict=True))
    return _value(at, definition.body, here)


def _over(at: At, expr: Binder, env: Env) -> Iterable[Fraction]:
    bound, body, guard = expr.args
    for k in range(at.point.sizes[expr.axis.name]):
        here = {**env, bound: k}
        if at.holds(guard, here):
            yield _value(at, body, here)
