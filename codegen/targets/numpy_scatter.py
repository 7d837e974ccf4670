"""Statements that change one entry a row: a copy and an assignment, for a comparison a cell."""

from __future__ import annotations

from collections.abc import Collection

from sympy import Add, Expr

from codegen.kernel import Map, Reduce
from codegen.targets.numpy_expressions import Layout, show
from derive.index import Choice, Condition, Delta, Entry, Index, free_indices, walk


def scattered(expr: Expr, dims: tuple[Index, ...]) -> tuple[Expr, str, Expr, Entry] | None:
    """(rest, "=" or "+=", value, label): `expr` is `rest` but for one entry a row, at the label."""
    if isinstance(expr, Choice):
        condition, value, otherwise = expr.args
        label = _label(condition, dims)
        if label is not None and dims[-1] not in free_indices(value):
            return (otherwise, "=", value, label) if _fills(otherwise, dims) else None
    for term in expr.args if expr.is_Add else ():
        number, switch = term.as_coeff_Mul()
        label = _label(switch, dims) if isinstance(switch, Delta) else None
        if isinstance(switch, Choice) and switch.args[1:] == (1, 0):
            label = _label(switch.args[0], dims)
        rest = Add(*(other for other in expr.args if other != term))
        if label is not None and _fills(rest, dims):
            return rest, "+=", number, label
    return None


def _label(test: Condition | Delta, dims: tuple[Index, ...]) -> Entry | None:
    """The label that the last of the axes is compared with, if there is one value of it a row."""
    if isinstance(test, Condition) and test.op != "==":
        return None
    sides = test.operands if isinstance(test, Condition) else test.args
    for index, label in (sides, sides[::-1]):
        if index == dims[-1] and isinstance(label, Entry) and label.indices == dims[:-1]:
            return label
    return None


def _fills(expr: Expr, dims: tuple[Index, ...]) -> bool:
    return free_indices(expr) == frozenset(dims)


def scattered_part(statement: Map | Reduce) -> Expr | None:
    """A part of the statement's expression that deserves a statement of its own."""
    dims = (*statement.indices, *statement.over)
    if len(dims) > 2:
        return None
    for node in walk(statement.expr):
        inside = node is not statement.expr or isinstance(statement, Reduce)
        if inside and isinstance(node, Expr) and dims and scattered(node, dims) is not None:
            return node
    return None


def scatter_lines(
    statement: Map, at: Layout, kept: Collection[str] | None = None
) -> tuple[str, ...] | None:
    """The lines of NumPy for such a statement, None for any other.

    An array that is not among those `kept` is changed itself rather than a copy of it.
    """
    found = scattered(statement.expr, statement.indices) if 0 < len(at.dims) <= 2 else None
    if found is None:
        return None
    rest, sign, value, label = found
    rows = Layout(at.dims[:-1], at.names, at.ranges)
    name = at.names[statement.name]
    slots = [show(i, rows) for i in at.dims[:-1]] + [show(label, rows)]
    start = show(rest, at)
    if isinstance(rest, Entry) and (kept is None or rest.tensor.name in kept):
        start += '.copy(order="K")'
    changed, number = show(value, rows), value.is_number and value < 0
    if sign == "+=" and number:
        sign, changed = "-=", show(-value, rows)
    return f"{name} = {start}", f"{name}[{', '.join(slots)}] {sign} {changed}"
