"""Rules for polynomials of a share p, whose terms cancel where p is near 1.

They are for second derivatives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sympy import Add, Expr, Rational, S

from codegen.bounds import is_fraction
from codegen.stabilize.bernstein import Monomial, cancels, collected, groups, product
from codegen.stabilize.complement import complement_of
from codegen.stabilize.local import rule
from derive.functions import grouped, sigmoid, signum
from derive.index import (
    TRUE,
    Axis,
    Choice,
    Condition,
    Entry,
    Index,
    Total,
    entries,
    free_indices,
    substitute,
    total,
)
from derive.loss import Loss

HALF = Rational(1, 2)
MOST_TERMS, MOST_POWER = 64, 6
GROWTH = 2  # a longer sum would cost more than its digits are worth


@rule(
    "powers of a share and of its rest",
    "with 1 = p + q, and q known to its last digits, what cancels where p is near 1 or 0 does so"
    " exactly, and a power of q is left",
    source="the Bernstein form of a polynomial; Farouki (2012)",
)
def powers_of_rest(node: Expr, loss: Loss) -> Expr | None:
    """sum_k c_k p^k = sum_m b_m p^m q^(n - m), b_m = sum_k c_k binomial(n - k, m - k)."""
    return _rewritten(node, loss, apart=False)


@rule(
    "own term of a sum of shares",
    "the term of the share itself leaves the sum, to cancel exactly with what stands beside it;"
    " where the share is above 1/2, the others are added up without it",
)
def own_term(node: Expr, loss: Loss) -> Expr | None:
    """f_i - sum_k p_k f_k = (1 - p_i) f_i - sum over k != i of p_k f_k, and the like."""
    return _rewritten(node, loss, apart=True)


@rule("sign of a negative", "signs of opposite numbers are opposite, and may cancel")
def odd_sign(node: Expr, loss: Loss) -> Expr | None:
    """sign(-x) = -sign(x)."""
    odd = isinstance(node, signum) and node.args[0].could_extract_minus_sign()
    return -signum(-node.args[0]) if odd else None


def _rewritten(node: Expr, loss: Loss, apart: bool) -> Expr | None:
    if not node.is_Add:
        return None
    for share in _own_shares(node, loss) if apart else _shares(node):
        left = complement_of(share, loss)
        if left is None:
            continue
        rest = left if isinstance(left, sigmoid) else grouped(left)
        args = [_monomials(arg, share, rest, apart) for arg in node.args]
        if None in args:
            continue
        found = [arg for arg in args if arg is not None]
        if not apart and len(found) == 2 and all(map(_is_linear, found)):
            continue
        new = _regrouped(dict(zip(node.args, found, strict=True)), share, rest, loss)
        if new is not None and _length(new) <= GROWTH * _length(node):
            return new
    return None


def _regrouped(
    args: Mapping[Expr, list[Monomial]], share: Expr, rest: Expr, loss: Loss
) -> Expr | None:
    """The sum with the terms that cancel in Bernstein form; None where none does."""
    each = {arg: groups(monomials, loss) for arg, monomials in args.items()}
    keys = list(dict.fromkeys(key for parts in each.values() for key in parts))
    lost = [k for k in keys if cancels([parts[k] for parts in each.values() if k in parts])]
    touched = [arg for arg, parts in each.items() if any(key in lost for key in parts)]
    if not touched:
        return None
    parts = groups([m for arg in touched for m in args[arg]], loss)
    new = (key * collected(part, share, rest, key in lost) for key, part in parts.items())
    return Add(*(arg for arg in args if arg not in touched), *new)


def _length(expr: Expr) -> int:
    """How many factors the terms of a sum have."""
    if expr.is_Add or expr.is_Mul:
        return sum(_length(arg) for arg in expr.args if not arg.is_Rational)
    return 1


def _is_linear(monomials: list[Monomial]) -> bool:
    """Whether it is c + d p, which other rules see to."""
    return all(i + j <= 1 for i, j, _ in monomials)


def _factors(expr: Expr) -> Iterator[Expr]:
    """What an expression is a polynomial of."""
    if expr.is_Add or expr.is_Mul:
        for arg in expr.args:
            yield from _factors(arg)
    elif expr.is_Pow and expr.exp.is_Integer and expr.exp > 0:
        yield from _factors(expr.base)
    else:
        yield expr


def _shares(node: Expr) -> list[Expr]:
    """What may be a share among the factors of a sum's terms."""
    found = {f for f in _factors(node) if isinstance(f, Entry | sigmoid)}
    found |= {arg for arg in node.args if is_fraction(arg)}
    return sorted(found, key=str)


def _own_shares(node: Expr, loss: Loss) -> list[Expr]:
    """The shares of which a sum over all of them has a term that stands for the node's index."""
    found = set()
    for sum_of in _factors(node):
        if isinstance(sum_of, Total) and sum_of.args[2] == TRUE:
            index, body, _ = sum_of.opened()
            places = _places(node, index.axis)
            for share in _shares(body + 1):
                if share.has(index) and isinstance(share, Entry):
                    found |= {substitute(share, {index: place}) for place in places}
    return sorted(found, key=str)


def _places(node: Expr, axis: Axis) -> list[Index | Entry]:
    """The indices and the class labels over an axis, in an expression."""
    labels = [e for e in entries(node) if e.tensor.label == axis]
    free = [label for label in labels if not any(i.is_bound for i in label.atoms(Index))]
    return [*(i for i in free_indices(node) if i.axis == axis), *free]


def _monomials(expr: Expr, share: Expr, rest: Expr, apart: bool) -> list[Monomial] | None:
    """The terms c p^i q^j of a sum, written out; None where there are too many."""
    if expr in (share, rest):
        return [(1, 0, S.One) if expr == share else (0, 1, S.One)]
    if expr.is_Add:
        parts = [_monomials(arg, share, rest, apart) for arg in expr.args]
        found = None if None in parts else [m for part in parts if part for m in part]
    elif expr.is_Mul:
        found = [(0, 0, S.One)]
        for arg in expr.args:
            found = product(found, _monomials(arg, share, rest, apart), MOST_TERMS)
    elif expr.is_Pow and expr.exp.is_Integer and 1 < expr.exp <= MOST_POWER:
        base = _monomials(expr.base, share, rest, apart)
        found = base if base == [(0, 0, expr.base)] else _power(base, int(expr.exp))
        found = [(0, 0, expr)] if found == [(0, 0, expr.base)] else found
    else:
        others = _others(expr, share) if apart and isinstance(expr, Total) else None
        if others is None:
            return [(0, 0, expr)]
        own = _monomials(others[0], share, rest, apart)
        found = None if own is None else [*own, (0, 0, others[1])]
    return found if found is not None and len(found) <= MOST_TERMS else None


def _power(base: list[Monomial] | None, exponent: int) -> list[Monomial] | None:
    found: list[Monomial] | None = [(0, 0, S.One)]
    for _ in range(exponent):
        found = product(found, base, MOST_TERMS)
    return found


def _others(sum_of: Total, share: Expr) -> tuple[Expr, Expr] | None:
    """The term of a sum that has this share, and the sum of the others.

    At most one share is above 1/2: the others are then all that are not, and else the own term
    is not so large that much is lost with it.
    """
    index, body, guard = sum_of.opened()
    place = share.indices[-1] if isinstance(share, Entry) and share.indices else None
    if guard != TRUE or place is None or _axis_of(place) != index.axis:
        return None
    there = substitute(share, {place: index})
    own = substitute(body, {index: place})
    if there not in set(_factors(body)) or body.has(place):
        return None
    small = total(index, body, Condition("<=", there, HALF))
    return own, Choice(Condition(">", share, HALF), small, grouped(sum_of) - grouped(own))


def _axis_of(place: Expr) -> Axis | None:
    """The axis of an index or of a class label."""
    return place.axis if isinstance(place, Index) else getattr(place.tensor, "label", None)


RULES = (odd_sign, powers_of_rest, own_term)
