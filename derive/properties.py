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
from derive.divergence import Bound, divergence_bounds, entropy_bound, gibbs
from derive.engine import gradient
from derive.index import Entry, fresh, substitute, total
from derive.interval import Range
from derive.limits import limits
from derive.loss import Loss
from derive.normal import NormalForm, Undecided
from derive.normal.poly import number
from derive.point import Point
from derive.printing import language
from derive.ranges import Ranges
from derive.statement import Property, assumed, point_where, value_at
from derive.tangents import tangent_bound


def properties(loss: Loss, wrt: str) -> tuple[Property, ...]:
    """Every property that applies to the loss as a function of one name, declared or defined."""
    return (*slope_properties(loss, wrt), *bend_properties(loss, wrt))


def slope_properties(loss: Loss, wrt: str) -> tuple[Property, ...]:
    """Those of the gradient by a name: its sums, its bounds, its limits."""
    slope = gradient(_from(loss, wrt), wrt)
    ends = [] if slope.wrt[0].indices else saturation(slope)
    return (*_sums(slope), *slope_bound(slope), *ends)


def bend_properties(loss: Loss, wrt: str) -> tuple[Property, ...]:
    """Those of the second derivative by a name: convexity, and how fast the gradient changes."""
    return bending(_from(loss, wrt), wrt)


def _from(loss: Loss, wrt: str) -> Loss:
    return loss.from_name(wrt) if wrt in loss.defined else loss


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


def bounds(loss: Loss) -> tuple[Property, ...]:
    """What is known of the values of a loss."""
    return (value_bounds(loss), *_least_at_entropy(loss))


def value_bounds(loss: Loss) -> Property:
    """Between which numbers the loss lies; where nothing is proved, whether it is >= 0."""
    body, name = loss.value.body, loss.value.name
    given = assumed(loss, body)
    ranges = Ranges(loss)
    within = ranges(loss.value.entry)
    better = None if within.bounded else divergence_bounds(loss) or entropy_bound(loss)
    if better is None and within == Range():
        better = tangent_bound(loss)
    if better is not None:
        return _chained(loss, within, better)
    if within != Range():
        steps = tuple(dict.fromkeys((body, substitute(body, ranges.shown))))
        return Property("value bounds", "proved", _between(name, within), loss, steps, None, given)
    example = point_where(
        loss, lambda point: value_at(loss, loss.value.entry, point), lambda value: value < 0
    )
    status = "refuted" if example else "unknown"
    return Property("value bounds", status, f"{name} >= 0", loss, (body,), example)


def _chained(loss: Loss, within: Range, found: Bound) -> Property:
    """The bounds of a chain, and those that the range knows where the chain has none."""
    steps, name = list(found.chain), loss.value.name
    if found.lower is None and within.lower > -float("inf"):
        steps.insert(0, number(within.lower))  # type: ignore[arg-type]
    if found.upper is None and within.upper < float("inf"):
        steps.append(number(within.upper))  # type: ignore[arg-type]
    ends = [
        None if end == loss.value.body else language(end, loss) for end in (steps[0], steps[-1])
    ]
    statement = f"{_within(name, *ends)}, since {found.why}"
    given = assumed(loss, loss.value.body)
    return Property("value bounds", "proved", statement, loss, tuple(steps), None, given, "<=")


def _least_at_entropy(loss: Loss) -> Iterator[Property]:
    """Of a cross-entropy: that it is at least the entropy of its targets."""
    found = gibbs(loss)
    if found is None:
        return
    bound, *alike = found
    a, w = (each.tensor.name if isinstance(each, Entry) else language(each, loss) for each in alike)
    statement = f"{loss.value.name} is at least the entropy of {w}, which it is where {a} is {w}"
    statement += f", since {bound.why} (Gibbs' inequality)"
    given = assumed(loss, loss.value.body)
    yield Property("entropy bound", "proved", statement, loss, bound.chain, None, given, "<=")


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
    ends = (language(end, loss) for end in (lower, upper))
    every = "every entry of " if slope.wrt[0].indices else ""
    statement = f"{every}{_called(slope)} lies between {' and '.join(ends)}"
    given = tuple(dict.fromkeys((*slope.hypotheses, *assumed(loss, expr))))
    yield Property("gradient bounds", "proved", statement, loss, steps, None, given, "<=")


def _called(slope: Derivation) -> str:
    return f"d{slope.of.tensor.name}/d{slope.wrt[0].tensor.name}"


def _is_constant(loss: Loss, factor: Expr, ranges: Ranges) -> bool:
    if not isinstance(factor, Entry) or factor.tensor.name not in loss.declared:
        return False
    const = loss.declared[factor.tensor.name].role == "const"
    return const and not ranges(factor).bounded and ranges(factor).lower >= 0


def _between(name: str, within: Range) -> str:
    infinite = (-float("inf"), float("inf"))
    lower, upper = (None if end in infinite else str(end) for end in within)
    return _within(name, lower, upper)


def _within(name: str, lower: str | None, upper: str | None) -> str:
    if lower is not None and upper is not None:
        return f"{lower} <= {name} <= {upper}"
    return f"{name} >= {lower}" if lower is not None else f"{name} <= {upper}"


def saturation(slope: Derivation) -> list[Property]:
    """The limits of a scalar derivative as its variable grows without bound."""
    found = []
    name = slope.wrt[0].tensor.name
    for end, value, used in limits(slope):
        to = "a limit" if value is None else language(value, slope.loss)
        statement = f"{_called(slope)} tends to {to} as {name} -> {end}"
        status = "unknown" if value is None else "proved"
        shown = () if value is None else (value,)
        given = () if value is None else tuple(dict.fromkeys((*slope.hypotheses, *used)))
        found.append(Property("saturation", status, statement, slope.loss, shown, None, given))
    return found


__all__ = [
    "Property",
    "bend_properties",
    "bounds",
    "convexity",
    "properties",
    "saturation",
    "slope_bound",
    "slope_properties",
    "sums_to_zero",
    "value_bounds",
]
