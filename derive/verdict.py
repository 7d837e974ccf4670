"""What became of a claim, and the point where it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flint import arb
from sympy import Expr

from derive.point import Point, nested, show
from derive.shown import Shown

WIDE = 1e-6


@dataclass(frozen=True)
class Counterexample:
    """A point where claim and truth differ: sizes, exact values, index numbers (from 0)."""

    point: Point
    indices: Mapping[str, int]
    claimed: arb
    true: arb

    @property
    def sizes(self) -> Mapping[str, int]:
        return self.point.sizes

    @property
    def values(self) -> Mapping[str, Any]:
        """The values as nested lists of exact numbers."""
        return {name: nested(given) for name, given in self.point.values.items()}

    def __str__(self) -> str:
        where = [f"{name} = {size}" for name, size in self.sizes.items()]
        where += [f"{name} = {show(value)}" for name, value in self.values.items()]
        where += [f"{letter} = {number}" for letter, number in self.indices.items()]
        return (
            ", ".join(where)
            + f": the claim gives {decimal(self.claimed)}, the truth is {decimal(self.true)}"
        )


@dataclass(frozen=True)
class Verdict(Shown):
    """What became of a claim.  `status` is "proved", "refuted" or "unknown".

    `answer` is the right expression, in the language of .loss files, for a claim that is not
    proved, where there is one.
    """

    status: str
    claim: Expr
    truth: Expr
    reason: str
    hypotheses: tuple[str, ...] = ()
    counterexample: Counterexample | None = None
    hint: str = ""
    tried: int = 0
    answer: str = ""

    def __bool__(self) -> bool:
        return self.status == "proved"


def decimal(value: arb, digits: int = 6) -> str:
    """A ball as a short decimal; one around 0 is 0, and a wide one is given by its ends."""
    if value.is_nan():
        return "no value"
    if value.rad() > WIDE * (1 + abs(value)):
        ends = (value.lower(), value.upper())
        low, high = ("0" if abs(end) < WIDE * value.rad() else decimal(end) for end in ends)
        return f"between {low} and {high}"
    return "0" if value.contains(0) else str(value.str(digits, radius=False))
