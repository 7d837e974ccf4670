"""Bounds by tangents, log u <= u - 1 and exp u >= 1 + u, and by one term of a sum, log (u + v) >=
log u, put in for one term of a loss."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from sympy import Expr, Mul, Rational, S, exp, log

from derive.divergence import TANGENT, Bound
from derive.index import (
    TRUE,
    Axis,
    Entry,
    Total,
    bind,
    dangling,
    free_indices,
    nodes,
    order,
    substitute,
)
from derive.loss import Loss
from derive.normal import Undecided
from derive.quadratic import bounded_by
from derive.ranges import Ranges

POWERS = (1, 2, Fraction(1, 2))  # log u is log(u**k)/k
EXPONENTIAL = "exp u >= 1 + u"
ONE_OF_MANY = "a sum of terms >= 0 is at least each of them"


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
            rest = expr - term
            for lower, why in (*_below(ranges, term), *_one_of_many(ranges, term, rest)):
                yield rest + lower, why
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


def _one_of_many(ranges: Ranges, term: Expr, rest: Expr) -> Iterator[tuple[Expr, str]]:
    """What the logarithm of a sum is at least: that of the term at an index of the rest."""
    for factor in Mul.make_args(term):
        inside = factor.args[0] if isinstance(factor, log) else None
        front = Mul(*(other for other in Mul.make_args(term) if other is not factor))
        if not isinstance(inside, Total) or not ranges.nonnegative(front):
            continue
        index, body, guard = inside.open()
        if guard == TRUE and ranges.nonnegative(body):
            for at in _places(rest, index.axis):
                yield front * log(substitute(body, {index: at})), ONE_OF_MANY


def _places(expr: Expr, axis: Axis) -> Iterator[Expr]:
    """The free indices and the class labels of an axis in an expression."""
    for node in sorted(nodes(expr), key=order):
        label = isinstance(node, Entry) and node.tensor.label == axis and not dangling(node)
        if label or (node in free_indices(expr) and node.axis == axis):
            yield node


def _is_nonnegative(ranges: Ranges, expr: Expr) -> bool:
    try:
        return ranges.nonnegative(expr) or bounded_by(ranges.loss, -expr, S.Zero)
    except Undecided:
        return False
