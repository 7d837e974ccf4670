"""Squares that were multiplied out: (u + v)^2 found again in u^2 + 2 u v + v^2."""

from __future__ import annotations

from itertools import combinations
from math import isqrt

from derive.normal.poly import Coefficient, Mono, Poly, add_to, join, mono_key, raise_mono, ratio

SIZES = {3: 2, 6: 3}
MOST_CANDIDATES = 6


def square_root(poly: Poly) -> Poly | None:
    """A polynomial of two or three terms whose square this is; None where there is none."""
    count = SIZES.get(len(poly))
    if count is None:
        return None
    roots = [
        (raise_mono(mono, ratio(1, 2)), root)
        for mono, value in sorted(poly.items(), key=lambda item: mono_key(item[0]))
        if all(power % 2 == 0 for _, power in mono) and (root := _number(value)) is not None
    ]
    if len(roots) > MOST_CANDIDATES:
        return None
    for chosen in combinations(roots, count):
        (first, _), *others = chosen
        found: Poly = {_whole(first): chosen[0][1]}
        for mono, value in others:
            found[_whole(mono)] = value if poly.get(join(first, mono), 0) > 0 else -value
        if len(found) == count and _square(found) == poly:
            return found
    return None


def _whole(mono: Mono) -> Mono:
    return frozenset((base, ratio(power)) for base, power in mono)


def _number(value: Coefficient) -> Coefficient | None:
    if value <= 0:
        return None
    above, below = isqrt(value.numerator), isqrt(value.denominator)
    exact = above**2 == value.numerator and below**2 == value.denominator
    return ratio(above, below) if exact else None


def _square(poly: Poly) -> Poly:
    result: Poly = {}
    for mono, value in poly.items():
        for other, factor in poly.items():
            add_to(result, {join(mono, other): value * factor})
    return result
