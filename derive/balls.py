"""Functions of balls and of truncated power series of balls."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from flint import arb, arb_series, fmpq

from derive.errors import PminusyError

Number = Any  # arb or arb_series


class Undetermined(PminusyError):
    """A comparison that the balls do not decide, or that lies on a kink or a jump."""


def ball(value: Fraction | int) -> arb:
    """An exact number as a ball of the working precision."""
    return arb(fmpq(value.numerator, value.denominator))


def sign_of(value: Number) -> int:
    """The sign of a number.

    Raises Undetermined where its ball holds 0 and more, or where a series that is 0 moves.
    """
    here = value[0] if isinstance(value, arb_series) else value
    if here > 0:
        return 1
    if here < 0:
        return -1
    still = not isinstance(value, arb_series) or value[1] == 0
    if here == 0 and still:
        return 0
    raise Undetermined("a comparison at this point is not decided")


def product(one: Number, two: Number) -> Number:
    """A product; times what has no value there is none, also where the other factor is 0."""
    finite = all(_is_finite(factor) for factor in (one, two))
    return one * two if finite else arb("nan")


def _is_finite(value: Number) -> bool:
    parts = (value[0], value[1]) if isinstance(value, arb_series) else (value,)
    return all(part.is_finite() for part in parts)


def _gamma_slope(x: Number, order: int) -> Number:
    """digamma and trigamma: the derivatives of lgamma, read off its power series; for x < 0 by
    psi(x) = psi(1 - x) - pi cot(pi x) and its derivatives."""
    if isinstance(x, arb_series):
        slopes = [_gamma_slope(x[0], order), _gamma_slope(x[0], order + 1) * x[1]]
        return arb_series(slopes, prec=2)
    if x < 0:
        sine, cosine = x.sin_pi(), x.cos_pi()
        turn = (cosine / sine, -1 / sine**2, 2 * cosine / sine**3)[order] * arb.pi() ** (order + 1)
        return (-1) ** order * _gamma_slope(1 - x, order) - turn
    factorial = (1, 2, 6)[order]
    return arb_series([x, 1], prec=order + 2).lgamma()[order + 1] * factorial


def _sinh(x: Number) -> Number:
    return (x.exp() - (-x).exp()) / 2


def _cosh(x: Number) -> Number:
    return (x.exp() + (-x).exp()) / 2


def _larger(x: Number, y: Number) -> Number:
    return x if sign_of(x - y) >= 0 else y


FUNCTIONS: dict[str, Callable[..., Number]] = {
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
    "tan": lambda x: x.tan(),
    "asin": lambda x: x.asin(),
    "acos": lambda x: x.acos(),
    "atan": lambda x: x.atan(),
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": lambda x: _sinh(x) / _cosh(x),
    "erf": lambda x: x.erf(),
    "erfc": lambda x: x.erfc(),
    "erfcx": lambda x: (x * x).exp() * x.erfc(),
    "lgamma": lambda x: x.lgamma(),
    "digamma": lambda x: _gamma_slope(x, 0),
    "trigamma": lambda x: _gamma_slope(x, 1),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "softplus": lambda x: (1 + x.exp()).log(),
    "grouped": lambda x: x,
    "log1p": lambda x: (1 + x).log(),
    "expm1": lambda x: x.exp() - 1,
    "log1pmx": lambda x: (1 + x).log() - x,
    "expm1mx": lambda x: x.exp() - 1 - x,
    "log1mexp": lambda x: (-x.expm1()).log(),
    "relu": lambda x: x if sign_of(x) > 0 else arb(0),
    "absolute": lambda x: x if sign_of(x) >= 0 else -x,
    "Abs": lambda x: x if sign_of(x) >= 0 else -x,
    "largest": _larger,
    "smallest": lambda x, y: -_larger(-x, -y),
}

KINKED = frozenset(("relu", "absolute", "Abs", "largest", "smallest"))
