"""The derivative along one entry in ball arithmetic, as the slope of a truncated power series.

A series of two terms does not tell x**2 from 0 at x = 0.  Where a comparison is an equality
there, its outcome may be another one on both sides: then the slope counts only where it is
that of the values close by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from flint import arb, arb_series

from derive.balls import Number, Undetermined

STEP = arb(2) ** -40
TOLERANCE = arb("1e-6")


class Movable(Protocol):
    """What an evaluator tells of one entry; `still` of a comparison with 0 that did not move."""

    still: bool

    def at(self, name: str, place: tuple[int, ...]) -> Number: ...

    def moved(self: M, name: str, place: tuple[int, ...], value: Number, freeze: bool) -> M: ...


M = TypeVar("M", bound=Movable)


def slope(
    at: M, name: str, place: tuple[int, ...], freeze: bool, value_of: Callable[[M], Number]
) -> arb:
    """The derivative of `value_of` along one entry; NaN where there is no value.

    Raises Undetermined where a comparison that is an equality leaves it open.
    """
    start = at.at(name, place)
    inner = at.moved(name, place, arb_series([start, 1], prec=2), freeze)
    value = value_of(inner)
    here, found = (value[0], value[1]) if isinstance(value, arb_series) else (value, arb(0))
    if not here.is_finite():
        return arb("nan")
    if inner.still:
        for way in (STEP, -STEP):
            there = value_of(at.moved(name, place, start + way, freeze))
            if not abs((there - here) / way - found) < TOLERANCE * (1 + abs(found)):
                raise Undetermined("a comparison at this point is an equality")
    return found
