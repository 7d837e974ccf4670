"""Choices gathered: one for many, needless ones left out, guards of sums in their place."""

from __future__ import annotations

from typing import Any

from sympy import Basic, Expr, Mul

from derive.functions import largest, relu
from derive.index import (
    TRUE,
    Binder,
    Choice,
    Condition,
    Delta,
    Diff,
    Index,
    Partial,
    Total,
    bind,
    free_indices,
    kinds,
    rebuild,
    scoped,
    substitute,
)
from derive.normal import NormalForm, Undecided
from derive.normal.hide import unveiled, variable
from derive.rules.branches import BROKEN, in_choices, outside, shortest_branches
from derive.rules.compare import negated
from derive.rules.polish import polished
from derive.rules.shorten import shortness
from derive.rules.spared import spared


def gathered(expr: Expr, form: NormalForm) -> Expr:
    """The expression with its choices joined, and its sums guarded, where that is shorter."""
    if not kinds(expr) & BROKEN or kinds(expr) & {Diff, Partial}:
        return expr
    try:
        inside = spared(_binders(expr, form), form)
        found = shortest_branches(form, inside)
        if found == inside:
            found = _around_choices(inside, form)
    except Undecided:
        return expr
    every = (expr, inside, polished(_as_before(found, expr)))
    return min(every, key=lambda found: (shortness(found), in_choices(found)))


def _around_choices(expr: Expr, form: NormalForm) -> Expr:
    """The same with every choice by other things than indices as a variable: what is left is
    few conditions, on which much can be split."""
    names: dict[Expr, str] = {}

    def visit(node: Any) -> Any:
        if isinstance(node, Binder) or Choice not in kinds(node):
            return node
        if isinstance(node, Choice) and not kinds(node.args[0]) & {Delta, Index}:
            return variable(names, node, "?")
        return rebuild(node, visit)

    outer = visit(expr)
    if not names or not kinds(outer) & {*BROKEN, Delta}:
        return expr
    found = shortest_branches(form, outer, always=True)
    return unveiled(found, {name: pattern for pattern, name in names.items()})


def _as_before(found: Expr, expr: Expr) -> Expr:
    """relu(u) spelled max(0, u) where the expression has that."""
    spelling = {
        relu(node.args[1]): node
        for node in outside(expr)
        if isinstance(node, largest) and node.args[0] == 0
    }
    return substitute(found, spelling) if spelling else found


def _binders(expr: Expr, form: NormalForm) -> Expr:
    """The bodies of sums and the like gathered; a choice of 0 becomes a guard."""

    def visit(node: Basic) -> Basic:
        if isinstance(node, Condition) or not kinds(node) & BROKEN:
            return node
        if not isinstance(node, Binder):
            return rebuild(node, visit)
        with scoped(node) as (index, body, guard):
            body = gathered(body, form)
            if isinstance(node, Total):
                body, guard = _guarded(index, body, guard)
            return bind(type(node), index, body, guard)

    found: Expr = visit(expr)
    return found


def _guarded(index: Index, body: Expr, guard: Condition) -> tuple[Expr, Condition]:
    """sum (f if c else 0) is the sum of f where c holds."""
    for factor in Mul.make_args(body):
        if not isinstance(factor, Choice) or index not in free_indices(factor.args[0]):
            continue
        condition, value, otherwise = factor.args
        holds = condition if otherwise == 0 else negated(condition) if value == 0 else None
        if holds is not None:
            kept = [arg for arg in Mul.make_args(body) if arg is not factor]
            parts = guard.operands if guard.op == "and" else (guard,) * (guard != TRUE)
            more = holds.operands if holds.op == "and" else (holds,)
            every = (*parts, *more)
            both = every[0] if len(every) == 1 else Condition("and", *every)
            return _guarded(index, Mul(*kept, otherwise if value == 0 else value), both)
    return body, guard
