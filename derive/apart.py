"""What a proof takes to be 0 almost nowhere, held against numbers.

That a sum of different terms is not 0 everywhere is no theorem: lgamma(x + 1) - lgamma(x) and
log(x) are different terms too.  One point that lies on no edge by chance and where the ball
holds 0 is enough to give the proof up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from itertools import product as cartesian

from flint import ctx
from sympy import Expr

from derive.balls import Undetermined
from derive.errors import PminusyError
from derive.evaluate import Evaluator
from derive.index import Index, axis_of, free_indices
from derive.loss import Loss
from derive.point import Point
from derive.valueless import generic

PRECISION = 128
MOST_PLACES = 4


def nonzero(loss: Loss, edges: Iterable[Expr]) -> bool:
    """Whether none of the expressions is found to be 0 at a point, with its indices apart."""
    waiting = tuple(edges)
    return all(
        not _vanishes(loss, expr, point)
        for point in (generic(loss) if waiting else ())
        for expr in waiting
    )


def _vanishes(loss: Loss, expr: Expr, point: Point) -> bool:
    with ctx.workprec(PRECISION):
        evaluator = Evaluator(loss, point)
        for env in islice(_places(loss, expr, point), MOST_PLACES):
            try:
                value = evaluator(expr, env)
            except (Undetermined, PminusyError, ZeroDivisionError, ValueError):
                continue
            if value.is_finite() and value.contains(0):
                return True
    return False


def _places(loss: Loss, expr: Expr, point: Point) -> Iterator[dict[Index, int]]:
    """Numbers for the free indices: different along one axis, and none of its class labels."""
    indices = sorted(free_indices(expr), key=lambda index: (index.axis.name, index.uid))
    labels = {
        (d.tensor.label.name, int(number))
        for d in loss.declarations
        if d.tensor.label is not None
        for number in point.values[d.name].values()
    }
    for chosen in cartesian(*(range(point.sizes[axis_of(index).name]) for index in indices)):
        used = [(axis_of(i).name, number) for i, number in zip(indices, chosen, strict=True)]
        if len(set(used)) == len(used) and labels.isdisjoint(used):
            yield dict(zip(indices, chosen, strict=True))
