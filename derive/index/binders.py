"""Opening and closing binders, and rewriting below them without capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from sympy import Basic, Expr, Integer, S

from derive.index.look import free_indices, height, nodes, walk
from derive.index.names import Axis, Index, renamed
from derive.index.nodes import TRUE, Binder, Condition, Entry, Product, Total

_depth: ContextVar[int] = ContextVar("_depth", default=0)
SCOPED = 1 << 60


@contextmanager
def scoped(binder: Binder) -> Iterator[tuple[Index, Expr, Condition]]:
    """Open a binder for the length of a `with` block.

    The index is unique among those of enclosing blocks, and the same for the same binder at
    the same depth, so that what is remembered of its body is found again.  It must not leave
    the block: close over it with `bind`.
    """
    depth = _depth.get()
    token = _depth.set(depth + 1)
    try:
        yield _opened(binder, depth)
    finally:
        _depth.reset(token)


@lru_cache(maxsize=1 << 16)
def _opened(binder: Binder, depth: int) -> tuple[Index, Expr, Condition]:
    bound, body, guard = binder.args
    index = Index("", bound.axis, SCOPED + depth)
    here = {bound: index}
    return index, renamed(body, here), renamed(guard, here)


def bind(kind: type[Binder], index: Index, body: Expr, guard: Condition = TRUE) -> Expr:
    """Close `body` over `index`, in canonical form."""
    if kind is Total and body == 0:
        return S.Zero
    if kind is Product and body == 1:
        return S.One
    level = max(height(body), height(guard)) + 1
    bound = Index("", index.axis, -level)
    here = {index: bound}
    binder: Expr = kind(bound, renamed(body, here), renamed(guard, here))
    return binder


def total(index: Index, body: Expr, guard: Condition = TRUE) -> Expr:
    """The sum of `body` over `index`."""
    return bind(Total, index, body, guard)


def rebuild(expr: Basic, function: Callable[[Basic], Basic]) -> Basic:
    """Apply `function` to each argument; a binder is opened before and closed after."""
    if isinstance(expr, Binder):
        with scoped(expr) as (index, body, guard):
            new_body, new_guard = function(body), function(guard)
            if new_body is body and new_guard is guard:
                return expr
            return bind(type(expr), index, new_body, new_guard)
    if isinstance(expr, Condition):
        operands = [function(arg) for arg in expr.operands]
        same = all(new is old for new, old in zip(operands, expr.operands, strict=True))
        return expr if same else Condition(expr.op, *operands)
    if isinstance(expr, Entry):
        indices = [function(arg) for arg in expr.indices]
        return expr if tuple(indices) == expr.indices else Entry(expr.tensor, *indices)
    if not expr.args:
        return expr
    args = [function(arg) for arg in expr.args]
    if all(new is old for new, old in zip(args, expr.args, strict=True)):
        return expr
    return expr.func(*args)


def anywhere(expr: Basic, holds: Callable[[Basic], bool]) -> bool:
    """Whether something holds of a node as `rebuild` meets it: binders open around it."""
    start = _depth.get()
    for depth, inside in _met(expr, start):
        token = _depth.set(depth)
        try:
            if any(map(holds, inside)):
                return True
        finally:
            _depth.reset(token)
    return False


@lru_cache(maxsize=1 << 12)
def _met(expr: Basic, start: int) -> tuple[tuple[int, tuple[Basic, ...]], ...]:
    """The nodes that `rebuild` meets, each once, by how many binders are open around them."""
    found: dict[int, dict[Basic, None]] = {}

    def visit(node: Basic) -> Basic:
        here = found.setdefault(_depth.get(), {})
        if node not in here:
            here[node] = None
            rebuild(node, visit)
        return node

    visit(expr)
    return tuple((depth, tuple(nodes)) for depth, nodes in found.items())


def substitute(expr: Any, mapping: Mapping[Any, Any]) -> Any:
    """Replace whole nodes, binders opened on the way, so that nothing is captured."""
    present = {key: value for key, value in mapping.items() if key != value and occurs(key, expr)}
    if not present:
        return expr
    if all(isinstance(key, Index) for key in present):
        return _level(renamed(expr, present))

    done = dict(present)

    def replace(node: Basic) -> Basic:
        found = done.get(node)
        if found is None:
            found = done[node] = rebuild(node, replace)
        return found

    return replace(expr)


def occurs(node: Basic, expr: Basic) -> bool:
    """Whether `node` may occur in `expr`; never a false "no"."""
    if isinstance(node, Index):
        return node in free_indices(expr)
    return bool(free_indices(node) or height(node)) or node in nodes(expr)


def _level(expr: Any) -> Any:
    """Give binders their canonical form again where a simplification has changed what is inside."""
    if not height(expr) or not any(map(_outdated, walk(expr))):
        return expr
    if isinstance(expr, Binder):
        with scoped(expr) as (index, body, guard):
            return bind(type(expr), index, _level(body), _level(guard))
    return rebuild(expr, _level)


def _outdated(node: Basic) -> bool:
    if not isinstance(node, Binder):
        return False
    bound, body, guard = node.args
    empty = (isinstance(node, Total) and body == 0) or (isinstance(node, Product) and body == 1)
    return bool(empty or -bound.uid != max(height(body), height(guard)) + 1)


def size(axis: Axis, index: Index, guard: Condition) -> Expr:
    """How many indices of the axis pass the guard."""
    return axis if guard == TRUE else total(index, Integer(1), guard)
