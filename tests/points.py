"""Points without ties, and comparisons in balls, for tests of expressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import product
from random import Random
from typing import Any

from flint import arb

from derive.evaluate import Point, evaluate
from derive.index import Index, axis_of, free_indices
from derive.loss import Declaration, Loss

WIDEST = arb("1e-20")
SIZES = (3, 2, 4)


def generic_point(loss: Loss, seed: int, sizes: Mapping[str, int] | None = None) -> Point:
    """Values drawn from the domains, no two of them equal; axes of different sizes."""
    random = Random(seed)
    if sizes is None:
        sizes = {a.name: SIZES[(k + seed) % 3] for k, a in enumerate(loss.axes)}
    return Point(sizes, {d.name: _draw(d, sizes, random) for d in loss.declarations})


def _draw(
    declaration: Declaration, sizes: Mapping[str, int], random: Random
) -> dict[tuple[int, ...], Fraction]:
    tensor, domain = declaration.tensor, declaration.domain
    places = list(product(*(range(sizes[axis.name]) for axis in tensor.axes)))
    part = {place: Fraction(random.randint(1, 10**6), 10**6 + 1) for place in places}
    if declaration.is_mark:
        return {(): Fraction(-100)}
    if tensor.label is not None:
        return {place: Fraction(random.randrange(sizes[tensor.label.name])) for place in places}
    if domain.kind == "simplex":
        rows: dict[tuple[int, ...], Fraction] = {}
        for place, value in part.items():
            rows[place[:-1]] = rows.get(place[:-1], Fraction(0)) + value
        return {place: value / rows[place[:-1]] for place, value in part.items()}
    if domain.kind == "unit":
        return part
    if domain.kind in ("binary", "sign"):
        lower = 0 if domain.kind == "binary" else -1
        return {place: Fraction(random.choice((lower, 1))) for place in places}
    if domain.lower is not None:
        return {place: Fraction(str(domain.lower)) + 2 * value for place, value in part.items()}
    return {place: 4 * value - 2 for place, value in part.items()}


def environments(sizes: Mapping[str, int], *exprs: Any) -> Iterator[dict[Index, int]]:
    """Every choice of numbers for the free indices of some expressions."""
    found = frozenset().union(*(free_indices(expr) for expr in exprs))
    indices = sorted(found, key=lambda index: (index.name, index.axis.name, index.uid))
    ranges = [range(sizes[axis_of(index).name]) for index in indices]
    for chosen in product(*ranges):
        yield dict(zip(indices, chosen, strict=True))


def assert_same_value(
    loss: Loss, left: Any, right: Any, seed: int, sizes: Mapping[str, int] | None = None
) -> None:
    """Both sides are finite, narrow balls that overlap, at every choice of free indices."""
    point = generic_point(loss, seed, sizes)
    for env in environments(point.sizes, left, right):
        one, two = (evaluate(loss, side, point, env) for side in (left, right))
        for ball in (one, two):
            assert ball.is_finite(), (left, right, point, env)
            assert ball.rad() < WIDEST * (1 + abs(ball)), "too wide to tell"
        assert one.overlaps(two), f"{left}\n!= {right}\nat {point}, {env}: {one} != {two}"
