"""Rules that rewrite a value rather than a derivative: logarithms taken apart, sums split."""

from __future__ import annotations

from typing import Any

from sympy import Add, Expr, Mul, S, exp, log

from derive.derivation import Rule
from derive.index import (
    Choice,
    Condition,
    Delta,
    Index,
    Product,
    Total,
    bind,
    kinds,
    nodes,
    order,
    rebuild,
    scoped,
    substitute,
    total,
    walk,
)
from derive.loss import Loss
from derive.normal import signs
from derive.rules.fold import shallow
from derive.rules.registry import register


def _logs(expr: Expr, loss: Loss) -> Expr:
    """log(u v) = log u + log v, log(u^c) = c log u, log exp u = u, log prod u = sum log u."""
    form = shallow(loss)

    def positive(factor: Expr) -> bool:
        return signs.nonnegative_poly(form, form(factor))

    def apart(arg: Expr) -> Expr:
        if isinstance(arg, exp):
            return arg.args[0]
        if isinstance(arg, Product):
            with scoped(arg) as (index, body, guard):
                return total(index, apart(body), guard)
        if arg.is_Pow and positive(arg.base):
            return arg.exp * apart(arg.base)
        if arg.is_Mul:
            unsure = [factor for factor in arg.args if not positive(factor)]
            if len(unsure) <= 1:
                return Add(*(apart(factor) for factor in arg.args))
        return log(arg)

    def visit(node: Any) -> Any:
        if log not in kinds(node):
            return node
        node = rebuild(node, visit)
        return apart(node.args[0]) if isinstance(node, log) else node

    return visit(expr)


def _split(expr: Expr) -> Expr:
    """sum (f + g) = sum f + sum g, factors multiplied out where a sum stands in them."""

    def visit(node: Any) -> Any:
        if Total not in kinds(node):
            return node
        node = rebuild(node, visit)
        if not isinstance(node, Total):
            return node
        with scoped(node) as (index, body, guard):
            terms = Add.make_args(_expand(body))
            return Add(*(bind(Total, index, term, guard) for term in terms))

    return visit(expr)


def _expand(body: Expr) -> Expr:
    if not body.is_Mul:
        return body
    factor = next((arg for arg in body.args if arg.is_Add), None)
    if factor is None:
        return body
    rest = Mul(*(arg for arg in body.args if arg is not factor))
    return Add(*(_expand(rest * term) for term in factor.args))


take_logs_apart = register(
    Rule(
        "logarithm rules",
        "the log of a product is the sum of the logs, and log exp u = u",
        _logs,
        "at most one factor has an unknown sign",
    )
)
split_sums = register(Rule("split sums", "the sum of a sum is the sum of the sums", _split))


def _by_cases(expr: Expr) -> Expr:
    """f = (f with i = j) if i = j else (f with delta_ij = 0), delta by delta."""
    free = (node for node in nodes(expr) if isinstance(node, Delta) and not _bound(node))
    delta = min(free, key=order, default=None)
    if delta is None:
        return expr
    i, j = delta.args
    same, other = substitute(expr, {j: i}), substitute(expr, {delta: S.Zero})
    return Choice(Condition("==", i, j), _by_cases(same), _by_cases(other))


def _bound(delta: Delta) -> bool:
    """Whether a side is, or is a label of, the index of a sum around it."""
    inside = (node for side in delta.args for node in walk(side))
    return any(isinstance(node, Index) and node.is_bound for node in inside)


by_cases = register(
    Rule("case by case", "a delta is 1 where its indices agree and 0 elsewhere", _by_cases)
)
