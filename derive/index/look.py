"""Questions about an expression: what occurs in it, and in which order to list it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sympy import Basic, Symbol

from derive.index.names import Index
from derive.index.nodes import Argmax, Binder, Condition, Entry, Tensor


@lru_cache(maxsize=1 << 16)
def height(expr: Basic) -> int:
    """The highest level of any binder in `expr`; 0 where there is none."""
    if isinstance(expr, Index | Tensor) or not expr.args:
        return 0
    inside = max(height(arg) for arg in expr.args)
    return max(inside, -expr.args[0].uid) if isinstance(expr, Binder) else inside


@lru_cache(maxsize=1 << 16)
def dangling(expr: Basic) -> frozenset[Index]:
    """The canonical indices in `expr` whose binder is not in it: none in a whole expression."""
    if isinstance(expr, Index):
        return frozenset((expr,)) if expr.is_bound else frozenset()
    found: frozenset[Index] = frozenset()
    for arg in expr.args:
        found |= dangling(arg)
    return found - {expr.args[0]} if isinstance(expr, Binder) else found


@lru_cache(maxsize=1 << 16)
def nodes(expr: Basic) -> frozenset[Basic]:
    """Every node of `expr`, bound indices in canonical form."""
    found = frozenset((expr,))
    if not isinstance(expr, Index | Tensor):
        for arg in expr.args:
            found |= nodes(arg)
    return found


@lru_cache(maxsize=1 << 16)
def kinds(expr: Basic) -> frozenset[type]:
    """The types of all nodes of `expr`, to see at once whether a rule has anything to do."""
    found = frozenset((type(expr),))
    if not isinstance(expr, Index | Tensor):
        for arg in expr.args:
            found |= kinds(arg)
    return found


def distinct(expr: Basic) -> set[Basic]:
    """Every node once, as `nodes`; for expressions that are too large to remember all sets of."""
    found: set[Basic] = set()
    todo = [expr]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += node.args
    return found


def comparisons(expr: Basic) -> list[Condition]:
    """The comparisons of real numbers in `expr`, not those of indices and class labels."""
    found = (n for n in nodes(expr) if isinstance(n, Condition) and len(n.operands) == 2)
    tests = [n for n in found if not is_index(n.operands[0]) and n.op not in ("and", "or")]
    return sorted(tests, key=order)


def is_index(side: Any) -> bool:
    """Whether this is an index or a class label."""
    label = isinstance(side, Entry) and side.tensor.label is not None
    return label or isinstance(side, Index | Argmax)


def walk(expr: Basic) -> Iterator[Basic]:
    """Every node, parents first; binders are walked in their canonical form."""
    yield expr
    if not isinstance(expr, Index | Tensor):
        for arg in expr.args:
            yield from walk(arg)


@lru_cache(maxsize=1 << 16)
def free_indices(expr: Basic) -> frozenset[Index]:
    """The indices that no binder of `expr` owns."""
    if isinstance(expr, Index):
        return frozenset() if expr.is_bound else frozenset((expr,))
    found: frozenset[Index] = frozenset()
    for arg in expr.args:
        found |= free_indices(arg)
    return found


@lru_cache(maxsize=1 << 16)
def unbound(expr: Basic) -> tuple[Index, ...]:
    """The indices that a value of `expr` depends on, whether it is whole or a part of a binder."""
    return tuple(sorted(free_indices(expr) | dangling(expr), key=order))


@lru_cache(maxsize=1 << 16)
def entries(expr: Basic) -> frozenset[Entry]:
    """Every tensor entry in `expr`, bound indices in canonical form."""
    found = frozenset((expr,)) if isinstance(expr, Entry) else frozenset()
    for arg in expr.args:
        found |= entries(arg)
    return found


@lru_cache(maxsize=1 << 16)
def tensors(expr: Basic) -> frozenset[Tensor]:
    """Every tensor named in `expr`."""
    return frozenset(entry.tensor for entry in entries(expr))


@lru_cache(maxsize=1 << 16)
def tensor_names(expr: Basic) -> frozenset[str]:
    """The names of every tensor in `expr`."""
    return frozenset(tensor.name for tensor in tensors(expr))


def order(expr: Basic) -> tuple[Any, ...]:
    """A total order on expressions that depends on their structure only, never on a hash."""
    return _key(expr)


@lru_cache(maxsize=1 << 16)
def _key(expr: Basic) -> tuple[Any, ...]:
    if isinstance(expr, Index):
        return (0, expr.axis.name, expr.name, expr.uid)
    if isinstance(expr, Tensor):
        return (1, expr.name)
    if isinstance(expr, Symbol):
        return (2, expr.name)
    if expr.is_Number:
        return (3, str(expr))
    args = expr.args
    if expr.is_Add or expr.is_Mul:
        args = tuple(sorted(args, key=_key))
    return (4, type(expr).__name__, len(args), tuple(_key(arg) for arg in args))
