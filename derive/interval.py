"""Closed intervals with exact ends, and what arithmetic makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import product as cartesian
from typing import Any, NamedTuple

from derive.loss import Declaration

Number = Fraction | float
INFINITE = float("inf")


class Range(NamedTuple):
    """A closed interval; an end that is not bounded is infinite."""

    lower: Number = -INFINITE
    upper: Number = INFINITE

    @property
    def bounded(self) -> bool:
        return self.lower > -INFINITE and self.upper < INFINITE


EVERYTHING, UNIT = Range(), Range(Fraction(0), Fraction(1))
POSITIVE, NEGATIVE = Range(Fraction(0)), Range(upper=Fraction(0))
SYMMETRIC = Range(Fraction(-1), Fraction(1))
KINDS = {"simplex": UNIT, "unit": UNIT, "binary": UNIT, "sign": SYMMETRIC}


def declared(declaration: Declaration) -> Range:
    """What the domain of a declared name says."""
    domain = declaration.domain
    if domain.kind in KINDS:
        return KINDS[domain.kind]
    lower, upper = (
        None if bound is None else _fraction(bound) for bound in (domain.lower, domain.upper)
    )
    return Range(-INFINITE if lower is None else lower, INFINITE if upper is None else upper)


def _fraction(bound: Any) -> Fraction | None:
    return Fraction(int(bound.p), int(bound.q)) if bound.is_Rational else None


def add(one: Range, two: Range) -> Range:
    return Range(one.lower + two.lower, one.upper + two.upper)


def times(one: Range, two: Range) -> Range:
    ends = [Fraction(0) if 0 in (a, b) else a * b for a, b in cartesian(one, two)]
    return Range(min(ends), max(ends))


def whole_power(base: Range, exponent: int) -> Range:
    ends = [base.lower**exponent, base.upper**exponent]
    if exponent % 2 == 0 and base.lower < 0 < base.upper:
        ends.append(Fraction(0))
    return Range(min(ends), max(ends))


def hull(parts: Iterable[Range]) -> Range:
    found = list(parts)
    return Range(min(part.lower for part in found), max(part.upper for part in found))
