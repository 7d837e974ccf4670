"""The order in which the terms of a sum and the factors of a product are written."""

from __future__ import annotations

from typing import Any

from sympy import (
    Add,
    E,
    Expr,
    Function,
    Mul,
    Number,
    Pow,
    Rational,
    asin,
    atan,
    erf,
    exp,
    pi,
    sin,
    sinh,
    tan,
    tanh,
)

from derive import functions
from derive.index import Axis, Binder, Choice, Delta, Diff, Entry, Partial, Share, order
from derive.loss import Loss

# Factors of a product, in the order in which they are written.
_RANKS: tuple[tuple[type, ...], ...] = (
    (Number, type(pi), type(E), Axis),
    (Entry,),
    (Delta,),
    (Partial,),
    (exp, functions.sigmoid, functions.softplus, functions.step, functions.signum),
    (Add,),
    (Function,),
    (Share, Choice),
    (Diff, Binder),
)

ODD = (sinh, tanh, sin, tan, asin, atan, erf)


def factor_order(factor: Expr, loss: Loss) -> tuple[Any, ...]:
    """Where a factor stands: numbers, consts, entries, deltas, brackets, logarithms, sums."""
    base = factor.base if isinstance(factor, Pow) else factor
    rank = next((i for i, kinds in enumerate(_RANKS) if isinstance(base, kinds)), len(_RANKS))
    if isinstance(base, Entry):
        declared = loss.declared.get(base.tensor.name)
        const = declared is not None and declared.role == "const"
        return (rank, not const, -len(base.indices) if base.indices else -9, order(factor))
    if isinstance(base, Partial):
        made = list(loss.defined)
        name = base.args[0].tensor.name
        return (rank, -made.index(name) if name in made else 1, order(factor))
    return (rank, 0, order(factor))


def reciprocal(factor: Expr) -> Expr | None:
    """What stands below the fraction bar, for a factor that belongs there."""
    if isinstance(factor, Pow) and isinstance(factor.exp, Rational) and factor.exp < 0:
        return factor.base if factor.exp == -1 else Pow(factor.base, -factor.exp)
    return None


def term_order(term: Expr) -> tuple[Any, ...]:
    """Positive terms first, then terms with a delta, then by structure."""
    coefficient, rest = term.as_coeff_Mul()
    delta = any(isinstance(factor, Delta) for factor in Mul.make_args(rest))
    return (bool(coefficient.is_negative), not delta, order(term))


def turned_factor(product: Expr) -> Expr | None:
    """An odd function of a difference, which SymPy writes one way: -tanh(y - z) is tanh(z - y)."""
    odd = (f for f in Mul.make_args(product) if isinstance(f, ODD) and f.args[0].is_Add)
    return next((f for f in odd if 2 * _minuses(f.args[0]) >= len(f.args[0].args)), None)


def _minuses(expr: Expr) -> int:
    return sum(bool(term.as_coeff_Mul()[0].is_negative) for term in expr.args)
