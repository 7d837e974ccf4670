"""What follows from a derivative: sums to zero, bounds, convexity or a counterexample, limits.

Each property is proved by the normal form or by intervals, or refuted by balls; none is read
off a table.
"""

from __future__ import annotations

from collections.abc import Iterator

from flint import arb
from sympy import Expr, Mul

from derive.convexity import bending, convexity
from derive.derivation import Derivation
from derive.engine import gradient
from derive.index import Entry, fresh, substitute, total
from derive.limits import limits
from derive.loss import Loss
from derive.normal import NormalForm, Undecided
from derive.normal.poly import number
from derive.point import Point
from derive.ranges import Range, Ranges
from derive.statement import Property, assumed, point_where, value_at


def properties(loss: Loss, wrt: str) -> tuple[Property, ...]:
    """Every property that applies to the loss as a function of one name, declared or defined."""
    loss = loss.from_name(wrt) if wrt in loss.defined else loss
    slope = gradient(loss, wrt)
    found = [*_sums(slope), *slope_bound(slope), *bending(loss, wrt)]
    if not slope.wrt[0].indices:
        found += saturation(slope)
    return tuple(found)


def _sums(slope: Derivation) -> Iterator[Property]:
    """The sums over each axis: the last one always, others where they are 0."""
    for place in reversed(range(len(slope.wrt[0].indices))):
        found = sums_to_zero(slope, place)
        if found.status == "proved" or place == len(slope.wrt[0].indices) - 1:
            yield found


def sums_to_zero(slope: Derivation, place: int = -1) -> Property:
    """Whether the gradient's entries over an axis sum to 0: shifts along it change nothing."""
    index = slope.wrt[0].indices[place]
    free = fresh(index.axis)
    whole = total(free, substitute(slope.result, {index: free}))
    name, loss = slope.wrt[0].tensor.name, slope.loss
    over = f" over {index.axis}" if len(slope.wrt[0].indices) > 1 else ""
    statement = f"the gradient's entries sum to 0{over}: a constant added to all of {name}"
    statement += f"{' along ' + index.axis.name if over else ''} changes nothing"
    form = NormalForm(loss, assume=True)
    try:
        zero = form.is_zero(whole)
    except Undecided:
        zero = False
    title = "gradient sums to zero"
    if zero:
        given = tuple(dict.fromkeys((*slope.hypotheses, *sorted(form.used))))
        return Property(title, "proved", statement, loss, (whole,), None, given)

    def summed(point: Point) -> arb | None:
        here = value_at(loss, slope.of, point)  # the loss itself has a value
        return None if here is None else value_at(loss, whole, point, strict=True)

    example = point_where(loss, summed, lambda value: 0 not in value)
    status = "refuted" if example else "unknown"
    return Property(title, status, statement, loss, (whole,), example)


def value_bounds(loss: Loss) -> Property:
    """Between which numbers the loss lies; where nothing is proved, whether it is >= 0."""
    body, name = loss.value.body, loss.value.name
    within = Ranges(loss)(loss.value.entry)
    if within != Range():
        statement = f"the loss is bounded: {_between(name, within)}"
        given = assumed(loss, body)
        return Property("value bounds", "proved", statement, loss, (body,), None, given)
    example = point_where(
        loss, lambda point: value_at(loss, loss.value.entry, point), lambda value: value < 0
    )
    status = "refuted" if example else "unknown"
    return Property("value bounds", status, f"{name} >= 0", loss, (body,), example)


def slope_bound(slope: Derivation) -> Iterator[Property]:
    """Numbers that every entry of the gradient lies between, where there are such; constants
    that are >= 0 stay in front as they are."""
    loss, expr = slope.loss, slope.result
    ranges = Ranges(loss)
    front = Mul(*(f for f in Mul.make_args(expr) if _is_constant(loss, f, ranges)))
    within = ranges(expr / front)
    if not within.bounded:
        return
    lower, upper = (front * number(end) for end in within)  # type: ignore[arg-type]
    steps = (lower, expr, upper)
    statement = "the gradient is bounded, entry by entry"
    given = tuple(dict.fromkeys((*slope.hypotheses, *assumed(loss, expr))))
    yield Property("gradient bounds", "proved", statement, loss, steps, None, given, "<=")


def _is_constant(loss: Loss, factor: Expr, ranges: Ranges) -> bool:
    if not isinstance(factor, Entry) or factor.tensor.name not in loss.declared:
        return False
    const = loss.declared[factor.tensor.name].role == "const"
    return const and not ranges(factor).bounded and ranges(factor).lower >= 0


def _between(name: str, within: Range) -> str:
    lower, upper = within
    if not within.bounded:
        return f"{name} >= {lower}" if lower > -float("inf") else f"{name} <= {upper}"
    return f"{lower} <= {name} <= {upper}"


def saturation(slope: Derivation) -> list[Property]:
    """The limits of a scalar derivative as its variable grows without bound."""
    found = []
    name = slope.wrt[0].tensor.name
    for end, value in limits(slope):
        statement = f"the gradient tends to this as {name} -> {end}"
        status = "unknown" if value is None else "proved"
        shown = () if value is None else (value,)
        given = () if value is None else slope.hypotheses
        found.append(Property("saturation", status, statement, slope.loss, shown, None, given))
    return found


__all__ = [
    "Property",
    "convexity",
    "properties",
    "saturation",
    "slope_bound",
    "sums_to_zero",
    "value_bounds",
]
