"""Functions that no target has, by series and asymptotic expansions in arithmetic that all have.

Each is cut off where the rest is below the rounding of fp64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from mpmath import mp, mpf
from sympy import Expr, Function, Integer, Pow, Rational, bernoulli, exp, log

from derive.functions import (
    absolute,
    digamma,
    erfcx,
    expm1,
    expm1mx,
    log1mexp,
    log1p,
    log1pmx,
    trigamma,
)
from derive.index import Choice, Condition

NEAR = Rational(1, 2)
HALVED = Rational(693, 1000)  # exp(-x) is about 1/2 there
TERMS = 18
FACTORIALS = 21  # beyond them less is left at |x| = 1 than the rounding of fp64
SHIFT = 8  # recurrences take x up to here, where the expansions hold
ASYMPTOTIC = 10
CENTER = Rational(15, 4)  # erfcx takes [0, infinity) to [-1, 1], with this in the middle
ERFCX = 24  # terms, which leave 6e-17


def _polynomial(coefficients: Sequence[Rational], x: Expr) -> Expr:
    """c0 + x (c1 + x (c2 + ...))."""
    value: Expr = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = coefficient + x * value
    return value


def _expm1mx(x: Expr) -> Expr:
    """x^2 (1/2! + x/3! + ...) near 0."""
    factorials = [Integer(1)]
    for k in range(1, FACTORIALS):
        factorials.append(factorials[-1] * k)
    series = _polynomial([1 / f for f in factorials[2:]], x)
    return Choice(Condition("<", absolute(x), Integer(1)), x**2 * series, expm1(x) - x)


def _log1pmx(x: Expr) -> Expr:
    """With s = x/(2 + x), log(1 + x) = 2 (s + s^3/3 + ...) and x - 2 s = x s."""
    s = x / (2 + x)
    rest = _polynomial([Rational(2, 2 * k + 3) for k in range(TERMS)], s**2)
    near = s * (s**2 * rest - x)
    return Choice(Condition("<", absolute(x), NEAR), near, log1p(x) - x)


def _log1mexp(x: Expr) -> Expr:
    """Near 0 what counts is exp(x) - 1; far below, how little is taken from 1 (Maechler, 2012)."""
    return Choice(Condition(">", x, -HALVED), log(-expm1(x)), log1p(-exp(x)))


def _digamma(x: Expr) -> Expr:
    """log y - 1/(2 y) - sum_k B_2k/(2k y^2k), at y = x + 8 less the recurrence for x < 8."""

    def far(y: Expr) -> Expr:
        series = [-bernoulli(2 * k) / (2 * k) for k in range(1, ASYMPTOTIC)]
        return log(y) - 1 / (2 * y) + y**-2 * _polynomial(series, y**-2)

    down = sum((Pow(x + k, -1) for k in range(1, SHIFT)), 1 / x)
    return Choice(Condition("<", x, Integer(SHIFT)), far(x + SHIFT) - down, far(x))


def _trigamma(x: Expr) -> Expr:
    """1/y + 1/(2 y^2) + sum_k B_2k/y^(2k+1), at y = x + 8 with the recurrence for x < 8."""

    def far(y: Expr) -> Expr:
        series = [bernoulli(2 * k) for k in range(1, ASYMPTOTIC)]
        return 1 / y + y**-2 / 2 + y**-3 * _polynomial(series, y**-2)

    up = sum((Pow(x + k, -2) for k in range(1, SHIFT)), x**-2)
    return Choice(Condition("<", x, Integer(SHIFT)), far(x + SHIFT) + up, far(x))


@lru_cache(maxsize=1)
def erfcx_coefficients() -> tuple[Rational, ...]:
    """Of (1 + 2 x) erfcx(x) for x >= 0, by powers of (x - c)/(x + c), as floats."""

    def curve(y: mpf) -> mpf:
        if y == 1:
            return 2 / mp.sqrt(mp.pi)
        x = CENTER.p * (1 + y) / (CENTER.q * (1 - y))
        return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)

    with mp.workdps(40):
        found = mp.chebyfit(curve, [-1, 1], ERFCX)
    return tuple(Rational(*float(value).as_integer_ratio()) for value in reversed(found))


def _erfcx(x: Expr) -> Expr:
    """Chebyshev's approximation of (1 + 2 x) erfcx(x), and 2 exp(x^2) - erfcx(-x) below 0.

    Source: Shepherd and Laframboise (1981).
    """
    size = absolute(x)
    y = 1 - 2 * CENTER / (size + CENTER)
    above = _polynomial(erfcx_coefficients(), y) / (1 + 2 * size)
    return Choice(Condition("<", x, Integer(0)), 2 * exp(x**2) - above, above)


SERIES: Mapping[type[Function], Callable[[Expr], Expr]] = {
    expm1mx: _expm1mx,
    log1pmx: _log1pmx,
    log1mexp: _log1mexp,
    erfcx: _erfcx,
    digamma: _digamma,
    trigamma: _trigamma,
}
