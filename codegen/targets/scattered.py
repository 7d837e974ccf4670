"""Statements that change one entry a row, at a label: no comparison a cell is needed."""

from __future__ import annotations

from sympy import Add, Expr

from codegen.kernel import Map, Reduce
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
