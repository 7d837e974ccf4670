"""A property as data, and points that settle one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from flint import arb, ctx
from sympy import Expr

from derive.balls import Undetermined
from derive.errors import PminusyError
from derive.evaluate import Evaluator
from derive.index import tensors
from derive.loss import Declaration, Loss
from derive.point import Point
from derive.proof import PRECISION, letters
from derive.sampling import points
from derive.verdict import Counterexample


@dataclass(frozen=True)
class Property:
    """One property: `status` is "proved", "refuted" or "unknown"; `steps` is a chain of
    expressions that shows it, over the names of `loss`, each in `relation` to the next.

    A counterexample is of "the last step is >= 0" unless the statement says otherwise.
    """

    name: str
    status: str
    statement: str
    loss: Loss
    steps: tuple[Expr, ...] = ()
    counterexample: Counterexample | None = None
    hypotheses: tuple[str, ...] = ()
    relation: str = "="


def assumed(loss: Loss, *exprs: Expr) -> tuple[str, ...]:
    """The domains of the declared names that expressions depend on, as hypotheses."""
    names = {name for e in exprs for t in tensors(e) for name in loss.below(t.name)}
    return tuple(text for d in loss.declarations if d.name in names and (text := _domain(d)))


def _domain(declaration: Declaration) -> str:
    domain, name = declaration.domain, declaration.name
    if domain.kind in ("simplex", "unit", "binary", "sign"):
        return f"{name} in {domain.kind}"
    low, high = ("<" if end else "<=" for end in (domain.lower_open, domain.upper_open))
    if domain.lower is not None and domain.upper is not None:
        return f"{name} with {domain.lower} {low} {name} {high} {domain.upper}"
    if domain.lower is not None:
        return f"{name} {low.replace('<', '>')} {domain.lower}"
    return f"{name} {high} {domain.upper}" if domain.upper is not None else ""


def value_at(loss: Loss, expr: Expr, point: Point, strict: bool = False) -> arb | None:
    """The ball of an expression, its free indices 0; None where it has no value.

    `strict` also leaves out every point on which a comparison is an equality.
    """
    try:
        value = Evaluator(loss, point, strict)(expr, dict.fromkeys(letters(expr), 0))
    except (Undetermined, ZeroDivisionError, ValueError, PminusyError):
        return None
    return value if isinstance(value, arb) and value.is_finite() else None


def point_where(
    loss: Loss,
    value: Callable[[Point], arb | None],
    wanted: Callable[[arb], bool],
    direction: str = "",
    along: str = "",
    most: int | None = None,
) -> Counterexample | None:
    """A point where a value is as wanted, among the first so many, or all, that are tried.

    A `direction` along a name that sums to 1 is made to sum to 0.
    """
    for point in islice(points(loss), most):
        here = _feasible(loss, point, direction, along)
        with ctx.workprec(PRECISION):
            found = value(here)
            if found is not None and wanted(found):
                return Counterexample(here, {}, found * 0, found)
    return None


def _feasible(loss: Loss, point: Point, direction: str, along: str) -> Point:
    if not along or loss.declared[along].domain.kind != "simplex":
        return point
    moved = dict(point.values[direction])
    for row in sorted({place[:-1] for place in moved}):
        *others, last = [place for place in sorted(moved) if place[:-1] == row]
        moved[last] = -sum((moved[place] for place in others), moved[last] * 0)
    return replace(point, values={**point.values, direction: moved})


def definitions_of(loss: Loss, name: str) -> Iterator[str]:
    """The definitions whose own text names a name, in order."""
    tensor = loss.tensor(name)
    return (d.name for d in loss.definitions if tensor in tensors(d.body))
