"""Making a result as short as a person would write it.

"Short" is measured by the number of symbols written (`length`).  An expression is brought
into the shallow normal form, folded back into the user's names, and factored; a change is
kept only where it makes the expression shorter.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from sympy import Add, Expr, Mul, Pow

from derive.index import (
    TRUE,
    Choice,
    Condition,
    Delta,
    Diff,
    Entry,
    Index,
    Partial,
    Tensor,
    Total,
    order,
    total,
)
from derive.normal.poly import (
    Coefficient,
    Mono,
    Poly,
    add_to,
    as_poly,
    content,
    join,
    mono_expr,
    mono_key,
    number,
    ordered,
    to_expr,
)
from derive.rules.polish import polished, polynomial_factors
from derive.rules.spelling import joined_exponentials

Terms = frozenset[tuple[Mono, Coefficient]]


@lru_cache(maxsize=1 << 16)
def length(expr: Expr) -> int:
    """How many symbols it takes to write an expression: names, numbers and operators."""
    if isinstance(expr, Entry | Delta | Index | Tensor | Partial) or not expr.args:
        return 1
    if isinstance(expr, Diff):
        return 2 + length(expr.args[0])
    if expr.is_Mul and expr.args[0] == -1:
        return length(Mul(*expr.args[1:]))
    if expr.is_Pow and expr.exp == -1:
        return length(expr.base)
    if isinstance(expr, Choice):
        return 4 + sum(map(length, expr.args))
    if isinstance(expr, Total | Condition):
        return 1 + sum(
            length(arg) for arg in expr.args if arg != TRUE and not isinstance(arg, Index)
        )
    inside = sum(length(arg) for arg in expr.args)
    operators = len(expr.args) - 1 if expr.is_Add or expr.is_Mul else 1
    return inside + operators


def shortness(expr: Expr) -> tuple[int, bool]:
    """What is compared: the length, and at a tie a product before a sum."""
    return length(expr), bool(expr.is_Add)


def weight(expr: Expr) -> tuple[tuple[int, bool], int]:
    """The shortness, and at a tie how many names and indices are written."""
    return shortness(expr), _leaves(expr)


@lru_cache(maxsize=1 << 16)
def _leaves(expr: Expr) -> int:
    return sum(map(_leaves, expr.args)) if expr.args else 1


def factored(poly: Poly) -> Expr:
    """A polynomial as a short expression: sums merged, common factors in front."""
    return _factored(frozenset(poly.items())) if poly else to_expr(poly)


@lru_cache(maxsize=1 << 14)
def _factored(terms: Terms) -> Expr:
    poly = dict(terms)
    merged = _merge_totals(poly)
    one = polished(_factor(merged))
    two = polished(_factor(poly)) if merged is not poly else one
    found = dict.fromkeys((one, two, joined_exponentials(one)))
    return min(found, key=lambda expr: (shortness(expr), order(expr)))


def _factor(poly: Poly) -> Expr:
    """Horner's scheme over the atom that the most terms share, after the content."""
    return to_expr(poly) if len(poly) == 1 else _by_content(frozenset(poly.items()))


@lru_cache(maxsize=1 << 14)
def _by_content(terms: Terms) -> Expr:
    poly = dict(terms)
    factor, shared, rest = content(poly)
    if _reads_better_negated(factor, rest):
        factor, rest = -factor, {mono: -value for mono, value in rest.items()}
    return Mul(number(factor), Mul(mono_expr(shared), _horner(rest)))


def _reads_better_negated(factor: Coefficient, rest: Poly) -> bool:
    """Whether turning both signs leaves fewer minus signs; at a tie a delta is positive."""
    negative = sum(value < 0 for value in rest.values())
    now = (factor < 0) + negative
    turned = (factor > 0) + len(rest) - negative
    if now != turned:
        return turned < now
    return any(
        value < 0 and any(isinstance(base, Delta) for base, _ in mono)
        for mono, value in rest.items()
    )


def _horner(poly: Poly) -> Expr:
    if len(poly) == 1:
        return to_expr(poly)
    parts = polynomial_factors(poly)
    if parts is not None:
        return Mul(*(Pow(_factor(part), power) for part, power in parts))
    plain = to_expr(poly)
    counts = Counter(
        (base, 1 if power > 0 else -1)
        for mono in poly
        for base, power in mono
        if power >= 1 or power <= -1
    )
    frequent = sorted(
        (item for item, times in counts.items() if times > 1),
        key=lambda item: (-counts[item], order(item[0]), item[1]),
    )
    best = plain
    for base, direction in frequent[: 4 if len(poly) <= 6 else 1]:
        taken: Poly = {}
        left: Poly = {}
        for mono, value in poly.items():
            if dict(mono).get(base, 0) * direction >= 1:
                taken[join(mono, frozenset(((base, -direction),)))] = value
            else:
                left[mono] = value
        candidate = Add(Mul(Pow(base, direction), _factor(taken)), _factor(left) if left else 0)
        best = min(best, candidate, key=lambda expr: (shortness(expr), order(expr)))
    return best


def _merge_totals(poly: Poly) -> Poly:
    """Sums over one axis with the same factor in front become one sum."""
    groups: dict[tuple[Mono, str], list[tuple[Mono, Expr]]] = {}
    for mono in sorted(poly, key=mono_key):
        for base, power in ordered(mono):
            if isinstance(base, Total) and power == 1:
                front = mono - {(base, power)}
                groups.setdefault((front, base.axis.name), []).append((mono, base))
    result = dict(poly)
    for (front, _), members in groups.items():
        members = [(mono, base) for mono, base in members if mono in result]
        if len(members) < 2:
            continue
        number_, merged = _merged(poly, members)
        for mono, _base in members:
            del result[mono]
        add_to(result, {join(front, frozenset(((merged, 1),))): number_})
    return result if len(result) < len(poly) else poly


def _merged(poly: Poly, members: list[tuple[Mono, Expr]]) -> tuple[Coefficient, Expr]:
    """One sum over the axis of all members, its body factored; numbers and sign in front, so
    that sums which differ in them only are one atom."""
    index, *_ = members[0][1].open()
    body: Poly = {}
    for mono, base in members:
        bound, inner, _ = base.args
        add_to(body, as_poly(inner.xreplace({bound: index})), poly[mono])
    factor, shared, rest = content(body)
    primitive = {join(mono, shared): value for mono, value in rest.items()}
    return factor, total(index, _factor(primitive))
