"""Functions in pieces whose values and slopes agree where the pieces meet.

Such a function has a continuous gradient, so that its second derivative off the edges tells
whether it is convex, as for one without pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sympy import Abs, Expr, Pow, S, exp, log

from derive import functions as fn
from derive.curvature import SMOOTH, Curvature
from derive.derivation import Derivation
from derive.engine import gradient
from derive.index import (
    Binder,
    Choice,
    Condition,
    Entry,
    Maximum,
    Minimum,
    Total,
    is_index,
    nodes,
    order,
)
from derive.normal import Undecided
from derive.normal.kept import assuming_all

MOST_CHOICES = 6
ORDERS = ("<", "<=", ">", ">=")
CONTINUOUS = (*SMOOTH, fn.relu, fn.absolute, Abs, fn.largest, fn.smallest)
PARTIAL = (log, Pow, fn.lgamma)


def has_continuous_gradient(curvature: Curvature) -> bool:
    """Whether the loss and its derived gradient are continuous wherever it is defined."""
    loss = curvature.loss
    slope = gradient(loss, curvature.name)
    whole = (loss.unfold(loss.value.body), loss.unfold(slope.result))
    return is_confirmed(slope) and all(_is_continuous(curvature, expr) for expr in whole)


def is_confirmed(derivation: Derivation) -> bool:
    """Whether every step of a derivation was."""
    return all(step.check != "unknown" for step in derivation.all_steps())


def _is_continuous(curvature: Curvature, expr: Expr, left: int = MOST_CHOICES) -> bool:
    """Whether an expression of declared names has no jump: none of its choices has one."""
    found = next(_choices(curvature, expr), None)
    if found is None:
        return _by_parts(curvature, expr)
    low, high = (side for side in found.operands)
    above, below = (_where(expr, found, holds) for holds in (True, False))
    edge = Choice(Condition("==", low, high), above - below, S.Zero)
    return (
        left > 0
        and found.op in ORDERS
        and not any(isinstance(node, Binder) and found in nodes(node) for node in nodes(expr))
        and all(_by_parts(curvature, side) for side in (low, high))
        and _vanishes(curvature, edge)
        and all(_is_continuous(curvature, each, left - 1) for each in (above, below))
    )


def _choices(curvature: Curvature, expr: Expr) -> Iterator[Condition]:
    """The conditions of choices and steps that vary."""
    for node in sorted(nodes(expr), key=order):
        test = node.meaning().args[0] if isinstance(node, fn.step) else None
        test = node.args[0] if isinstance(node, Choice) else test
        if test is not None and not is_index(test.operands[0]) and curvature.varies(test):
            yield test


def _where(expr: Expr, condition: Condition, holds: bool) -> Expr:
    """The expression with every choice by a condition decided."""
    put = {}
    for node in nodes(expr):
        choice = node.meaning() if isinstance(node, fn.step) else node
        if isinstance(choice, Choice) and choice.args[0] == condition:
            put[node] = choice.args[1] if holds else choice.args[2]
    return expr.xreplace(put)


def _vanishes(curvature: Curvature, expr: Expr) -> bool:
    try:
        return assuming_all(curvature.loss).is_zero(expr)
    except Undecided:
        return False


def _by_parts(curvature: Curvature, expr: Any) -> bool:
    """Whether all that an expression is made of is continuous wherever it is defined, and that
    is everywhere or as for a smooth one."""
    if not curvature.varies(expr) or isinstance(expr, Entry):
        return True
    if isinstance(expr, Total | Maximum | Minimum):
        _, body, guard = expr.opened()
        return not curvature.varies(guard) and _by_parts(curvature, body)
    if isinstance(expr, PARTIAL) and not isinstance(expr, exp):
        whole = isinstance(expr, Pow) and expr.exp.is_Integer and expr.exp > 0
        inner = expr.args[0]
        if not whole and not curvature.is_smooth(expr) and not curvature.is_positive(inner):
            return False
        return all(_by_parts(curvature, arg) for arg in expr.args)
    known = expr.is_Add or expr.is_Mul or isinstance(expr, CONTINUOUS)
    return known and all(_by_parts(curvature, arg) for arg in expr.args)
