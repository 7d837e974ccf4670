"""Bounds by tangents: log u <= u - 1 and exp u >= 1 + u, put in for one term of a sum."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from sympy import Expr, Mul, Rational, S, exp, log

from derive.divergence import TANGENT, Bound
from derive.index import Total, bind
from derive.loss import Loss
from derive.normal import Undecided
from derive.quadratic import bounded_by
from derive.ranges import Ranges

POWERS = (1, 2, Fraction(1, 2))  # log u is log(u**k)/k
EXPONENTIAL = "exp u >= 1 + u"


def tangent_bound(loss: Loss) -> Bound | None:
    """A chain 0 <= e <= L, where e is the loss with a tangent for a logarithm or exponential."""
    ranges = Ranges(loss)
    for lower, why in _lower(ranges, loss.value.body):
        if _is_nonnegative(ranges, lower):
            chain = (S.Zero, lower, loss.value.body) if lower != 0 else (lower, loss.value.body)
            return Bound(chain, len(chain) - 1, why)
    return None


def _lower(ranges: Ranges, expr: Expr) -> Iterator[tuple[Expr, str]]:
    """Expressions that are at most this one, and why."""
    if isinstance(expr, Total):
        index, body, guard = expr.open()
        for lower, why in _lower(ranges, body):
            yield bind(Total, index, lower, guard), why
    elif expr.is_Add:
        for term in expr.args:
            for lower, why in _below(ranges, term):
                yield expr - term + lower, why
    elif expr.is_Mul:
        sums = [factor for factor in expr.args if factor.is_Add or isinstance(factor, Total)]
        rest = Mul(*(factor for factor in expr.args if factor not in sums))
        if len(sums) == 1 and ranges.nonnegative(rest):
            for lower, why in _lower(ranges, sums[0]):
                yield rest * lower, why


def _below(ranges: Ranges, term: Expr) -> Iterator[tuple[Expr, str]]:
    """What one term is at least, by a tangent of the function in it."""
    for factor in Mul.make_args(term):
        front = Mul(*(other for other in Mul.make_args(term) if other is not factor))
        if isinstance(factor, exp) and ranges.nonnegative(front):
            yield front * (1 + factor.args[0]), EXPONENTIAL
        if not isinstance(factor, log):
            continue
        sign = 1 if ranges.nonnegative(front) else -1 if ranges.nonnegative(-front) else 0
        for power in POWERS if sign else ():
            k = -sign * Rational(power)
            yield front * (factor.args[0] ** k - 1) / k, TANGENT


def _is_nonnegative(ranges: Ranges, expr: Expr) -> bool:
    try:
        return ranges.nonnegative(expr) or bounded_by(ranges.loss, -expr, S.Zero)
    except Undecided:
        return False
