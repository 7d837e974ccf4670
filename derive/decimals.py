"""Decimals that are long to write as fractions: 1/100000 is 1e-5."""

from __future__ import annotations

from sympy import Expr, Rational

FEWEST = 3  # symbols that a decimal must spare
LEAST_POWER = 5  # 10000 is 10000
SMALL_POWER = -3  # 999999/1000000 is near 1


def scientific(number: Expr) -> tuple[str, int] | None:
    """m and n of a positive rational m 10^n, 1 <= m < 10, where that is shorter to write."""
    if not isinstance(number, Rational) or number <= 0:
        return None
    top, bottom, power = int(number.p), int(number.q), 0
    while bottom % 10 == 0 or bottom % 5 == 0 or bottom % 2 == 0:
        factor = next(f for f in (10, 5, 2) if bottom % f == 0)
        top, bottom, power = top * (10 // factor), bottom // factor, power - 1
    if bottom != 1:
        return None
    digits = str(top)
    exponent = power + len(digits) - 1
    digits = digits.rstrip("0")
    if SMALL_POWER < exponent < LEAST_POWER:
        return None
    if len(digits) + FEWEST >= len(_fraction(number)):
        return None
    return digits[0] + (f".{digits[1:]}" if len(digits) > 1 else ""), exponent


def width(number: Expr) -> int:
    """How many symbols it takes to write a rational."""
    made = scientific(abs(number))
    return len(made[0]) + FEWEST if made else len(_fraction(abs(number)))


def _fraction(number: Expr) -> str:
    return str(number.p) if number.is_Integer else f"{number.p}/{number.q}"
