"""Polynomials of a share p and its rest q = 1 - p: which cancel, and their Bernstein form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product as cartesian
from math import comb

from sympy import Add, Expr, Integer, Mul, S

from codegen.bounds import is_weight
from derive.index import Delta, Entry
from derive.loss import Loss

Monomial = tuple[int, int, Expr]  # c p^i q^j as (i, j, c)
Group = Mapping[tuple[int, int], Expr]  # the coefficients, numbers times targets, by (i, j)
MOST_TARGETS = 4


def product(
    left: list[Monomial] | None, right: list[Monomial] | None, most: int
) -> list[Monomial] | None:
    """The terms of a product of two sums; None where there would be too many."""
    if left is None or right is None or len(left) * len(right) > most:
        return None
    return [(i + k, j + m, c * d) for i, j, c in left for k, m, d in right]


def groups(monomials: list[Monomial], loss: Loss) -> dict[Expr, Group]:
    """The monomials by what else they are multiplied with, numbers and targets apart."""
    found: dict[Expr, dict[tuple[int, int], Expr]] = {}
    for i, j, coefficient in monomials:
        factors = Mul.make_args(coefficient)
        plain = [f for f in factors if f.is_Rational or _is_target(f, loss)]
        key = Mul(*(f for f in factors if f not in plain))
        group = found.setdefault(key, {})
        group[i, j] = group.get((i, j), S.Zero) + Mul(*plain)
    return {key: {at: c for at, c in group.items() if c != 0} for key, group in found.items()}


def _is_target(factor: Expr, loss: Loss) -> bool:
    """Whether the target gives it, and so it may well be 0 or 1."""
    base = factor.base if factor.is_Pow else factor
    if isinstance(base, Delta):
        return True
    known = isinstance(base, Entry) and is_weight(base, loss)
    return known and loss.declared[base.tensor.name].role == "target"


def cancels(parts: Sequence[Group]) -> bool:
    """Whether, for targets of 0 and 1, terms of several parts cancel where p or q is 1."""
    names = set().union(*(c.atoms(Delta, Entry) for part in parts for c in part.values()))
    targets = sorted(names, key=str)
    if len(parts) < 2 or len(targets) > MOST_TARGETS:
        return False
    for end in (0, 1):
        sums = [Add(*(c for at, c in part.items() if at[1 - end] == 0)) for part in parts]
        for corner in cartesian((0, 1), repeat=len(targets)):
            here = dict(zip(targets, map(Integer, corner), strict=True))
            numbers = [each.xreplace(here) for each in sums]
            if any(numbers) and sum(numbers) == 0:
                return True
    return False


def collected(group: Group, share: Expr, rest: Expr, homogeneous: bool) -> Expr:
    """The sum of a group, in Bernstein form or as it is."""
    terms = _homogeneous(group) if homogeneous else group
    if not terms:
        return S.Zero
    low, below = min(i for i, _ in terms), min(j for _, j in terms)
    bracket = Add(*(c * share ** (i - low) * rest ** (j - below) for (i, j), c in terms.items()))
    return share**low * rest**below * bracket


def _homogeneous(group: Group) -> Group:
    """Every monomial times that power of p + q = 1 that makes all of one degree."""
    degree = max((i + j for i, j in group), default=0)
    found: dict[tuple[int, int], Expr] = {}
    for (i, j), c in sorted(group.items()):
        missing = degree - i - j
        for more in range(missing + 1):
            at = i + more, degree - i - more
            found[at] = found.get(at, S.Zero) + comb(missing, more) * c
    expanded = {at: c.expand() for at, c in found.items()}
    return {at: c for at, c in expanded.items() if c != 0}
