"""Sums over an axis, and deltas, in normal form.

A sum is split into terms; from each the factors that do not depend on the index are pulled
out, deltas are contracted, nested sums are merged, and what is left is cut into connected
parts, each a canonical sum of one monomial.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, permutations, product
from math import factorial, prod
from typing import TYPE_CHECKING, Any

from sympy import Expr

from derive.index import (
    TRUE,
    Condition,
    Delta,
    Index,
    Share,
    Total,
    bind,
    free_indices,
    order,
    scoped,
)
from derive.normal import conditions, signs
from derive.normal.deltas import mentions, try_rename
from derive.normal.poly import (
    Exponent,
    Mono,
    Poly,
    add_to,
    atom,
    constant,
    join,
    mono_expr,
    ordered,
)

if TYPE_CHECKING:
    from derive.normal.form import NormalForm

ALIKE = 1 << 62
MERGE_POWER = 3
MERGE_INDICES = 4


def total(form: NormalForm, expr: Total) -> Poly:
    with scoped(expr) as (index, body, guard):
        return total_poly(form, index, form(body), guard)


def total_poly(form: NormalForm, index: Index, body: Poly, guard: Condition) -> Poly:
    """The sum of a polynomial over `index` where the guard holds."""
    if guard != TRUE:
        body = form.mul(body, conditions.indicator(form, guard))
    result: Poly = {}
    for mono, value in body.items():
        add_to(result, _total_mono(form, {index}, mono), value)
    return result


def _total_mono(form: NormalForm, bound: set[Index], mono: Mono) -> Poly:
    """The sum of one monomial over every index of `bound`."""
    for base, power in ordered([i for i in mono if isinstance(i[0], Delta | Total)]):
        if isinstance(base, Delta) and power > 0:
            index = next((i for i in base.args if i in bound and _picks(base, i)), None)
            rest = mono - {(base, power)}
            renamed = None if index is None else try_rename(form, rest, index, base.other(index))
            if renamed is not None:
                return _total_poly(form, bound - {index}, renamed)
        if isinstance(base, Total) and power in range(1, MERGE_POWER + 1):
            few = len(bound) + power <= MERGE_INDICES
            if few and free_indices(base) & bound:
                inner_index, inner, _ = base.opened()
                if inner_index in bound:  # a power of a sum is one over as many indices
                    inner_index, inner, _ = base.open()
                others: Poly = {mono - {(base, power)}: 1}
                if power > 1:
                    others = form.mul(others, atom(base, power - 1))
                return _total_poly(form, bound | {inner_index}, form.mul(others, form(inner)))
    return _parts(form, bound, mono)


def _picks(delta: Delta, index: Expr) -> bool:
    return index not in free_indices(delta.other(index))


def _total_poly(form: NormalForm, bound: set[Index], poly: Poly) -> Poly:
    if not bound:
        return poly
    result: Poly = {}
    for mono, value in poly.items():
        add_to(result, _total_mono(form, bound, mono), value)
    return result


def _parts(form: NormalForm, bound: set[Index], mono: Mono) -> Poly:
    """Factor the sum of a monomial into its connected parts."""
    result = constant(1)
    left = set(mono)
    outside = {item for item in left if not free_indices(item[0]) & bound}
    left -= outside
    waiting = set(bound)
    while waiting:
        part, indices = _component(left, min(waiting, key=order), bound)
        waiting -= indices
        left -= part
        result = form.mul(result, _part_total(form, indices, frozenset(part)))
    return form.mul({frozenset(outside): 1}, result)


def _component(
    items: set[tuple[Expr, Exponent]], start: Index, bound: set[Index]
) -> tuple[set[tuple[Expr, Exponent]], set[Index]]:
    """The factors that hang together with `start`, and the summed indices in them."""
    indices = {start}
    part: set[tuple[Expr, Exponent]] = set()
    grown = True
    while grown:
        touching = {item for item in items - part if free_indices(item[0]) & indices}
        grown = bool(touching)
        part |= touching
        for base, _ in touching:
            indices |= free_indices(base) & bound
    return part, indices


def _part_total(form: NormalForm, indices: set[Index], mono: Mono) -> Poly:
    if not mono:
        result = constant(1)
        for index in indices:
            result = form.mul(result, atom(index.axis))
        return result
    summed = _assumed(form, indices, mono)
    if summed is None:
        summed = _shares(form, indices, mono)
    if summed is not None:
        return summed
    body = mono_expr(mono)
    forms = []
    for ordering in _orderings(form, indices, mono):
        nested = body
        for index in ordering:
            nested = bind(Total, index, nested)
        forms.append(nested)
    return atom(min(forms, key=order) if len(forms) > 1 else forms[0])


def _orderings(form: NormalForm, indices: set[Index], mono: Mono) -> Iterator[tuple[Index, ...]]:
    """The orders of summation from which one is chosen, whatever the indices are called.

    Of three indices or more, those that stand in different places keep a fixed order.
    """
    inside = sorted(indices, key=order)
    if len(inside) < 3:
        form.spend(4 * len(inside))
        yield from permutations(inside)
        return
    groups: dict[tuple[Any, ...], list[Index]] = {}
    for index in inside:
        groups.setdefault(_places(index, inside, mono), []).append(index)
    tied = [groups[key] for key in sorted(groups)]
    form.spend(4 * prod(factorial(len(group)) for group in tied))
    for chosen in product(*map(permutations, tied)):
        yield tuple(chain.from_iterable(chosen))


def _places(index: Index, bound: list[Index], mono: Mono) -> tuple[Any, ...]:
    """Where an index stands in a monomial, the other summed indices taken as alike."""
    alike: dict[Index, Index] = {other: Index("", other.axis, ALIKE) for other in bound}
    alike[index] = Index("", index.axis, ALIKE + 1)
    factors = [(base.xreplace(alike), power) for base, power in mono if mentions(base, index)]
    return tuple(sorted((order(base), power) for base, power in factors))


def _assumed(form: NormalForm, indices: set[Index], mono: Mono) -> Poly | None:
    """Use what is known of a sum: a simplex sums to 1, and so do the shares of a maximum."""
    for index in sorted(indices, key=order):
        touching = [item for item in mono if index in free_indices(item[0])]
        if len(touching) != 1 or touching[0][1] != 1:
            continue
        base = touching[0][0]
        if isinstance(base, Share) and base.args[1] == index:
            return _total_poly_or_mono(form, indices - {index}, mono - {touching[0]})
        if not signs.on_simplex(form, base) or not _last(base, index):
            continue
        if form.allows(f"{base.tensor.name} in simplex"):
            return _total_poly_or_mono(form, indices - {index}, mono - {touching[0]})
    return None


def _shares(form: NormalForm, indices: set[Index], mono: Mono) -> Poly | None:
    """Shares of a sum add up to 1 inside of other sums too: sum_ij u_i f_ij / (sum_k f_ik)."""
    below = {base for base, power in mono if isinstance(base, Total) and power < 0}
    if not below or len(indices) < 2:
        return None
    for index in sorted(indices, key=order):
        touching = frozenset(item for item in mono if index in free_indices(item[0]))
        whole = bind(Total, index, mono_expr(touching))
        if whole in below:
            rest = join(mono - touching, frozenset(((whole, 1),)))
            return _total_poly_or_mono(form, indices - {index}, rest)
    return None


def _last(entry: Expr, index: Index) -> bool:
    return bool(entry.indices[-1] == index and index not in entry.indices[:-1])


def _total_poly_or_mono(form: NormalForm, bound: set[Index], mono: Mono) -> Poly:
    return _parts(form, bound, mono) if bound else {mono: 1}
