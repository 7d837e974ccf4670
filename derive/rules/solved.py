"""Solving a definition for one of its atoms, and putting the name in its place.

A definition v[i] = c m g^e + rest, with g an atom that stands in no other term, is solved for
g^e = (v[i] - rest) / (c m).  Replacing g^e by that wherever it occurs, for any index, writes
the expression in terms of v: with p[i] = exp(a[i])/S every exp(a[j]) becomes p[j] S, and S
cancels.

A share p[i] = f[i]/S that a derivation has named takes the place of f[j]/S alone: elsewhere f and
S say more than p S and f/p.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from sympy import Expr

from derive.index import (
    Entry,
    Index,
    Share,
    Total,
    axis_of,
    free_indices,
    kinds,
    rebuild,
    substitute,
    tensors,
    walk,
)
from derive.loss import Definition
from derive.normal import NormalForm, signs
from derive.normal.poly import (
    ONE,
    Coefficient,
    Exponent,
    Mono,
    Poly,
    add_to,
    as_poly,
    atom,
    join,
    mono_expr,
    mono_key,
    number,
    ordered,
    raise_mono,
    ratio,
    to_expr,
)
from derive.rules.implied import implied


@dataclass(frozen=True)
class Solved:
    """A definition solved for an atom to a power: atom^exponent = value, or for that times what
    has to stand beside it: atom^exponent beside = value.

    `upright`: it takes no place below a fraction line.  `literal`: it is found in products as they
    stand, not in their normal form.
    """

    definition: Definition
    atom: Expr
    exponent: Exponent
    value: Expr
    beside: Mono = ONE
    upright: bool = False
    literal: bool = False


def solutions(form: NormalForm, definition: Definition) -> Iterator[Solved]:
    """Every way to solve a definition for one of its atoms."""
    body = form(definition.body)
    one_of_many = _is_one_of_many(definition, body)
    if definition.coined:
        yield from _whole(definition, body)
        yield from _whole(definition, as_poly(definition.body), literal=True)
    for mono in sorted(body, key=mono_key):
        for base, power in sorted(mono, key=lambda item: mono_key(frozenset((item,)))):
            if base.is_number or not set(definition.entry.indices) <= free_indices(base):
                continue
            if any(base in dict(other) for other in body if other != mono):
                continue
            if one_of_many and power < 0:
                continue
            others = mono - {(base, power)}
            if not all(e < 0 or signs.positive(form, (b, e)) for b, e in others):
                continue
            rest = {other: -value for other, value in body.items() if other != mono}
            add_to(rest, atom(definition.entry))
            front = {raise_mono(others, -1): ratio(1, body[mono])}
            value = to_expr(form.mul(rest, front))
            yield Solved(definition, base, power, value, upright=one_of_many)
    for base, power, value in implied(form, definition):
        yield Solved(definition, base, power, value)


def _whole(definition: Definition, body: Poly, literal: bool = False) -> Iterator[Solved]:
    """A product by the factor that has the most of the indices in it, and what is beside it."""
    for mono, value in body.items():
        if len(body) == 1 and len(mono) > 1:
            base, power = max(ordered(mono), key=lambda item: len(free_indices(item[0])))
            entry, beside = definition.entry / number(value), mono - {(base, power)}
            yield Solved(definition, base, power, entry, beside, literal=literal)


def _is_one_of_many(definition: Definition, body: Poly) -> bool:
    """Whether a definition is a share f[i]/S of a sum over its index, for any i."""
    if not definition.coined or len(body) > 1:
        return False
    below = [base for mono in body for base, power in mono if power < 0]
    indices = set(definition.entry.indices)
    return any(Total in kinds(base) and not indices <= free_indices(base) for base in below)


def fold_poly(form: NormalForm, poly: Poly, solved: Solved) -> Poly:
    """Replace the solved atom throughout a polynomial, inside its atoms too."""
    result: Poly = {}
    for mono, value in poly.items():
        if solved.beside:
            mono, value = _put_together(mono, value, solved)
        folded = {item: _fold_atom(form, *item, solved) for item in ordered(mono)}
        kept = frozenset(item for item, poly in folded.items() if poly == atom(*item))
        term: Poly = {kept: 1}
        for item, poly in folded.items():
            if item not in kept:
                term = form.mul(term, poly)
        add_to(result, term, value)
    return result


def fold_literal(expr: Any, solved: Solved) -> Any:
    """Replace a product wherever it stands as it is."""
    if not tensors(solved.atom) <= tensors(expr):
        return expr
    node = rebuild(expr, lambda arg: fold_literal(arg, solved))
    if not node.is_Mul:
        return node
    ((mono, value),) = as_poly(node).items()
    folded, front = _put_together(mono, value, solved)
    return node if folded == mono else number(front) * mono_expr(folded)


def _fold_atom(form: NormalForm, base: Expr, power: Exponent, solved: Solved) -> Poly:
    times = ratio(power, solved.exponent)
    here = None if solved.beside else _match(solved, base)
    if here is not None and times == int(times) and (times > 0 or not solved.upright):
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
    if base == solved.atom:
        return {}
    if type(base) is not type(solved.atom) or not solved.definition.entry.indices:
        return None
    found = (here for here in _places(solved, base) if substitute(solved.atom, here) == base)
    return next(found, None)


def _places(solved: Solved, *bases: Expr) -> Iterator[dict[Expr, Expr]]:
    """What the indices of the definition may stand for, of what is in some expressions."""
    wild = solved.definition.entry.indices
    free = frozenset().union(*map(free_indices, bases))
    inside = (node for base in bases for node in walk(base))
    labels = [node for node in inside if isinstance(node, Entry) and node.tensor.label]
    candidates = [*sorted(free, key=lambda index: index.uid), *labels]
    fitting = ([one for one in candidates if axis_of(one) == axis_of(each)] for each in wild)
    for chosen in product(*fitting):
        yield dict(zip(wild, chosen, strict=True))


def _put_together(mono: Mono, value: Coefficient, solved: Solved) -> tuple[Mono, Coefficient]:
    """A monomial with the name in place of the factors that it stands for."""
    atoms = ((solved.atom, solved.exponent), *ordered(solved.beside))
    if {type(base) for base, _ in atoms} <= {type(base) for base, _ in mono}:
        for here in _places(solved, *(base for base, _ in ordered(mono))):
            powers = dict(mono)
            factors = frozenset((substitute(base, here), power) for base, power in atoms)
            times = min(int(ratio(powers.get(base, 0), power)) for base, power in factors)
            if times > 0:
                front, name = solved.value.as_coeff_Mul()
                mono = join(mono, raise_mono(factors, -times))
                mono = join(mono, frozenset(((substitute(name, here), times),)))
                value = ratio(value * Fraction(front.p, front.q) ** times)
    return mono, value
