"""Passes over statements: what occurs twice is computed once, and copies are folded away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from sympy import Basic, Expr, Pow

from codegen.kernel import Contract, Map, Statement
from codegen.lower.names import canonical, suggest, unique
from derive.index import Choice, Delta, Entry, Index, Tensor, rebuild

Wanted = Callable[[Basic], Iterator[Expr]]


def share(
    statements: list[Statement], taken: set[str], wanted: Wanted | None = None
) -> list[Statement]:
    """Give each expression that occurs more than once an array of its own, largest first.

    `wanted` gives those of an expression that are worth an array: by default, operations.
    """
    while True:
        found = _most_shared(statements, wanted or _candidates)
        if found is None:
            return statements
        key, example = found
        statements = _extract(statements, key, example, taken)


def _most_shared(statements: list[Statement], wanted: Wanted) -> tuple[Basic, Expr] | None:
    seen: dict[Basic, tuple[int, int, Expr]] = {}
    for statement in statements:
        if isinstance(statement, Contract):
            continue
        for node in wanted(statement.expr):
            key, _ = canonical(node)
            count, size, first = seen.get(key, (0, _size(node), node))
            seen[key] = (count + 1, size, first)
    best = None
    for key, (count, size, first) in seen.items():
        if count > 1 and (best is None or size > best[0]):
            best = (size, key, first)
    return None if best is None else (best[1], best[2])


def _candidates(expr: Basic) -> Iterator[Expr]:
    """Every node worth an array: an operation on arrays, not a mere sign or comparison."""
    if isinstance(expr, Entry | Index | Delta):
        return
    if isinstance(expr, Expr) and expr.args and not is_switch(expr):
        operands = [arg for arg in expr.args if not arg.is_number]
        plain = len(operands) == 1 and (expr.is_Mul or (isinstance(expr, Pow) and expr.exp == -1))
        if not plain:
            yield expr
    for arg in expr.args:
        yield from _candidates(arg)


def is_switch(expr: Expr) -> bool:
    """A choice between numbers: a comparison, no more."""
    return isinstance(expr, Choice) and expr.args[1].is_number and expr.args[2].is_number


def _size(expr: Basic) -> int:
    if isinstance(expr, Entry):
        return 1
    return 1 + sum(_size(arg) for arg in expr.args)


def _extract(
    statements: list[Statement], key: Basic, example: Expr, taken: set[str]
) -> list[Statement]:
    name = unique(suggest(example, example), taken)
    _, indices = canonical(example)
    tensor = Tensor(name, tuple(index.axis for index in indices))
    new: list[Statement] = []
    placed = False

    def visit(node: Basic) -> Basic:
        if isinstance(node, Expr) and node.args and not isinstance(node, Entry):
            here, order = canonical(node)
            if here == key:
                return Entry(tensor, *order)
        return rebuild(node, visit)

    for statement in statements:
        changed = _rewrite(statement, visit)
        if changed != statement and not placed:
            new.append(Map(name, indices, example))
            placed = True
        new.append(changed)
    return new


def _rewrite(statement: Statement, visit: Callable[[Basic], Basic]) -> Statement:
    if isinstance(statement, Contract):
        operands = tuple(visit(operand) for operand in statement.operands)
        return replace(statement, operands=operands)
    return replace(statement, expr=visit(statement.expr))


def fold_copies(statements: list[Statement], keep: frozenset[str]) -> list[Statement]:
    """Where a named definition only copies an array made on the way, that array gets the name."""
    for statement in list(statements):
        if not isinstance(statement, Map) or not isinstance(statement.expr, Entry):
            continue
        source = statement.expr.tensor.name
        made = next((s for s in statements if s.name == source), None)
        if made is None or source in keep or statement.expr.indices != statement.indices:
            continue
        if tuple(i.axis for i in made.indices) != tuple(i.axis for i in statement.indices):
            continue
        statements = [s for s in statements if s.name != statement.name]
        statements = [_renamed(s, source, statement.name) for s in statements]
    return statements


def _renamed(statement: Statement, old: str, new: str) -> Statement:
    def visit(node: Basic) -> Basic:
        if isinstance(node, Entry) and node.tensor.name == old:
            tensor = Tensor(new, node.tensor.axes, node.tensor.label)
            return Entry(tensor, *(visit(arg) for arg in node.indices))
        return rebuild(node, visit)

    statement = _rewrite(statement, visit)
    return replace(statement, name=new) if statement.name == old else statement
