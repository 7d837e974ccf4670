"""Points at which claims are tried: simple ones first, every size, const and sum varied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import product as cartesian
from math import prod
from random import Random

from sympy import Expr, Rational

from derive.index import Axis, walk
from derive.loss import Declaration, Domain, Loss
from derive.magnitude import fraction
from derive.point import Point

SIZES = (2, 3, 1, 4, 7)

# Short numbers first; then wide ones, which reach saturated and clipped regions.
PALETTES: tuple[tuple[str, ...], ...] = (
    ("0", "1", "-1", "2"),
    ("0", "1", "-1", "2", "3", "1/2", "-2", "-1/2"),
    ("1/2", "3/2", "-1/3", "7/5", "2", "-5/4", "1/10"),
    ("0", "5", "-8", "20", "-20", "1/100", "12"),
    ("40", "-35", "7/3", "1/1000", "-60", "3"),
)
COMMON = (0, 1, 2, Fraction(1, 2))
MOST_HINTS = 6
LARGEST_SIZE = 12
LARGEST_POINT = 128
MOST_SPREAD = 48
MARKS = (-100, -1, 0)
IGNORED = 0.25
UNIT = ("1/2", "0", "1", "1/4", "2/3", "1/10", "9/10", "7/8")


def size_choices(axes: tuple[Axis, ...]) -> list[dict[str, int]]:
    """Sizes for every axis: all equal first, then different from each other."""
    names = [axis.name for axis in axes]
    choices = [dict.fromkeys(names, size) for size in SIZES]
    if len(names) > 1:
        for shift in range(1, 4):
            choices.append({name: SIZES[(k + shift) % 4] for k, name in enumerate(names)})
            choices.append({name: SIZES[(2 * k + shift) % 5] for k, name in enumerate(names)})
    return choices


def numbers(loss: Loss, claim: Expr) -> tuple[Fraction, ...]:
    """The numbers that a claim and its loss are written with, but the commonest, by size."""
    found: dict[Fraction, None] = {}
    for expr in (claim, *(definition.body for definition in loss.definitions)):
        here = {node for node in walk(expr) if isinstance(node, Rational)}
        for node in sorted(here, key=lambda node: (abs(node), node)):
            found.setdefault(abs(Fraction(int(node.p), int(node.q))))
    return tuple(number for number in found if number not in COMMON)[:MOST_HINTS]


def points(loss: Loss, attempts: int = 12, hints: tuple[Fraction, ...] = ()) -> Iterator[Point]:
    """Points in order of growing complexity; the same ones on every run.

    `hints` are numbers at and around which to look, as values and as sizes of axes.
    """
    random = Random(20)
    for round_ in range(attempts):
        palette = PALETTES[min(round_ * len(PALETTES) // attempts, len(PALETTES) - 1)]
        for sizes in size_choices(loss.axes):
            if sizes and max(sizes.values()) > 3 and round_ < 2:
                continue
            if prod(sizes.values()) > LARGEST_POINT:
                continue
            yield _point(loss, sizes, palette, random)
    yield from _around(loss, hints, random)


def spread(loss: Loss) -> Iterator[Point]:
    """More points, with numbers of all magnitudes: for regions that few others reach."""
    random = Random(31)
    names = [axis.name for axis in loss.axes]
    for number in range(MOST_SPREAD):
        sizes = dict.fromkeys(names, 2 + number % 2)
        palette = tuple(str(_of_any_magnitude(random)) for _ in range(24))
        yield _point(loss, sizes, palette, random)


def _of_any_magnitude(random: Random) -> Fraction:
    size = Fraction(random.randrange(16, 32), 16) * Fraction(2) ** random.randrange(-8, 6)
    return size * random.choice((-1, 1))


def _around(loss: Loss, hints: tuple[Fraction, ...], random: Random) -> Iterator[Point]:
    """Points with values at, next to and beyond some numbers, and sizes equal to them."""
    names = [axis.name for axis in loss.axes]
    for hint in hints:
        beside = (hint, hint + 1, hint - 1, 2 * hint, hint * Fraction(101, 100), hint / 2)
        near = tuple(str(sign * value) for value in beside for sign in (1, -1))
        for size in (1, 2, 2, 3):
            yield _point(loss, dict.fromkeys(names, size), near, random)
            yield _point(loss, dict.fromkeys(names, size), (*near[:4], "0", "1"), random)
    wanted = {int(hint) + more for hint in hints for more in (0, 1) if hint.denominator == 1}
    for size in sorted(wanted | {5, 6} if hints else wanted):
        if not 4 < size <= LARGEST_SIZE:
            continue
        for name in names:
            for palette in PALETTES[:2]:
                yield _point(loss, {**dict.fromkeys(names, 2), name: size}, palette, random)


def _point(loss: Loss, sizes: Mapping[str, int], palette: tuple[str, ...], random: Random) -> Point:
    values = {d.name: _values(d, sizes, palette, random) for d in loss.declarations}
    for declaration in loss.declarations:
        if declaration.is_mark:
            values[declaration.name] = {(): Fraction(random.choice(MARKS))}
    for declaration in loss.declarations:
        if declaration.ignored is not None:
            mark, old = values[declaration.ignored.name][()], values[declaration.name]
            marked = {k: mark if random.random() < IGNORED else v for k, v in old.items()}
            values[declaration.name] = marked
    return Point(sizes, values)


def _values(
    declaration: Declaration, sizes: Mapping[str, int], palette: tuple[str, ...], random: Random
) -> dict[tuple[int, ...], Fraction]:
    tensor, domain = declaration.tensor, declaration.domain
    shape = [sizes[axis.name] for axis in tensor.axes]
    if domain.kind == "simplex":
        return _simplex(shape, random)
    return {
        place: _number(domain, sizes, tensor.label, palette, random)
        for place in cartesian(*map(range, shape))
    }


def _simplex(shape: list[int], random: Random) -> dict[tuple[int, ...], Fraction]:
    """Rows of non-negative numbers that sum to 1: now and then a single 1."""
    values: dict[tuple[int, ...], Fraction] = {}
    for row in cartesian(*map(range, shape[:-1])):
        last = shape[-1]
        if random.random() < 0.25:
            hot = random.randrange(last)
            weights = [int(k == hot) for k in range(last)]
        else:
            weights = [random.choice((1, 1, 2, 3, 5)) for _ in range(last)]
        whole = sum(weights)
        values |= {(*row, k): Fraction(weight, whole) for k, weight in enumerate(weights)}
    return values


def _number(
    domain: Domain,
    sizes: Mapping[str, int],
    label: Axis | None,
    palette: tuple[str, ...],
    random: Random,
) -> Fraction:
    if label is not None:
        return Fraction(random.randrange(sizes[label.name]))
    if domain.kind == "binary":
        return Fraction(random.randrange(2))
    if domain.kind == "sign":
        return Fraction(random.choice((-1, 1)))
    if domain.kind == "unit":
        return _between(Fraction(0), Fraction(1), Domain(), random)
    number = Fraction(random.choice(palette))
    lower = None if domain.lower is None else fraction(domain.lower, 1)
    upper = None if domain.upper is None else fraction(domain.upper, -1)
    if lower is not None and upper is not None:
        return _between(lower, upper, domain, random)
    if lower is not None:
        number = lower + abs(number)
        return number + (1 if number == lower and domain.lower_open else 0)
    if upper is not None:
        number = upper - abs(number)
        return number - (1 if number == upper and domain.upper_open else 0)
    return number


def _between(lower: Fraction, upper: Fraction, domain: Domain, random: Random) -> Fraction:
    allowed = [
        part
        for part in map(Fraction, UNIT)
        if not (part == 0 and domain.lower_open) and not (part == 1 and domain.upper_open)
    ]
    return lower + (upper - lower) * random.choice(allowed)


def allows(
    declaration: Declaration,
    value: Fraction,
    sizes: Mapping[str, int],
    mark: Fraction | None = None,
) -> bool:
    """Whether one number lies in the domain of a declaration (a simplex is judged by rows).

    `mark` is the label that is ignored, where there is one.
    """
    domain, label = declaration.domain, declaration.tensor.label
    if declaration.is_mark or (mark is not None and value == mark):
        return value.denominator == 1
    if label is not None:
        return value.denominator == 1 and 0 <= value < sizes[label.name]
    if domain.kind in ("binary", "sign"):
        return value in ((0, 1) if domain.kind == "binary" else (-1, 1))
    if domain.kind == "unit":
        return 0 <= value <= 1
    if domain.lower is not None:
        lower = fraction(domain.lower, 1)
        if value < lower or (value == lower and domain.lower_open):
            return False
    if domain.upper is not None:
        upper = fraction(domain.upper, -1)
        if value > upper or (value == upper and domain.upper_open):
            return False
    return domain.kind != "simplex"


def shortened(loss: Loss, point: Point, axis: str) -> Point | None:
    """The point without the last entry along an axis, rows on the simplex made to sum to 1
    again; None where that cannot be."""
    last = point.sizes[axis] - 1
    sizes = {**point.sizes, axis: last}
    values: dict[str, Mapping[tuple[int, ...], Fraction]] = {}
    for declaration in loss.declarations:
        tensor = declaration.tensor
        cut = [k for k, own in enumerate(tensor.axes) if own.name == axis]
        kept = {
            place: value
            for place, value in point.values[declaration.name].items()
            if all(place[k] < last for k in cut)
        }
        if tensor.label is not None and tensor.label.name == axis and not declaration.is_mark:
            kept = {place: min(value, Fraction(last - 1)) for place, value in kept.items()}
        if declaration.domain.kind == "simplex" and len(tensor.axes) - 1 in cut:
            sums: dict[tuple[int, ...], Fraction] = {}
            for place, value in kept.items():
                sums[place[:-1]] = sums.get(place[:-1], Fraction(0)) + value
            if 0 in sums.values():
                return None
            kept = {place: value / sums[place[:-1]] for place, value in kept.items()}
        values[declaration.name] = kept
    return Point(sizes, values)
