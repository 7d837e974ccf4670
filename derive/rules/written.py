"""Comparisons as the loss has them: `v if u <= c - m` and not `0 if u + m > c else v`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sympy import Expr

from derive.derivation import Rule
from derive.index import (
    Choice,
    Condition,
    Delta,
    Index,
    dangling,
    free_indices,
    kinds,
    rebuild,
    walk,
)
from derive.loss import Loss
from derive.normal import NormalForm, Undecided
from derive.rules.compare import EVERY, Compared, compared, negated
from derive.rules.registry import register

PLACE = 1 << 62  # the numbers of indices that stand for any


def comparisons_as_written(expr: Expr, loss: Loss) -> Expr:
    """Every comparison that one of the loss's says, or denies, in the words of that one."""
    if Condition not in kinds(expr):
        return expr
    form, written = _written(loss)

    def visit(node: Any) -> Any:
        if Condition not in kinds(node):
            return node
        if isinstance(node, Choice):
            condition, value, otherwise = node.args
            same = _said(form, written, condition, False)
            other = None if same else _said(form, written, condition, True)
            if other is not None:
                return Choice(other, visit(otherwise), visit(value))
        if isinstance(node, Condition):
            same = _said(form, written, node, False)
            other = None if same else _said(form, written, node, True)
            same = negated(other) if other is not None else same
            return rebuild(node, visit) if same is None else same
        return rebuild(node, visit)

    found: Expr = visit(expr) if written else expr
    return found


# The primitive form of a difference and the signs that it has, and how the loss says so; the
# indices that are not bound in them are numbered.
Written = Mapping[Compared, Condition]


@lru_cache(maxsize=8)
def _written(loss: Loss) -> tuple[NormalForm, Written]:
    form = NormalForm(loss, frozenset(loss.defined), shallow=True)
    found: dict[Compared, Condition] = {}
    for definition in loss.definitions:
        for node in walk(definition.body):
            fact = _fact(form, node) if isinstance(node, Condition) else None
            if fact is not None:
                places = _places(fact[0])
                found.setdefault((fact[0].xreplace(places), fact[1]), node.xreplace(places))
    return form, found


def _fact(form: NormalForm, condition: Condition) -> Compared | None:
    try:
        fact = compared(form, condition)
    except Undecided:
        return None
    return None if fact is None or isinstance(fact[0], Delta) else fact


def _said(
    form: NormalForm, written: Written, condition: Condition, denied: bool
) -> Condition | None:
    """The loss's own comparison that says what this one does, or the opposite of it."""
    fact = _fact(form, condition)
    if fact is None:
        return None
    places = _places(fact[0])
    own = written.get((fact[0].xreplace(places), EVERY - fact[1] if denied else fact[1]))
    return None if own is None else own.xreplace({n: index for index, n in places.items()})


def _places(key: Expr) -> dict[Index, Index]:
    open_ = free_indices(key) | dangling(key)
    found = dict.fromkeys(node for node in walk(key) if node in open_)
    return {index: Index("", index.axis, PLACE + n) for n, index in enumerate(found)}


as_written = register(
    Rule(
        "comparison as written",
        "the loss compares the same numbers, in these words",
        comparisons_as_written,
    )
)
