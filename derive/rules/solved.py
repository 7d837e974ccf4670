"""Solving a definition for one of its atoms, and putting the name in its place.

A definition v[i] = c m g^e + rest, with g an atom that stands in no other term, is solved for
g^e = (v[i] - rest) / (c m).  Replacing g^e by that wherever it occurs, for any index, writes
the expression in terms of v: with p[i] = exp(a[i])/S every exp(a[j]) becomes p[j] S, and S
cancels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from sympy import Expr

from derive.index import (
    Entry,
    Index,
    Share,
    axis_of,
    free_indices,
    rebuild,
    substitute,
    tensors,
    walk,
)
from derive.loss import Definition
from derive.normal import NormalForm, signs
from derive.normal.poly import (
    Exponent,
    Poly,
    add_to,
    atom,
    mono_key,
    ordered,
    raise_mono,
    ratio,
    to_expr,
)
from derive.rules.implied import implied


@dataclass(frozen=True)
class Solved:
    """A definition solved for an atom to a power: atom^exponent = value."""

    definition: Definition
    atom: Expr
    exponent: Exponent
    value: Expr


def solutions(form: NormalForm, definition: Definition) -> Iterator[Solved]:
    """Every way to solve a definition for one of its atoms."""
    body = form(definition.body)
    for mono in sorted(body, key=mono_key):
        for base, power in sorted(mono, key=lambda item: mono_key(frozenset((item,)))):
            if base.is_number or not set(definition.entry.indices) <= free_indices(base):
                continue
            if any(base in dict(other) for other in body if other != mono):
                continue
            others = mono - {(base, power)}
            if not all(e < 0 or signs.positive(form, (b, e)) for b, e in others):
                continue
            rest = {other: -value for other, value in body.items() if other != mono}
            add_to(rest, atom(definition.entry))
            front = {raise_mono(others, -1): ratio(1, body[mono])}
            yield Solved(definition, base, power, to_expr(form.mul(rest, front)))
    for base, power, value in implied(form, definition):
        yield Solved(definition, base, power, value)


def fold_poly(form: NormalForm, poly: Poly, solved: Solved) -> Poly:
    """Replace the solved atom throughout a polynomial, inside its atoms too."""
    result: Poly = {}
    for mono, value in poly.items():
        folded = {item: _fold_atom(form, *item, solved) for item in ordered(mono)}
        kept = frozenset(item for item, poly in folded.items() if poly == atom(*item))
        term: Poly = {kept: 1}
        for item, poly in folded.items():
            if item not in kept:
                term = form.mul(term, poly)
        add_to(result, term, value)
    return result


def _fold_atom(form: NormalForm, base: Expr, power: Exponent, solved: Solved) -> Poly:
    times = ratio(power, solved.exponent)
    here = _match(solved, base)
    if here is not None and times == int(times):
        value = form(substitute(solved.value, here))
        return form.power(value, int(times))
    if not tensors(solved.atom) <= tensors(base) or isinstance(base, Entry | Share):
        return atom(base, power)
    if solved.value.has(base):
        return atom(base, power)

    def inside(arg: Any) -> Any:
        if not isinstance(arg, Expr) or isinstance(arg, Index):
            return arg
        return to_expr(fold_poly(form, form(arg), solved))

    inner = rebuild(base, inside)
    return atom(base, power) if inner == base else form.power(form(inner), power)


def _match(solved: Solved, base: Expr) -> dict[Expr, Expr] | None:
    """The indices at which the solved atom is `base`, if there are any."""
    wild = solved.definition.entry.indices
    if base == solved.atom:
        return {}
    if type(base) is not type(solved.atom) or not wild:
        return None
    candidates = sorted(free_indices(base), key=lambda index: index.uid) + [
        node for node in walk(base) if isinstance(node, Entry) and node.tensor.label
    ]
    fitting = ([one for one in candidates if axis_of(one) == axis_of(each)] for each in wild)
    for chosen in product(*fitting):
        here = dict(zip(wild, chosen, strict=True))
        if substitute(solved.atom, here) == base:
            return here
    return None
