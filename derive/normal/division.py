"""Partial fractions, so that quotients have one form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import Expr

from derive.normal.poly import (
    ONE,
    Exponent,
    Mono,
    Poly,
    add_to,
    join,
    mono_key,
    ordered,
    raise_mono,
    ratio,
)

if TYPE_CHECKING:
    from derive.normal.form import NormalForm


def divide(form: NormalForm, mono: Mono) -> Poly:
    """Divide by a denominator while its leading term divides the rest, and use its constant
    term while an atom that all its other terms share is inverted."""
    powers = dict(mono)
    inverted = frozenset(item for item in mono if item[0].is_Add and item[1] < 0)
    for base, _ in ordered(inverted):
        poly = form(base)
        lead, shared = _shape(form, base, poly)
        if lead and all(powers.get(b, 0) >= e for b, e in lead):
            return _eliminate(form, mono, base, poly, lead)
        if ONE in poly and any(powers.get(b, 0) < 0 for b in shared):
            return _eliminate(form, mono, base, poly, ONE)
    return {mono: 1}


def vanishes(form: NormalForm, poly: Poly) -> bool:
    """Whether a polynomial is zero once its denominators are multiplied out."""
    for _ in range(8):
        denominators: dict[Expr, Exponent] = {}
        for mono in poly:
            for base, exponent in mono:
                if base.is_Add and exponent < 0:
                    denominators[base] = min(exponent, denominators.get(base, 0))
        if not poly or not denominators:
            return not poly
        clear: Mono = frozenset((base, -power) for base, power in denominators.items())
        cleared: Poly = {}
        for mono, value in poly.items():
            add_to(cleared, form.expand(join(mono, clear)), value)
        poly = cleared
    return not poly


def _shape(form: NormalForm, base: Expr, poly: Poly) -> tuple[Mono, frozenset[Expr]]:
    """The leading term, and the atoms that all terms but the constant one share."""
    found = form.shapes.get(base)
    if found is None:
        shared = frozenset.intersection(*(frozenset(dict(m)) for m in poly if m))
        found = form.shapes[base] = max(poly, key=mono_key), shared
    return found


def _eliminate(form: NormalForm, mono: Mono, base: Expr, poly: Poly, term: Mono) -> Poly:
    """mono, with `term` written as (base - the other terms of base)."""
    quotient = join(mono, raise_mono(term, -1))
    result: Poly = {}
    form.add_mono(result, join(quotient, frozenset(((base, 1),))), ratio(1, poly[term]))
    for other, value in poly.items():
        if other != term:
            form.add_mono(result, join(quotient, other), ratio(-value, poly[term]))
    return result
