"""Extrema over an axis in ball arithmetic: their values, who attains them, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from flint import arb
from sympy import Expr

from derive.balls import Number, Undetermined
from derive.index import Argmax, Binder, Maximum, Share

Env = Mapping[Expr, int]


class Over(Protocol):
    """What an evaluator tells of the body of a binder, of indices and of signs."""

    def over(self, expr: Binder, env: Env) -> list[tuple[int, Number]]: ...

    def index(self, index: Expr, env: Env) -> int: ...

    def sign(self, value: Number) -> int: ...


def extremum(at: Over, expr: Binder, env: Env) -> Number:
    """The largest or smallest value of the body; of nothing, NaN."""
    values = [value for _, value in at.over(expr, env)]
    if not values:
        return arb("nan")
    best = values[0]
    if all(isinstance(value, arb) for value in values):
        for value in values[1:]:
            best = best.max(value) if isinstance(expr, Maximum) else best.min(value)
        return best
    for value in values[1:]:
        first = at.sign(best - value) > 0
        best = best if first == isinstance(expr, Maximum) else value
    return best


def share(at: Over, expr: Share, env: Env) -> arb:
    """1 where this index alone attains the extremum, 0 where another one does.

    Raises Undetermined at a tie.
    """
    extremal, index = expr.args
    values = dict(at.over(extremal, env))
    mine = at.index(index, env)
    if mine not in values:
        return arb(0)
    direction = 1 if isinstance(extremal, Maximum) else -1
    signs = [at.sign(values[mine] - value) for k, value in values.items() if k != mine]
    if 0 in signs and -direction not in signs:
        raise Undetermined("the extremum at this point is a tie")
    return arb(int(all(sign == direction for sign in signs)))


def argmax(at: Over, expr: Argmax, env: Env) -> int:
    """The first index at which the body is largest.  Raises Undetermined for that of nothing."""
    best: tuple[int, Number] | None = None
    for k, value in at.over(expr, env):
        if best is None or at.sign(value - best[1]) > 0:
            best = k, value
    if best is None:
        raise Undetermined("the largest of nothing")
    return best[0]
