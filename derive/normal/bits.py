"""Functions and conditions of what has two values only: worked out for each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sympy import Integer

from derive.index import Choice, Delta, order, substitute
from derive.normal import signs
from derive.normal.poly import Poly, add_to, atom, constant, ratio, to_expr

if TYPE_CHECKING:
    from derive.normal.form import NormalForm

MOST_CASES = 2
MOST_BITS = 4


def by_cases(
    form: NormalForm, poly: Poly, function: Callable[[Poly], Poly], at_zero: bool = False
) -> Poly | None:
    """f(u + c v) = (1 - c) f(u) + c f(u + v) for a 0-1 atom c; None where there is none.

    `at_zero` tells that f(0) = 0; else 0 is not put in.  What is divided by c is there for
    c = 1 only.
    """
    found = {base for mono in poly for base, _ in mono if isinstance(base, Choice)}
    if not found or len(found) > MOST_CASES:
        return None
    bit = min(found, key=order)
    off = {mono: value for mono, value in poly.items() if bit not in dict(mono)}
    on = dict(off)
    for mono, value in poly.items():
        if bit in dict(mono):
            add_to(on, {frozenset(item for item in mono if item[0] != bit): value})
    if any((bit, power) in mono for mono in poly for _, power in mono if power < 0):
        return function(on)
    if not (on and off) and not at_zero:
        return None
    result = form.mul(complement(atom(bit)), function(off)) if off else {}
    add_to(result, form.mul(atom(bit), function(on)) if on else {})
    return result


def split(
    form: NormalForm, poly: Poly, condition: Callable[[NormalForm, Poly], Poly]
) -> Poly | None:
    """A condition by the 0-1 atoms in it, or by the values of the one entry that it is on."""
    found = _by_bits(form, poly, condition)
    return _by_values(form, poly, condition) if found is None else found


def _by_bits(
    form: NormalForm, poly: Poly, condition: Callable[[NormalForm, Poly], Poly]
) -> Poly | None:
    """A condition on a polynomial in 0-1 atoms, atom by atom; None where there is none."""
    bits = {base for mono in poly for base, _ in mono if isinstance(base, Choice | Delta)}
    if not bits or len(bits) > MOST_BITS:
        return None
    bit = min(bits, key=order)
    off = {mono: value for mono, value in poly.items() if bit not in dict(mono)}
    on = dict(off)
    for mono, value in poly.items():
        if bit in dict(mono):
            add_to(on, {frozenset(item for item in mono if item[0] != bit): value})
    result = form.mul(complement(atom(bit)), condition(form, off))
    add_to(result, form.mul(atom(bit), condition(form, on)))
    return result


def _by_values(
    form: NormalForm, poly: Poly, condition: Callable[[NormalForm, Poly], Poly]
) -> Poly | None:
    """A condition on an entry of two values alone, value by value; None for all else."""
    found = {base for mono in poly for base, _ in mono}
    entry = next(iter(found)) if len(found) == 1 else None
    values = signs.two_values(form, entry)
    if entry is None or values is None or not form.allows(values.hypothesis):
        return None
    result: Poly = {}
    for value in values.values:
        other = sum(values.values) - value
        share: Poly = {frozenset(((entry, 1),)): ratio(1, value - other)}
        add_to(share, constant(ratio(-other, value - other)))
        at = form(substitute(to_expr(poly), {entry: Integer(value)}))
        add_to(result, form.mul(share, condition(form, at)))
    return result


def complement(poly: Poly) -> Poly:
    result = constant(1)
    add_to(result, poly, -1)
    return result


def where(form: NormalForm, inside: Poly, value: Poly, otherwise: Callable[[], Poly]) -> Poly:
    """One polynomial where a 0-1 polynomial is 1, and another elsewhere."""
    result = form.mul(inside, value)
    outside = complement(inside)
    if outside:
        add_to(result, form.mul(outside, otherwise()))
    return result
