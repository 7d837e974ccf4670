"""What is zero almost never: conditions whose edge is a null set in the varying names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import Expr

from derive.functions import absolute
from derive.index import (
    Argmax,
    Choice,
    Delta,
    Maximum,
    Minimum,
    Product,
    Share,
    Total,
    free_indices,
    kinds,
    tensors,
)
from derive.normal import signs
from derive.normal.poly import ONE, Mono, Poly

if TYPE_CHECKING:
    from derive.normal.form import NormalForm

BROKEN = frozenset((Argmax, Choice, Delta, Maximum, Minimum, Product, Share, Total, absolute))


def never_zero(form: NormalForm, expr: Expr) -> bool:
    """Whether expr = 0 only on a null set in the varying names, whatever the others are.

    It is where the expression is analytic, no two of its indices can make it vanish, and one
    of its terms has a factor that varies as no other term's does, and a coefficient != 0.
    """
    if not form.almost or kinds(expr) & BROKEN:
        return False
    if len({index.axis for index in free_indices(expr)}) < len(free_indices(expr)):
        return False
    groups: dict[Mono, Poly] = {}
    for mono, value in form(expr).items():
        moving = frozenset(item for item in mono if _varies(form, item[0]))
        groups.setdefault(moving, {})[mono - moving] = value
    never = any(
        moving != ONE and len(rest) == 1 and _nonzero(form, next(iter(rest)))
        for moving, rest in groups.items()
    )
    if never:
        form.edges[expr] = None
    return never


def _varies(form: NormalForm, base: Expr) -> bool:
    return any(tensor.name in form.almost for tensor in tensors(base))


def _nonzero(form: NormalForm, mono: Mono) -> bool:
    return all(signs.positive(form, item) for item in mono)
