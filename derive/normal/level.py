"""Equalities of real numbers: on which set they hold, and what holds on it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from typing import TYPE_CHECKING

from sympy import Expr, Mul, S, nan, oo, zoo

from derive.functions import absolute, largest, relu, signum, smallest, step
from derive.index import (
    Argmax,
    Choice,
    Condition,
    Delta,
    Entry,
    Index,
    Maximum,
    Minimum,
    Product,
    Share,
    Total,
    axis_of,
    entries,
    free_indices,
    kinds,
    order,
    substitute,
    tensor_names,
)
from derive.index.look import distinct
from derive.normal import calculus, extrema, signs
from derive.normal.bits import complement, split, where
from derive.normal.poly import (
    ONE,
    Exponent,
    Mono,
    Poly,
    Undecided,
    add_to,
    as_poly,
    atom,
    constant,
    ordered,
    scale,
    to_expr,
)

if TYPE_CHECKING:
    from derive.normal.form import NormalForm

ENDLESS = frozenset((zoo, nan, oo, -oo))
BROKEN = frozenset((Argmax, Choice, Delta, Maximum, Minimum, Product, Share)) | {
    absolute,
    signum,
    relu,
    step,
    largest,
    smallest,
}
MOST_GROUPS = 6


def zero(form: NormalForm, poly: Poly) -> Poly:
    """[poly == 0]."""
    if not poly:
        return constant(1)
    if len(poly) == 1 and frozenset() in poly:
        return {}
    found = extrema.level(form, poly)
    if found is not None:
        return where(form, *found, lambda: _zero(form, poly))
    known = split(form, poly, zero)
    if known is not None:
        return known
    return _zero(form, poly)


def _zero(form: NormalForm, poly: Poly) -> Poly:
    """A product is 0 where one of its factors is; one below the line is not 0."""
    _, shared, rest = form.content(poly)
    parts = [atom(base) for base, power in ordered(shared) if _may_vanish(form, base, power)]
    if len(rest) > 1:
        parts.append(rest)
    if len(parts) == 1:
        return _zero_atom(form, parts[0])
    other = constant(1)
    for part in parts:
        other = form.mul(other, complement(zero(form, part)))
    return complement(other)


def _may_vanish(form: NormalForm, base: Expr, power: Exponent) -> bool:
    return power > 0 and not signs.positive(form, (base, power))


def _zero_atom(form: NormalForm, poly: Poly) -> Poly:
    """[u == 0]; almost nowhere in a name is it more than where u is 0 whatever the name is."""
    body = to_expr(poly)
    if form.almost:
        found = still(form, poly, form.almost)
        if found is not None:
            form.edges[body] = None
            return found
    return atom(Choice(Condition("==", body, S.Zero), S.One, S.Zero))


def still(form: NormalForm, poly: Poly, names: Collection[str]) -> Poly | None:
    """The 0-1 polynomial of where u = 0 whatever some names are; off it u = 0 holds only on a
    set without interior in them.  None where that is not known, or none of the names is in u.

    u is taken as a sum of different analytic functions of the names and of nothing else, each
    times what does not move: it is 0 on an open set where all of that is 0, or where two of
    its indices are one.
    """
    groups: dict[Mono, Poly] = {}
    names = {name for name in names if not has_two_values(form, name)}
    for mono, value in poly.items():
        moving = frozenset(item for item in mono if not tensor_names(item[0]).isdisjoint(names))
        groups.setdefault(moving, {})[mono - moving] = value
    if groups.keys() <= {ONE} or len(groups) > MOST_GROUPS:
        return None
    moved = {base for mono in groups for base, _ in mono}
    if any(kinds(b) & BROKEN or not _numbers(b).issubset(names) for b in moved):
        return None
    totals = [base for base in moved if Total in kinds(base)]
    if totals and not (len(groups) == 1 and all(map(_plain, totals))):
        return None
    result = constant(1)
    for rest in groups.values():
        result = form.mul(result, zero(form, rest))
    for same in _coincidences(form, poly):
        add_to(result, form.mul(complement(result), same))
    return result


def has_two_values(form: NormalForm, name: str) -> bool:
    """Whether an entry of a name is one of two numbers, which nothing moves."""
    declaration = form.loss.declared.get(name)
    return declaration is not None and declaration.domain.kind in signs.VALUES


def _numbers(expr: Expr) -> set[str]:
    """The names in an expression that are no class labels."""
    return {entry.tensor.name for entry in entries(expr) if entry.tensor.label is None}


def _plain(total: Expr) -> bool:
    """Whether this is a sum of products of entries that all have the index."""
    if not isinstance(total, Total):
        return False
    bound, body, _ = total.args
    factors = (factor.as_base_exp()[0] for factor in Mul.make_args(body))
    return all(base.is_number or bound in base.args[1:] for base in factors)


def _coincidences(form: NormalForm, poly: Poly) -> list[Poly]:
    """The deltas of two places, at which u vanishes because they are one."""
    expr = to_expr(poly)
    labels = {entry for entry in entries(expr) if entry.tensor.label is not None}
    places = sorted((*free_indices(expr), *labels), key=order)
    found = []
    for one, two in combinations(places, 2):
        if axis_of(one) == axis_of(two):
            drop, keep = (one, two) if isinstance(one, Index) else (two, one)
            if isinstance(drop, Index) and not form(substitute(expr, {drop: keep})):
                found.append(form(Delta(one, two)))
            elif not isinstance(drop, Index):
                raise Undecided
    return found


def vanishes_on(form: NormalForm, level: Expr, poly: Poly) -> bool:
    """Whether a polynomial is known to be 0 wherever `level` is: solved for an entry in it."""
    for put in solutions(form, form(level)):
        here = substitute(to_expr(poly), put)
        if ENDLESS.isdisjoint(distinct(here)) and form.is_zero(here):
            return True
    return False


def put_in(form: NormalForm, level: Expr, beside: Poly) -> Poly | None:
    """What stands beside [u == 0], u solved for an entry that is put in; None for nothing new."""
    put = next(solutions(form, as_poly(level.args[0].operands[0])), {})
    expr = to_expr(beside)
    if entries(expr).isdisjoint(put):
        return None
    here = substitute(expr, put)
    return form(here) if ENDLESS.isdisjoint(distinct(here)) else None


def off_levels(form: NormalForm, poly: Poly, variable: Entry) -> Poly:
    """The polynomial without what stands beside [u == 0], for a u that moves with a variable:
    it has the same derivative where that is 0 on u = 0 anyway; else there is none there.

    Raises Undecided where that is not known.
    """
    result = dict(poly)
    if has_two_values(form, variable.tensor.name):
        return result
    for base in sorted({base for mono in poly for base, _ in mono if is_level(base)}, key=order):
        tested = base.args[0].operands[0]
        beside = {mono: value for mono, value in result.items() if base in dict(mono)}
        if not beside or not calculus.derivative(form, form(tested), variable):
            continue
        held = {mono - {(base, 1)}: value for mono, value in beside.items()}
        if not vanishes_on(form, tested, held):
            raise Undecided
        add_to(result, beside, -1)
    return result


def is_level(base: Expr) -> bool:
    """Whether this is an atom [u == 0]."""
    return isinstance(base, Choice) and base.args[0].op == "=="


def solutions(form: NormalForm, poly: Poly) -> Iterator[Mapping[Expr, Expr]]:
    """poly = 0 solved for its entries, one after the other."""
    for mono in sorted(poly, key=lambda mono: (len(mono), str(sorted(map(str, mono))))):
        put = solved(form, poly, mono)
        if put is not None:
            yield put


def solved(form: NormalForm, poly: Poly, mono: Mono) -> Mapping[Expr, Expr] | None:
    """poly = 0 solved for an entry in one of its terms, where what it is multiplied by is not 0:
    it is known to be > 0, or the other terms are a number."""
    rest = {other: value for other, value in poly.items() if other != mono}
    for base, power in sorted(mono, key=lambda item: order(item[0])):
        front = mono - {(base, power)}
        sure = rest.keys() == {ONE} or all(signs.positive(form, item) for item in front)
        fits = power == 1 and isinstance(base, Entry) and not to_expr({**rest, front: 1}).has(base)
        if fits and sure:
            return {base: to_expr(scale(rest, -1)) / to_expr({front: poly[mono]})}
    return None
