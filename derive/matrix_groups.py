"""What the parts of a conversion to matrix notation share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sympy import Expr, Mul

from derive.index import Delta, Index, free_indices
from derive.loss import Loss
from derive.matrix_leaves import NoForm
from derive.matrix_nodes import Mat, weight

Indices = tuple[Index, ...]


class Convert(Protocol):
    """What the parts of a conversion need of the whole."""

    loss: Loss

    def __call__(self, expr: Expr, free: Indices) -> Mat: ...

    def product(self, expr: Expr, free: Indices) -> Mat: ...

    def entrywise(self, factors: Sequence[Expr], free: Indices) -> Mat: ...


def shape_of(free: Indices) -> tuple[str, str]:
    """The axes of rows and columns: the first index runs down, the second across."""
    rows, columns = (*(index.axis.name for index in free), "", "")[:2]
    return rows, columns


def shorter(*ways: Callable[[], Mat]) -> Mat:
    """The shortest of some trees, the first among equals; NoForm where there is none."""
    found = []
    for way in ways:
        try:
            found.append(way())
        except NoForm:
            continue
    if not found:
        raise NoForm
    return min(found, key=weight)


def grouped(factors: Sequence[Expr], free: Indices) -> dict[Indices, list[Expr]]:
    """Factors by which of the indices they have."""
    groups: dict[Indices, list[Expr]] = {}
    for factor in factors:
        has = tuple(index for index in free if index in free_indices(factor))
        groups.setdefault(has, []).append(factor)
    return groups


def comes_apart(factor: Expr, pair: Indices) -> bool:
    """Whether a sum in two indices has a term in one only, or a delta of both: not one matrix."""
    if not factor.is_Add or len(pair) < 2:
        return False
    whole = set(pair)
    return any(not whole <= free_indices(t) or _has_delta(t, pair) for t in factor.args)


def _has_delta(term: Expr, pair: Indices) -> bool:
    return any(isinstance(f, Delta) and set(f.args) == set(pair) for f in Mul.make_args(term))
