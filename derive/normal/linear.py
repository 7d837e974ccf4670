"""Whether some comparisons can hold together: Fourier-Motzkin over monomials as variables.

A set found impossible is impossible; one that is not found so may still be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

from sympy import Expr

from derive.index import Choice, Delta, Entry, Share
from derive.magnitude import fraction
from derive.normal import signs
from derive.normal.poly import ONE, Mono, Poly, add_to, constant, mono_key, ratio, scale

if TYPE_CHECKING:
    from derive.normal.form import NormalForm

MOST_ROWS = 160
MOST_MULTIPLIED = 5

# A polynomial, and whether it is > 0 (True) or >= 0 (False).
Row = tuple[Poly, bool]


def impossible(form: NormalForm, rows: Sequence[Row]) -> bool:
    """Whether no point of the domain makes every row true."""
    products = [
        (form.mul(one, two), strict and other)
        for (one, strict), (two, other) in combinations_with_replacement(rows, 2)
        if len(rows) <= MOST_MULTIPLIED
    ]
    every = [*rows, *products]
    monos = sorted({m for poly, _ in every for m in poly if m != ONE}, key=mono_key)
    return _empty([*every, *(fact for mono in monos for fact in _facts(form, mono))], monos)


def _facts(form: NormalForm, mono: Mono) -> Iterable[Row]:
    """What is known of one monomial, from its factors."""
    if all(signs.nonnegative(form, item) for item in mono):
        yield {mono: 1}, all(signs.positive(form, item) for item in mono)
    if len(mono) != 1:
        return
    ((base, power),) = mono
    if power == 1:
        yield from _bounds(form, mono, base)


def _bounds(form: NormalForm, mono: Mono, base: Expr) -> Iterable[Row]:
    below_one = isinstance(base, Delta | Choice | Share)
    declaration = form.loss.declared.get(base.tensor.name) if isinstance(base, Entry) else None
    if declaration is not None:
        domain = declaration.domain
        kinds = ("simplex", "unit", "binary")
        below_one = domain.kind in kinds and form.allows(f"{declaration.name} in {domain.kind}")
        if domain.lower is not None:
            yield _plus({mono: 1}, -fraction(domain.lower, -1)), domain.lower_open
        if domain.upper is not None:
            yield _plus({mono: -1}, fraction(domain.upper, 1)), domain.upper_open
    if below_one:
        yield _plus({mono: -1}, Fraction(1)), False


def _plus(poly: Poly, value: Fraction) -> Poly:
    result = dict(poly)
    add_to(result, constant(ratio(value)))
    return result


def _empty(rows: list[Row], monos: list[Mono]) -> bool:
    """Eliminate one monomial after the other, until only numbers are left."""
    for mono in sorted(monos, key=lambda m: sum(m in poly for poly, _ in rows)):
        if any(_false(row) for row in rows):
            return True
        above = [row for row in rows if row[0].get(mono, 0) > 0]
        below = [row for row in rows if row[0].get(mono, 0) < 0]
        rows = [row for row in rows if mono not in row[0]]
        if len(rows) + len(above) * len(below) > MOST_ROWS:
            continue
        for up, strict in above:
            for down, other in below:
                joined = scale(up, -down[mono])
                add_to(joined, down, up[mono])
                rows.append((joined, strict or other))
    return any(_false(row) for row in rows)


def _false(row: Row) -> bool:
    poly, strict = row
    if not poly:
        return strict
    return poly.keys() == {ONE} and poly[ONE] < 0
