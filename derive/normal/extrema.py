"""Comparisons of an entry with the largest or smallest of all: who attains the extremum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sympy import Expr

from derive.index import (
    Axis,
    Binder,
    Entry,
    Maximum,
    Minimum,
    Share,
    entries,
    free_indices,
    order,
    substitute,
)
from derive.normal import conditions, ties
from derive.normal.poly import Coefficient, Poly, add_to, atom, constant, to_expr

if TYPE_CHECKING:
    from derive.normal.form import NormalForm


def above(form: NormalForm, poly: Poly) -> tuple[Poly, Poly] | None:
    """[poly > 0] for poly = c (max_i u_i - u_j): c > 0 off the ties means that j does not
    attain it, c < 0 is nowhere.  Given with the 0-1 polynomial that tells where j is among
    the i; None for all else."""
    found = _gap(form, poly)
    if found is None:
        return None
    extremum, index, factor, inside = found
    if (factor > 0) != isinstance(extremum, Maximum):
        return inside, {}
    if not ties.never(form, extremum):
        return None
    result = constant(1)
    add_to(result, atom(Share(extremum, index)), -1)
    return inside, result


def level(form: NormalForm, poly: Poly) -> tuple[Poly, Poly] | None:
    """[poly == 0] for poly = c (max_i u_i - u_j), off the ties: j attains the extremum."""
    found = _gap(form, poly)
    if found is None or not ties.never(form, found[0]):
        return None
    extremum, index, _, inside = found
    return inside, atom(Share(extremum, index))


def _gap(form: NormalForm, poly: Poly) -> tuple[Binder, Expr, Coefficient, Poly] | None:
    """The extremum, the place and the factor of c (max_i u_i - u_j), and where j is an i."""
    for mono, factor in poly.items():
        ((base, power),) = mono if len(mono) == 1 else ((None, 0),)
        if power != 1 or not isinstance(base, Maximum | Minimum):
            continue
        rest = {other: value for other, value in poly.items() if other != mono}
        for place in _places(rest, base.axis):
            index, body, guard = base.open()
            gap = dict(rest)
            add_to(gap, form(substitute(body, {index: place})), factor)
            inside = conditions.indicator(form, substitute(guard, {index: place}))
            if not gap and inside:
                return base, place, factor, inside
    return None


def _places(poly: Poly, axis: Axis) -> Iterator[Expr]:
    """The free indices and class labels of a polynomial over one axis."""
    expr = to_expr(poly)
    yield from sorted((i for i in free_indices(expr) if i.axis == axis), key=order)
    labels = (e for e in entries(expr) if e.tensor.label == axis)
    yield from sorted((e for e in labels if not _bound(e)), key=order)


def _bound(entry: Entry) -> bool:
    return any(getattr(index, "is_bound", False) for index in entry.indices)
