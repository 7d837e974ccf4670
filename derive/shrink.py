"""Small counterexamples: fewer entries along the axes, then simpler numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction

from derive.loss import Declaration, Loss
from derive.point import Point
from derive.sampling import allows, shortened
from derive.verdict import Counterexample

SIMPLE = (Fraction(0), Fraction(1), Fraction(1, 2))
Values = Mapping[tuple[int, ...], Fraction]
Try = Callable[[Point], Counterexample | None]


def shrink(loss: Loss, found: Counterexample, holds: Try) -> Counterexample:
    """The counterexample, made smaller while `holds` finds one at the point."""
    best = _fewer(loss, found, holds)
    for declaration in loss.declarations:
        if declaration.domain.kind == "simplex":
            best = _rows(declaration, best, holds)
            continue
        for place in best.point.values[declaration.name]:
            for simple in _simpler(best.point.values[declaration.name][place]):
                old = best.point.values[declaration.name]
                if simple == old[place]:
                    break
                if not allows(declaration, simple, best.sizes):
                    continue
                again = _with(declaration, best, {**old, place: simple}, holds)
                if again is not None:
                    best = again
                    break
    return best


def _fewer(loss: Loss, best: Counterexample, holds: Try) -> Counterexample:
    """Entries taken away along one axis after the other, until none can be."""
    sizes = None
    while sizes != best.sizes:
        sizes = best.sizes
        for name in sorted(sizes):
            while best.sizes[name] > 1:
                smaller = shortened(loss, best.point, name)
                again = holds(smaller) if smaller else None
                if again is None:
                    break
                best = again
    return best


def _rows(declaration: Declaration, best: Counterexample, holds: Try) -> Counterexample:
    """Rows that sum to 1: a single 1, or all entries alike."""
    for row in sorted({place[:-1] for place in best.point.values[declaration.name]}):
        old = best.point.values[declaration.name]
        places = sorted(place for place in old if place[:-1] == row)
        whole = [dict.fromkeys(places, Fraction(1, len(places)))]
        single = [{place: Fraction(int(place == hot)) for place in places} for hot in places]
        for simple in (*single, *whole):
            values = {**old, **simple}
            again = None if values == old else _with(declaration, best, values, holds)
            if values == old or again is not None:
                best = again or best
                break
    return best


def _with(
    declaration: Declaration, best: Counterexample, values: Values, holds: Try
) -> Counterexample | None:
    changed = {**best.point.values, declaration.name: values}
    return holds(replace(best.point, values=changed))


def _simpler(value: Fraction) -> Iterator[Fraction]:
    """Numbers to try for a number, the simplest first."""
    yield from SIMPLE
    yield from (value.limit_denominator(10**digits) for digits in range(1, 8))
