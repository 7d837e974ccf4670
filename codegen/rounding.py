"""Elementary functions of floats, rounded correctly: the same number on every machine.

A ball of python-flint is made smaller until both of its ends are the same float.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache

import sympy
from flint import arb, ctx
from sympy import exp, log

from codegen.kernel import exp_difference
from derive import functions


def sum_lost(x: float, y: float, s: float) -> float:
    """x + y - s, rounded once; 0 where one of them is not finite."""
    if not all(map(math.isfinite, (x, y, s))):
        return 0.0
    return float(Fraction(x) + Fraction(y) - Fraction(s))


def product_lost(x: float, y: float, p: float) -> float:
    """x y - p, rounded once; 0 where one of them is not finite."""
    if not all(map(math.isfinite, (x, y, p))):
        return 0.0
    return float(Fraction(x) * Fraction(y) - Fraction(p))


PRECISIONS = (120, 300, 1200, 4800)


def _softplus(x: arb) -> arb:
    return x.max(arb(0)) + (-abs(x)).exp().log1p()


BALLS: Mapping[type, Callable[..., arb]] = {
    exp: arb.exp,
    log: arb.log,
    sympy.sinh: arb.sinh,
    sympy.cosh: arb.cosh,
    sympy.tanh: arb.tanh,
    sympy.sin: arb.sin,
    sympy.cos: arb.cos,
    sympy.tan: arb.tan,
    sympy.asin: arb.asin,
    sympy.acos: arb.acos,
    sympy.atan: arb.atan,
    sympy.erf: arb.erf,
    functions.erfc: arb.erfc,
    sympy.Pow: arb.__pow__,
    functions.lgamma: arb.lgamma,
    functions.log1p: arb.log1p,
    functions.expm1: arb.expm1,
    functions.sigmoid: lambda x: 1 / (1 + (-x).exp()),
    functions.softplus: _softplus,
    exp_difference: lambda x, y: (x - y).exp(),
}
LIMITS: Mapping[type, tuple[float, float]] = {  # at minus and plus infinity
    exp: (0.0, math.inf),
    log: (math.nan, math.inf),
    sympy.sinh: (-math.inf, math.inf),
    sympy.cosh: (math.inf, math.inf),
    sympy.tanh: (-1.0, 1.0),
    sympy.atan: (-math.pi / 2, math.pi / 2),
    sympy.erf: (-1.0, 1.0),
    functions.erfc: (2.0, 0.0),
    functions.lgamma: (math.nan, math.inf),
    functions.log1p: (math.nan, math.inf),
    functions.expm1: (-1.0, math.inf),
    functions.sigmoid: (0.0, 1.0),
    functions.softplus: (0.0, math.inf),
}


@lru_cache(maxsize=1 << 16)
def rounded(kind: type, *arguments: float) -> float:
    """The value of the function at floats; where it has none, its limit or NaN."""
    if any(map(math.isnan, arguments)):
        return math.nan
    if kind is sympy.Pow:
        return _power(*arguments)
    if kind is exp_difference and not all(map(math.isfinite, arguments)):
        return rounded(exp, arguments[0] - arguments[1])
    (x, *_) = arguments
    if math.isinf(x):
        return LIMITS.get(kind, (math.nan, math.nan))[x > 0]
    if x == 0 and kind in (log, functions.lgamma):
        return -math.inf if kind is log else math.inf
    return _nearest(BALLS[kind], arguments)


def _power(base: float, exponent: float) -> float:
    """As C's pow at the ends of its domain."""
    inside = base > 0 or (base < 0 and exponent.is_integer())
    if inside and math.isfinite(base) and math.isfinite(exponent):
        return _nearest(arb.__pow__, (base, exponent))
    try:
        return math.pow(base, exponent)
    except ZeroDivisionError:
        return math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan


def _nearest(ball: Callable[..., arb], arguments: tuple[float, ...]) -> float:
    for precision in PRECISIONS:
        with ctx.workprec(precision):
            value = ball(*map(arb, arguments))
            if not value.is_finite():
                continue
            low, high = float(value.lower()), float(value.upper())
            if low == high:
                return low
    return math.nan
