"""Points to show a loss at where nobody named one: few and short numbers, no two rows alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

from derive.loss import Declaration, Loss
from derive.magnitude import fraction
from derive.point import Point
from derive.sampling import allows

SIZE = 3
SCORES = (("1.4", "3.2", "5"), ("2", "3", "4"), ("1.5", "2", "2.5"))
SCALARS = ("0.6", "2", "1")
SHARES = (("0.1", "0.2", "0.7"), ("0.2", "0.5", "0.3"))
SPREAD = ("0.3", "0.6", "0.7")  # from the lower end of a range to the upper
OTHERS = ("1", "0.5", "2", "0.25", "-0.5", "0")  # where a domain refuses those


@dataclass(frozen=True)
class _Manner:
    """How targets look, how far the rows of numbers are moved on, how large a const may be."""

    soft: bool
    shift: int
    most: int | None


# One-hot first; a soft target where log 0 would stand; others where a margin is kept already;
# a smaller scale where a softmax would show nothing but 0 and 1.
MANNERS = tuple(
    _Manner(soft, shift, most) for most in (None, 4) for shift in range(3) for soft in (False, True)
)


def usual_points(loss: Loss) -> Iterator[Point]:
    """Three entries along every axis, the last class the true one, consts at their defaults.

    A vector of scores is (1.4, 3.2, 5); under a layer of weights 0.1, 0.2, ... it is their
    product with (1, 2, 3).  Nothing where a domain takes none of the numbers tried.
    """
    sizes = {axis.name: SIZE for axis in loss.axes}
    deepest = max((len(d.tensor.axes) for d in loss.declarations if d.role == "param"), default=0)
    for manner in MANNERS:
        values: dict[str, dict[tuple[int, ...], Fraction]] = {}
        for turn, declaration in _turns(loss):
            given = _Given(declaration, turn + manner.shift, deepest, manner)
            array = _array(given, sizes)
            if array is None:
                return
            values[declaration.name] = array
        yield Point(sizes, values)


@dataclass(frozen=True)
class _Given:
    """A declared name; how many of its rank came before it; the rank of the layer's weights;
    the manner of the point."""

    declaration: Declaration
    turn: int
    deepest: int
    manner: _Manner


def _turns(loss: Loss) -> Iterator[tuple[int, Declaration]]:
    seen: dict[int, int] = {}
    for declaration in loss.declarations:
        rank = len(declaration.tensor.axes)
        yield seen.get(rank, 0), declaration
        seen[rank] = seen.get(rank, 0) + (declaration.role != "const")


def _array(given: _Given, sizes: Mapping[str, int]) -> dict[tuple[int, ...], Fraction] | None:
    found: dict[tuple[int, ...], Fraction] = {}
    for place in product(*(range(sizes[axis.name]) for axis in given.declaration.tensor.axes)):
        tried = (_wanted(given, place), *map(Fraction, OTHERS))
        fitting = (number for number in tried if _fits(given.declaration, number, sizes))
        number = next(fitting, None)
        if number is None:
            return None
        found[place] = number
    return found


def _fits(declaration: Declaration, value: Fraction, sizes: Mapping[str, int]) -> bool:
    return declaration.domain.kind == "simplex" or allows(declaration, value, sizes)


def _wanted(given: _Given, place: tuple[int, ...]) -> Fraction:
    """The number at a place of a declared name, as far as its domain allows it."""
    declaration = given.declaration
    domain = declaration.domain
    if declaration.default is not None:
        default, most = fraction(declaration.default), given.manner.most
        return default if most is None else min(default, Fraction(most))
    if declaration.tensor.label is not None:
        return Fraction((SIZE - 1 + sum(place) + given.turn) % SIZE)
    if declaration.role == "target" and domain.kind != "real":
        return _target(given, place)
    if domain.kind == "simplex":
        return Fraction(SHARES[given.turn % len(SHARES)][sum(place) % SIZE])
    share = Fraction(SPREAD[(sum(place) + given.turn) % SIZE])
    if domain.kind == "unit":
        return share
    if domain.lower is not None and domain.upper is not None:
        start, end = fraction(domain.lower, 1), fraction(domain.upper, -1)
        return start + (end - start) * share
    return _free(given, place)


def _target(given: _Given, place: tuple[int, ...]) -> Fraction:
    kind, number = given.declaration.domain.kind, sum(place) + given.turn
    if kind == "simplex":
        shares = SHARES[given.turn % len(SHARES)]
        return Fraction(
            shares[sum(place) % SIZE] if given.manner.soft else int(sum(place) % SIZE == 2)
        )
    if kind == "unit" and given.manner.soft:
        return Fraction(SPREAD[number % SIZE])
    if kind in ("binary", "unit", "sign"):
        return Fraction(1) if not place or number % 2 == 0 else Fraction(0 - (kind == "sign"))
    return _free(given, place)


def _free(given: _Given, place: tuple[int, ...]) -> Fraction:
    param = given.declaration.role == "param"
    if param and len(place) < given.deepest:
        return Fraction(0)
    if len(place) > 1 or param:
        before = given.turn * SIZE if len(place) > 1 else 0
        row = sum(at * SIZE**power for power, at in enumerate(reversed(place)))
        return Fraction(1 + row + before, 10)
    if not place:
        return Fraction(SCALARS[given.turn % len(SCALARS)])
    if given.deepest and given.turn == 0:
        return Fraction(place[0] + 1)
    return Fraction(SCORES[given.turn % len(SCORES)][place[0]])
