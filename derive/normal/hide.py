"""Sums as variables: what is done to an expression then holds whatever they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from sympy import Expr

from derive.index import (
    Binder,
    Diff,
    Entry,
    Index,
    Partial,
    Tensor,
    Total,
    free_indices,
    height,
    kinds,
    order,
    rebuild,
    substitute,
    walk,
)

NUMBERED = 1 << 61
OPEN_LEVELS = 2


def hidden(*exprs: Expr) -> tuple[Expr, ...]:
    """The expressions with every sum that stands in all of them as a variable of its indices.

    What a derivative is taken of or by stays: there a sum is more than its value.
    """
    common = set.intersection(*map(all_sums, exprs))
    if not common:
        return exprs
    names = {pattern: f"#{n}" for n, pattern in enumerate(sorted(common, key=order))}

    @cache
    def visit(node: Any) -> Any:
        if _closed(node):
            return node
        if isinstance(node, Total):
            pattern, indices = _pattern(node)
            if pattern in names:
                return _variable(names[pattern], indices)
        return rebuild(node, visit)

    return tuple(visit(expr) for expr in exprs)


def classed(normal: Callable[[Expr], Expr], *exprs: Expr) -> tuple[Expr, ...]:
    """The expressions with every sum as a variable, one for all sums of one normal form; the
    sums inside it are variables before its normal form is taken."""
    names: dict[Expr, str] = {}

    @cache
    def visit(node: Any) -> Any:
        if _closed(node):
            return node
        node = rebuild(node, visit)
        if not isinstance(node, Total):
            return node
        found = normal(node)
        if Total not in kinds(found):
            return found
        return variable(names, found)

    return tuple(visit(expr) for expr in exprs)


def veiled(expr: Expr) -> tuple[Expr, Mapping[str, Expr]]:
    """The expression with the sums below its outer levels as variables, and what they are."""
    names: dict[Expr, str] = {}
    if height(expr) <= OPEN_LEVELS or kinds(expr) & {Diff, Partial}:
        return expr, {}

    def visit(node: Any, depth: int) -> Any:
        if _closed(node):
            return node
        if isinstance(node, Total) and depth >= OPEN_LEVELS:
            return variable(names, node)
        inside = depth + isinstance(node, Binder)
        return rebuild(node, lambda arg: visit(arg, inside))

    outer = visit(expr, 0)
    return outer, {name: pattern for pattern, name in names.items()}


def unveiled(expr: Expr, sums: Mapping[str, Expr]) -> Expr:
    """The expression with the sums in place of the variables again."""
    if not sums:
        return expr

    def visit(node: Any) -> Any:
        if isinstance(node, Entry) and node.tensor.name in sums:
            pattern = sums[node.tensor.name]
            numbered = enumerate(zip(node.tensor.axes, node.indices, strict=True))
            return substitute(pattern, {_place(axis, n): i for n, (axis, i) in numbered})
        return rebuild(node, visit)

    return visit(expr)


def levels(expr: Expr) -> Iterator[Expr]:
    """The outer levels of an expression, then those of each sum below them."""
    outer, sums = veiled(expr)
    yield outer
    for pattern in sums.values():
        yield from levels(pattern)


def level_by_level(expr: Expr, function: Callable[[Expr], Expr]) -> Expr:
    """A function that keeps values, on the outer levels and on each sum below them."""
    outer, sums = veiled(expr)
    changed = {name: level_by_level(pattern, function) for name, pattern in sums.items()}
    return unveiled(function(outer), changed)


def all_sums(expr: Expr) -> set[Expr]:
    """Every sum in an expression, its free indices numbered."""
    found: set[Expr] = set()

    @cache
    def visit(node: Any) -> Any:
        if _closed(node):
            return node
        if isinstance(node, Total):
            found.add(_pattern(node)[0])
        return rebuild(node, visit)

    visit(expr)
    return found


def _closed(node: Any) -> bool:
    return isinstance(node, Diff | Partial) or Total not in kinds(node)


@lru_cache(maxsize=1 << 15)
def _pattern(node: Expr) -> tuple[Expr, tuple[Index, ...]]:
    """An expression with its free indices numbered in order, and those indices."""
    free = free_indices(node)
    indices = tuple(dict.fromkeys(i for i in walk(node) if i in free))
    return node.xreplace({i: _place(i.axis, n) for n, i in enumerate(indices)}), indices


def _place(axis: Any, number: int) -> Index:
    return Index("", axis, NUMBERED + number)


def variable(names: dict[Expr, str], node: Expr, sign: str = "#") -> Expr:
    """An expression as a variable of its free indices; `names` says which one stands for what.

    Names begin with the sign: another one where some variables stand for sums already.
    """
    pattern, indices = _pattern(node)
    return _variable(names.setdefault(pattern, f"{sign}{len(names)}"), indices)


def _variable(name: str, indices: tuple[Index, ...]) -> Expr:
    return Tensor(name, tuple(index.axis for index in indices))[indices]
