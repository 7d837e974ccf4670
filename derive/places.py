"""Losses and claims in cases: of deltas inside of functions, and of a number that is asked for.

f(u) is f(u where i = j) there, and f(u elsewhere) elsewhere.

A loss over all pairs, such as a sigmoid of (1 if i == j else -1) s[i, j], has a delta inside of
a function.  A normal form leaves it there, for margins, where that is short; here it is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from sympy import Basic, Expr, Function, Pow, S

from derive.index import (
    Binder,
    Choice,
    Condition,
    Delta,
    Entry,
    Index,
    Partial,
    bind,
    comparisons,
    dangling,
    is_index,
    nodes,
    order,
    rebuild,
    substitute,
)
from derive.loss import Definition, Loss

MOST_DELTAS = 2
EQUAL = ("==", "!=")


def taken_apart(loss: Loss, claim: Expr, truth: Expr) -> Iterator[tuple[Loss, Expr]]:
    """The loss of which the truth is a derivative, and a claim, with no delta in a function that
    can be taken out of it; nothing where that changes nothing."""
    if not isinstance(truth, Partial) or truth.args[0].tensor.name not in loss.defined:
        return
    of, variable, _ = truth.args
    stop = frozenset((variable.tensor.name,)) & loss.defined.keys()
    definition = loss.defined[of.tensor.name]
    body, plain = loss.unfold(definition.body, stop), loss.unfold(claim, stop)
    whole, text = _apart(body), _apart(plain)
    if (whole, text) != (body, plain):
        kept = tuple(loss.defined[name] for name in sorted(stop))
        yield replace(loss, definitions=(*kept, Definition(definition.entry, whole))), text


def _apart(expr: Any) -> Any:
    if isinstance(expr, Condition | Entry | Index):
        return expr
    if isinstance(expr, Binder):
        index, body, guard = expr.open()
        return bind(type(expr), index, _apart(body), guard)
    node = rebuild(expr, _apart)
    return _split(node, MOST_DELTAS) if isinstance(node, Function | Pow) else node


def _split(node: Expr, left: int) -> Expr:
    """One function by the cases of the deltas in it."""
    same = next(_deltas(node), None)
    if same is None or not left:
        return node
    keep, drop = sorted(same.args, key=lambda side: (isinstance(side, Index), order(side)))
    if not isinstance(drop, Index):
        return node
    on = substitute(_settled(node, same, True), {drop: keep})
    off = _settled(node, same, False)
    return same * _split(on, left - 1) + (1 - same) * _split(off, left - 1)


def _deltas(expr: Expr) -> Iterator[Delta]:
    """The deltas and equalities of indices in an expression that no binder of it owns."""
    for node in sorted(nodes(expr), key=order):
        if dangling(node):
            continue
        if isinstance(node, Delta):
            yield node
        elif isinstance(node, Choice) and _is_equality(node.args[0]):
            yield Delta(*node.args[0].operands)


def _is_equality(condition: Condition) -> bool:
    return condition.op in EQUAL and is_index(condition.operands[0])


def _settled(expr: Any, same: Delta, holds: bool) -> Any:
    """The expression where a delta is 1, or 0."""

    def visit(node: Basic) -> Basic:
        if node == same:
            return S.One if holds else S.Zero
        if isinstance(node, Choice) and _is_equality(node.args[0]):
            condition, value, otherwise = node.args
            if Delta(*condition.operands) == same:
                return visit(value if holds == (condition.op == "==") else otherwise)
        return rebuild(node, visit)

    return visit(expr)


def by_levels(loss: Loss, claim: Expr, truth: Expr) -> tuple[tuple[Loss, Expr], ...]:
    """Loss and claim where a declared number is the one that a choice asks for, and where it is
    not; nothing where there is no such choice, or the truth is a derivative by that number."""
    bodies = [definition.body for definition in loss.definitions]
    variables = {node.args[1] for node in nodes(truth) if isinstance(node, Partial)}
    for test in (test for expr in (claim, *bodies) for test in comparisons(expr)):
        entry, value = test.operands
        own = isinstance(entry, Entry) and entry.tensor.name in loss.declared
        if own and test.op in EQUAL and value.is_Rational and entry not in variables:
            cases: tuple[dict[Expr, Expr], ...] = ({entry: value}, {})
            return tuple((_in_case(loss, test, c), _put(claim, test, c)) for c in cases)
    return ()


def _in_case(loss: Loss, test: Condition, put: Mapping[Expr, Expr]) -> Loss:
    definitions = tuple(replace(d, body=_put(d.body, test, put)) for d in loss.definitions)
    return replace(loss, definitions=definitions)


def _put(expr: Any, test: Condition, put: Mapping[Expr, Expr]) -> Any:
    """The expression where an equality holds, its value put in, or, without one, does not."""

    def visit(node: Basic) -> Basic:
        if isinstance(node, Choice) and set(node.args[0].operands) == set(test.operands):
            condition, value, otherwise = node.args
            if condition.op in EQUAL:
                return visit(value if bool(put) == (condition.op == "==") else otherwise)
        return put[node] if node in put else rebuild(node, visit)

    return visit(expr)
