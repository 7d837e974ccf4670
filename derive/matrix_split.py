"""Choices by an index: u where j is the label and v elsewhere is v + delta(j, t) (u - v)."""

from __future__ import annotations

from sympy import Expr, Function, Mul, Pow

from derive import functions
from derive.index import (
    Choice,
    Condition,
    Delta,
    Index,
    free_indices,
    substitute,
    walk,
)

_ALWAYS_FINITE = ("exp", "sigmoid", "softplus", "sin", "cos", "tanh", "atan", "relu", "step")


def by_labels(expr: Expr, free: tuple[Index, ...]) -> Expr | None:
    """The expression with its first choice by an index as a sum with a delta, if it has one."""
    factors = Mul.make_args(expr)
    for place, factor in enumerate(factors):
        base = factor
        if isinstance(base, Choice) and (found := _as_delta(base, free)) is not None:
            return Mul(*factors[:place], *factors[place + 1 :]) * found
    return None


def _as_delta(choice: Choice, free: tuple[Index, ...]) -> Expr | None:
    condition, value, otherwise = choice.args
    joined = condition.operands if condition.op == "and" else (condition,)
    for place, part in enumerate(joined):
        index = _index_of(part, free)
        if index is None or (part.op == "!=" and len(joined) > 1):
            continue
        if part.op == "!=":
            value, otherwise = otherwise, value
        if not whole(otherwise, index):
            return None
        rest = [*joined[:place], *joined[place + 1 :]]
        delta = Delta(*part.operands)
        here = value
        if rest:
            left = rest[0] if len(rest) == 1 else Condition("and", *rest)
            here = Choice(left, value, otherwise)
        at = {index: delta.other(index)} if isinstance(delta, Delta) else {}
        return otherwise + delta * (substitute(here, at) - substitute(otherwise, at))
    return None


def _index_of(condition: Condition, free: tuple[Index, ...]) -> Index | None:
    """The index that a condition sets equal to another one, or to a label."""
    if condition.op not in ("==", "!="):
        return None
    left, right = condition.operands
    for index, other in ((left, right), (right, left)):
        if index in free and index not in free_indices(other):
            return index
    return None


def whole(expr: Expr, index: Index) -> bool:
    """Whether an expression surely has a value at each of the index's places."""
    for node in walk(expr):
        if index not in free_indices(node):
            continue
        if isinstance(node, Pow) and not (node.exp.is_Integer and node.exp >= 0):
            return False
        named = type(node).__name__
        total_one = isinstance(node, functions.absolute | functions.signum | functions.largest)
        if isinstance(node, Function) and not (total_one or named in _ALWAYS_FINITE):
            return False
    return True
