"""A value put in where a branch has none: `sin(x)/x if x != 0 else 1` has a slope at 0 too.

The slope there is the limit of the other branch's, where that branch tends to the value; the
value alone says nothing of it.  It is put in as the tangent through the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sympy import Expr, Symbol, diff, fraction, together

from derive import functions as fn
from derive.derivation import Rule
from derive.index import (
    Axis,
    Binder,
    Choice,
    Condition,
    Delta,
    Diff,
    Entry,
    Share,
    comparisons,
    entries,
    is_index,
    kinds,
    nodes,
    order,
    rebuild,
    substitute,
    tensor_names,
)
from derive.loss import Loss
from derive.normal import NormalForm, level
from derive.normal.level import ENDLESS
from derive.normal.poly import add_to
from derive.rules.registry import register

MOST_TIMES = 8
PLAIN = (fn.sigmoid, fn.softplus, fn.log1p, fn.expm1, fn.grouped)
ROUGH = (Binder, Choice, Delta, Share, Axis, fn.relu, fn.step, fn.absolute, fn.signum)


def _continued(expr: Expr, loss: Loss, name: str) -> Expr:
    """The derivative of the body with values put in at single points continued by tangents."""
    body, variable = expr.args
    if loss.compares.isdisjoint(("==", "!=")) or not comparisons(body):
        return expr
    form = NormalForm(loss, frozenset((name,)) & loss.defined.keys())

    def visit(node: Any) -> Any:
        if isinstance(node, Condition) or Condition not in kinds(node):
            return node
        if isinstance(node, Choice) and node.args[0].op in ("==", "!="):
            found = _tangent(form, node, name)
            if found is not None:
                return found
        return rebuild(node, visit)

    return Diff(visit(body), variable)


def _tangent(form: NormalForm, choice: Choice, name: str) -> Expr | None:
    """The choice with its value at a point continued by the tangent of the other branch."""
    condition, value, otherwise = choice.args
    at, other = (value, otherwise) if condition.op == "==" else (otherwise, value)
    put = _point(form, condition, name)
    if put is None:
        return None
    ((entry, place),) = put.items()
    here = form.loss.unfold(other, form.stop)
    found = _value_and_slope(here, entry, place)
    known = substitute(form.loss.unfold(at, form.stop), put)
    if found is None or not form.is_zero(known - found[0]):
        return None
    line = known + found[1] * (entry - place)
    return Choice(condition, *((line, other) if condition.op == "==" else (other, line)))


def _point(form: NormalForm, condition: Condition, name: str) -> Mapping[Expr, Expr] | None:
    """The one entry of a name, and the value of it, that an equality says."""
    left, right = condition.operands
    if name not in tensor_names(left) | tensor_names(right) or is_index(left):
        return None
    poly = dict(form(left))
    add_to(poly, form(right), -1)
    for put in level.solutions(form, poly):
        ((entry, place),) = put.items()
        if entry.tensor.name == name and name not in tensor_names(place):
            return put
    return None


def _value_and_slope(expr: Expr, entry: Entry, place: Expr) -> tuple[Expr, Expr] | None:
    """What an expression and its derivative tend to; None where that is not found, or where there
    are more than smooth functions of numbers."""
    if any(isinstance(node, ROUGH) for node in nodes(expr)) or entry not in entries(expr):
        return None
    names = {each: Symbol(f"v{k}", real=True) for k, each in enumerate(_entries(expr, place))}
    x = names[entry]
    plain, goal = (_plain(substitute(each, names)) for each in (expr, place))
    if any(type(node).__module__ == fn.__name__ for node in nodes(plain)):
        return None
    value, slope = (_limit(each, x, goal) for each in (plain, diff(plain, x)))
    if value is None or slope is None:
        return None
    back = {symbol: each for each, symbol in names.items()}
    return value.xreplace(back), slope.xreplace(back)


def _limit(expr: Expr, x: Symbol, goal: Expr) -> Expr | None:
    """The limit of a quotient of analytic functions by L'Hospital's rule."""
    above, below = fraction(together(expr))
    for _ in range(MOST_TIMES):
        one, two = above.subs(x, goal), below.subs(x, goal)
        if one.has(*ENDLESS) or two.has(*ENDLESS) or two.is_zero is None:
            return None
        if not two.is_zero:
            return one / two
        if not one.is_zero:
            return None
        above, below = diff(above, x), diff(below, x)
    return None


def _entries(*exprs: Expr) -> list[Entry]:
    return sorted(frozenset().union(*map(entries, exprs)), key=order)


def _plain(expr: Any) -> Any:
    for kind in PLAIN:
        expr = expr.replace(kind, lambda x, kind=kind: kind(x).meaning())
    return expr


removable = register(
    Rule(
        "removable point",
        "the slope at a point cut out is the limit of the slope around it",
        _continued,
        "the branch around tends to the value at the point",
        "mean value theorem",
    )
)
