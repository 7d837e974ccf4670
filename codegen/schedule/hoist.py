"""What is the same for a whole row is computed once for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sympy import Basic, Expr, Mul, Pow

from codegen.kernel import Contract, Map, Reduce, Statement, exp_difference
from codegen.lower.names import unique
from derive.index import Axis, Entry, Index, Tensor, free_indices, rebuild, walk


def at_least_one(statements: list[Statement]) -> frozenset[str]:
    """Sums of exponentials of differences from a maximum: from 1 to the size of the axis."""
    shifted = {
        s.name for s in statements if isinstance(s, Map) and isinstance(s.expr, exp_difference)
    }
    return frozenset(
        s.name
        for s in statements
        if isinstance(s, Reduce)
        and s.op == "sum"
        and isinstance(s.expr, Entry)
        and s.expr.tensor.name in shifted
        and s.expr.indices == (*s.indices, *s.over)
    )


def hoisted(statement: Statement, taken: set[str], large: frozenset[str]) -> list[Statement]:
    """The statement after those that compute what is the same for a whole row of it."""
    dims = (*statement.indices, *statement.over)
    if isinstance(statement, Contract) or len(dims) < 2 or not statement.indices:
        return [statement]
    row = statement.indices[0]
    before: list[Statement] = []
    found: dict[Basic, Entry] = {}

    def visit(node: Basic) -> Basic:
        if isinstance(node, Expr) and _is_row_work(node, row, large):
            if node not in found:
                name = unique("once", taken)
                before.append(Map(name, (row,), node))
                found[node] = Entry(Tensor(name, (row.axis,)), row)
            return found[node]
        if isinstance(node, Entry):
            return node
        if isinstance(node, Mul):
            return _visit_product(node, row, large, visit)
        return rebuild(node, visit)

    changed = replace(statement, expr=visit(statement.expr))
    return [*before, changed]


def _visit_product(
    node: Expr, row: Index, large: frozenset[str], visit: Callable[[Basic], Basic]
) -> Basic:
    """A product: its factors that are the same for the row are one number."""
    same = [arg for arg in node.args if free_indices(arg) <= {row} and not _divides(arg, large)]
    rest = [arg for arg in node.args if arg not in same]
    part = Mul(*same)
    if len(same) > 1 and _is_row_work(part, row, large):
        return Mul(visit(part), *(visit(arg) for arg in rest))
    return Mul(*(visit(arg) for arg in node.args))


def _divides(factor: Expr, large: frozenset[str]) -> bool:
    """Whether it is a divisor that could be so small or large that its reciprocal is not finite."""
    if not isinstance(factor, Pow) or not factor.exp.is_number or not factor.exp.is_negative:
        return False
    return not (isinstance(factor.base, Entry) and factor.base.tensor.name in large)


def _is_row_work(node: Expr, row: Index, large: frozenset[str]) -> bool:
    """Whether it depends on the row alone and is worth computing once for it."""
    if isinstance(node, Entry | Index | Axis) or node.is_number or not node.args:
        return False
    if _divides(node, large) or (isinstance(node, Mul) and node.as_coeff_Mul()[1].is_Atom):
        return False
    return free_indices(node) <= {row} and any(isinstance(x, Entry) for x in walk(node))
