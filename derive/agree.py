"""Steps compared in balls at several points, where no normal form decides them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from flint import ctx
from sympy import Expr

from derive import edges, kinks
from derive.balls import Undetermined
from derive.errors import PminusyError
from derive.evaluate import Evaluator
from derive.index import Diff, Index, Partial, kinds
from derive.loss import Loss
from derive.point import Point
from derive.proof import MOST_AT_EDGES, PRECISION, differs, letters, number, places
from derive.sampling import points

MOST_LEVELS = 4


def agree_numerically(loss: Loss, before: Expr, after: Expr, most: int = 12) -> str:
    """Compare two expressions in balls at several sizes; the method's name, or "unknown".

    Raises PminusyError where the balls exclude equality: that is an error in a rule.  It is
    unknown where the value is lost at a point, or the slope at a kink is none of those around.
    """
    sizes: set[str] = set()
    agreed = 0
    for point in points(loss, attempts=3):
        found, seen, _ = differs(loss, before, after, point, strict=True)
        if found is not None:
            raise PminusyError(f"a step changed the value: {found}")
        if seen:
            agreed += 1
            sizes.add(", ".join(f"{name} = {size}" for name, size in point.sizes.items()))
        if agreed >= most:
            break
    if agreed < most // 2 or not holds_on_levels(loss, before, after):
        return "unknown"
    where = "; ".join(sorted(size for size in sizes if size))
    return f"ball arithmetic at {where or f'{agreed} points'}"


def holds_on_levels(loss: Loss, before: Expr, after: Expr) -> bool:
    """Whether nothing speaks against a step where an equality of reals in it holds: no value is
    lost there, and a slope is one of those around."""
    return all(
        not _fails_at(loss, before, after, there, env)
        for point in islice(points(loss, attempts=1), MOST_LEVELS)
        for env in islice(places(letters(before, after), point.sizes), MOST_AT_EDGES)
        for expr in (before, after)
        for there in edges.upon(loss, expr, point, env)
    )


def _fails_at(
    loss: Loss, before: Expr, after: Expr, point: Point, env: Mapping[Index, int]
) -> bool:
    with ctx.workprec(PRECISION):
        evaluator = Evaluator(loss, point)
        if _is_kink(evaluator, before, env):
            return kinks.outside(loss, after, before, point, dict(env)) is not None
        if {Diff, Partial} & kinds(before) or _is_kink(evaluator, after, env):
            return False
        known = number(evaluator, before, env)
        if known is None:
            return False
        value = number(evaluator, after, env)
        return value is None or not value.overlaps(known)


def _is_kink(evaluator: Evaluator, expr: Expr, env: Mapping[Index, int]) -> bool:
    try:
        evaluator(expr, env)
    except Undetermined:
        return True
    except (ZeroDivisionError, ValueError):
        return False
    return False
