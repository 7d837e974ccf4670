"""Deltas, and the names that they make equal, in normal form; indices that are an argmax."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sympy import Expr

from derive.index import (
    Argmax,
    Delta,
    Entry,
    Index,
    Maximum,
    Tensor,
    bind,
    free_indices,
    nodes,
    order,
    scoped,
    substitute,
)
from derive.normal.poly import (
    Coefficient,
    Factor,
    Mono,
    Poly,
    Undefined,
    add_to,
    atom,
    constant,
    join,
    ordered,
    to_expr,
)

if TYPE_CHECKING:
    from derive.normal.form import NormalForm


def rename(form: NormalForm, mono: Mono, index: Expr, other: Expr) -> Poly:
    """Replace an index (or label) by another one throughout a monomial."""
    moved = frozenset(item for item in mono if mentions(item[0], index))
    single, result = mono - moved, constant(1)
    value: Coefficient = 1
    for base, power in ordered(moved):
        poly = form.power(form(substitute(base, {index: other})), power)
        if len(poly) == 1:
            ((factor, number),) = poly.items()
            single, value = join(single, factor), value * number
        else:
            result = form.mul(result, poly)
    return form.mul({single: value}, result)


def rename_poly(form: NormalForm, poly: Poly, index: Expr, other: Expr) -> Poly:
    """`rename` in every monomial of a polynomial."""
    result: Poly = {}
    for mono, value in poly.items():
        add_to(result, rename(form, mono, index, other), value)
    return result


def depends(mono: Mono, index: Index) -> bool:
    return any(index in free_indices(base) for base, _ in mono)


def mentions(expr: Expr, index: Any) -> bool:
    return index in (free_indices(expr) if isinstance(index, Index) else nodes(expr))


def apply_deltas(form: NormalForm, mono: Mono, peculiar: Sequence[Factor]) -> Poly | None:
    """delta_ij f_j = delta_ij f_i, so that one of the two names is left; None if settled.

    The deltas are among the `peculiar` factors, which are in order.
    """
    for base, power in peculiar:
        if not isinstance(base, Delta):
            continue
        keep, drop = keep_first(form, base)
        if mentions(keep, drop):
            continue
        rest = mono - {(base, power)}
        if any(mentions(other, drop) for other, _ in rest):
            renamed = try_rename(form, rest, drop, keep)
            if renamed is not None:
                return form.mul({frozenset({(base, power)}): 1}, renamed)
    return None


def try_rename(form: NormalForm, mono: Mono, index: Expr, other: Expr) -> Poly | None:
    """`rename`; None where that does not exist, as for 1/(x_i - x_j) and i = j."""
    try:
        return rename(form, mono, index, other)
    except Undefined:
        return None


def keep_first(form: NormalForm, delta: Delta) -> tuple[Expr, Expr]:
    """The side to look up with, and the other: a label before an index, and before the const
    that labels are ignored at, which is out of range."""
    return _kept(delta, form.loss.marks)


@lru_cache(maxsize=1 << 12)
def _kept(delta: Delta, marks: frozenset[Tensor]) -> tuple[Expr, Expr]:
    def rank(side: Expr) -> tuple[bool, bool, tuple[Any, ...]]:
        is_mark = isinstance(side, Entry) and side.tensor in marks
        return isinstance(side, Index), is_mark, order(side)

    i, j = sorted(delta.args, key=rank)
    return i, j


def delta(form: NormalForm, expr: Delta) -> Poly:
    i, j = (argmax(form, side) for side in expr.args)
    made = Delta(i, j)
    return atom(made) if isinstance(made, Delta) else constant(1)


def argmax(form: NormalForm, index: Expr) -> Expr:
    """The index itself; an argmax with what does not depend on its index left out."""
    if not isinstance(index, Argmax):
        return index
    with scoped(index) as (inner, body, guard):
        poly = {mono: value for mono, value in form(body).items() if depends(mono, inner)}
        return bind(Argmax, inner, to_expr(poly), guard)


def at_argmax(form: NormalForm, entry: Entry) -> Poly:
    """The entry where it is largest is the maximum: a[argmax_k a_k] = max_k a_k."""
    indices = [argmax(form, index) for index in entry.indices]
    for position, index in enumerate(indices):
        if isinstance(index, Argmax):
            bound, body, guard = index.args
            there = Entry(entry.tensor, *indices[:position], bound, *indices[position + 1 :])
            if body == there:
                return atom(Maximum(bound, body, guard))
    return atom(Entry(entry.tensor, *indices))
