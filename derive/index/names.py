"""Axes and indices, and how an index is renamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from sympy import Basic, Expr, Symbol
from sympy.core.expr import AtomicExpr


def interned(make: Callable[..., Any]) -> Any:
    """A constructor that gives one node for equal arguments, as SymPy's own do: most comparisons
    are then by identity, and what SymPy has found out about a node is known wherever it occurs."""
    return staticmethod(lru_cache(maxsize=1 << 16)(make))


class Axis(Symbol):
    """A named axis such as K; as a number it is the axis's size."""

    __slots__ = ()

    def __new__(cls, name: str) -> Axis:
        axis: Axis = Symbol.__xnew__(cls, name, integer=True, positive=True)
        return axis


class Index(AtomicExpr):
    """An index of one axis.

    `uid` is its identity: 0 as written by the user, > 0 fresh, < 0 bound.
    """

    __slots__ = ("axis", "name", "uid")
    is_integer = True
    is_commutative = True

    @interned
    def __new__(cls, name: str, axis: Axis, uid: int = 0) -> Index:
        index: Index = AtomicExpr.__new__(cls)
        index.name, index.axis, index.uid = name, axis, uid
        return index

    def __getnewargs__(self) -> tuple[str, Axis, int]:
        return self.name, self.axis, self.uid

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.name, self.axis.name, self.uid

    @property
    def is_bound(self) -> bool:
        """Whether this is the canonical index of some binder."""
        return self.uid < 0

    def _sympystr(self, printer: Any) -> str:
        return f"{self.name}{self.axis.name}{self.uid}"


@lru_cache(maxsize=1 << 16)
def indices(expr: Basic) -> frozenset[Index]:
    """Every index in `expr`, free or bound."""
    if isinstance(expr, Index):
        return frozenset((expr,))
    return frozenset().union(*map(indices, expr.args))


def renamed(expr: Any, here: Mapping[Index, Expr]) -> Any:
    """The expression with other indices (or labels) in the place of some, bound ones included."""
    return expr if here.keys().isdisjoint(indices(expr)) else _renamed(expr, tuple(here.items()))


@lru_cache(maxsize=1 << 16)
def _renamed(expr: Any, pairs: tuple[tuple[Index, Expr], ...]) -> Any:
    here = dict(pairs)
    return here[expr] if expr in here else expr.func(*(renamed(arg, here) for arg in expr.args))
