"""What acts entry by entry, or along a row, in matrix notation: functions, choices, extrema."""

from __future__ import annotations

from sympy import Expr

from derive import functions
from derive.index import TRUE, Binder, Choice, Condition, Entry, Index, Share, free_indices, scoped
from derive.matrix_groups import Convert, Indices, shape_of
from derive.matrix_leaves import NoForm
from derive.matrix_nodes import Mat
from derive.matrix_split import by_labels

_CALLED = {
    functions.absolute: "abs",
    functions.signum: "sign",
    functions.largest: "max",
    functions.smallest: "min",
}


def reduce(convert: Convert, expr: Binder, free: Indices) -> Mat:
    """The largest, smallest or product of a vector, or of each row."""
    if len(free) > 1 or expr.args[2] != TRUE:
        raise NoForm
    with scoped(expr) as (k, body, _):
        return Mat("reduce", (convert(body, (*free, k)),), expr.word, shape_of(free))


def share(convert: Convert, expr: Share, free: Indices) -> Mat:
    extremum, index = expr.args
    if extremum.args[2] != TRUE or free_indices(extremum) or not isinstance(index, Index):
        raise NoForm
    with scoped(extremum) as (k, body, _):
        return Mat("weights", (convert(body, (k,)),), extremum.word, shape_of(free))


def choice(convert: Convert, expr: Choice, free: Indices) -> Mat:
    split = by_labels(expr, free)
    if split is not None:
        return convert(split, free)
    when, value, otherwise = expr.args
    args = condition_of(convert, when, free), *(loose(convert, e, free) for e in (value, otherwise))
    return Mat("choice", args, None, shape_of(free))


def loose(convert: Convert, expr: Expr, free: Indices) -> Mat:
    """An argument of something that acts entry by entry: a scalar may stay one."""
    return convert(expr, free if free_indices(expr) else ())


def condition_of(convert: Convert, condition: Condition, free: Indices) -> Mat:
    op = condition.op
    if op in ("and", "or", "not"):
        args = tuple(condition_of(convert, part, free) for part in condition.operands)
        return Mat("logic", args, op, shape_of(free))
    sides = condition.operands
    labelled = sum(map(_labelled, sides))
    if op == "true" or labelled == 1 or any(isinstance(side, Index) for side in sides):
        raise NoForm
    args = tuple(loose(convert, side, free) for side in sides)
    return Mat("compare", args, op, shape_of(free))


def call(convert: Convert, expr: Expr, free: Indices) -> Mat:
    """A function of numbers, entry by entry."""
    if isinstance(expr, functions.grouped):
        return convert(expr.args[0], free)
    if isinstance(expr, functions.step):
        positive = expr.meaning().args[0]
        return Mat("step", (condition_of(convert, positive, free),), None, shape_of(free))
    if isinstance(expr, functions.log1pmx | functions.expm1mx | functions.log1mexp):
        return convert(expr.meaning(), free)
    name = _CALLED.get(expr.func, expr.func.__name__)
    args = tuple(loose(convert, arg, free) for arg in expr.args)
    return Mat("call", args, name, shape_of(free))


def _labelled(side: Expr) -> bool:
    return isinstance(side, Entry) and side.tensor.label is not None
