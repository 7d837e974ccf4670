"""Rules for x log(x/y) - x + y, whose terms of first order cancel where x is near y."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Add, Expr, Mul, Pow, Rational, S, exp, expand_mul, log

from codegen.bounds import nonnegative, positive
from codegen.stabilize.local import rule
from derive.functions import absolute, grouped, log1pmx
from derive.index import Choice, Condition
from derive.loss import Loss

NEAR = Rational(3, 8)


def _ratio(node: Expr) -> tuple[Expr, Expr] | None:
    """u and v, where the node is log(u/v)."""
    if not isinstance(node, log) or not node.args[0].is_Mul:
        return None
    below = Mul(*(1 / f for f in node.args[0].args if _is_divisor(f)))
    return None if below == 1 else (node.args[0] * below, below)


def _is_divisor(factor: Expr) -> bool:
    """Whether the factor is 1/v, or exp(-v) for a v without a sign."""
    if isinstance(factor, exp):
        return bool(factor.args[0].could_extract_minus_sign())
    return isinstance(factor, Pow) and bool(factor.exp.is_negative)


def _pairs(node: Expr, loss: Loss) -> Iterator[tuple[Expr, Expr, Expr, Expr]]:
    """Each term w log(u/v) of a sum, with u and v > 0."""
    for term in node.args:
        for factor in Mul.make_args(term):
            pair = _ratio(factor)
            if pair is not None and all(nonnegative(side, loss) for side in pair):
                yield term, term / factor, *pair


@rule(
    "logarithm and its first order",
    "where the two sides are near each other the terms of first order cancel; their rest as one"
    " function keeps its digits",
    holds="both sides are > 0",
)
def log_and_line(node: Expr, loss: Loss) -> Expr | None:
    """w (log r - r + 1) = w (log(1 + x) - x), with x = r - 1 = (u - v)/v for r = u/v.

    So too w log(u/v) + w (v/u - 1), with the sides changed; far from 1, the terms as they are.
    """
    if not node.is_Add:
        return None
    for term, w, u, v in _pairs(node, loss):
        for weight, top, below in ((w, u, v), (-w, v, u)):
            line = (-weight * top / below, weight)
            if not all(part in node.args for part in line):
                continue
            gap = top - below
            near = weight * log1pmx(gap / below)
            far = weight * _log_of(top, below) + grouped(Add(*line))
            close = Condition("<", absolute(gap), NEAR * below)
            return Add(*(x for x in node.args if x not in (term, *line)), Choice(close, near, far))
    return None


@rule(
    "logarithm and its first order in a power",
    "the power less 1 has the difference of the two sides as a factor, and where that is small the"
    " terms of first order cancel",
    holds="both sides are > 0",
)
def log_and_power(node: Expr, loss: Loss) -> Expr | None:
    """w (n log r - r^n + 1) = w (log(1 + x) - x) with x = r^n - 1, for r = u/v and n = 2 or -2."""
    if not node.is_Add:
        return None
    for terms in (node, Add(*(expand_mul(arg, deep=False) for arg in node.args))):
        for term, w, u, v in (*_pairs(terms, loss), *_plain(terms, loss)):
            for top, below, weight in ((u, v, w / 2), (v, u, -w / 2)):
                line = (-weight * top**2 / below**2, weight)
                if not all(part in terms.args for part in line):
                    continue
                away = (top - below) * (top + below) / below**2
                close = Condition("<", absolute(top - below), below / 4)
                kept = (x for x in terms.args if x not in (term, *line))
                far = term + grouped(Add(*line))
                return Add(*kept, Choice(close, weight * log1pmx(away), far))
    return None


def _plain(node: Expr, loss: Loss) -> Iterator[tuple[Expr, Expr, Expr, Expr]]:
    """Each term w log(u) of a sum, with u > 0."""
    for term in node.args:
        for factor in Mul.make_args(term):
            if isinstance(factor, log) and positive(factor.args[0], loss):
                yield term, term / factor, factor.args[0], S.One


def _log_of(top: Expr, below: Expr) -> Expr:
    """log(u/v); of an exponential the quotient may overflow, its logarithm does not."""
    if top.has(exp) or below.has(exp):
        return log(top) - log(below)
    return log(grouped(top / below))


RULES = (log_and_line, log_and_power)
