"""Equalities of real numbers that a derivative moves: they hold on no interval.

`3*x if x == 0 else x**2` is x**2 at every x, and so is its slope 2*x; a branch that holds at
single points only is not differentiated as one that holds around them.
"""

from __future__ import annotations

from typing import Any

from sympy import Expr, Mul, Pow, S, acos, asin, log

from derive.derivation import Rule
from derive.index import (
    TRUE,
    Binder,
    Choice,
    Condition,
    Delta,
    Diff,
    Total,
    bind,
    comparisons,
    kinds,
    nodes,
    order,
    rebuild,
    substitute,
    tensor_names,
)
from derive.index.look import distinct
from derive.loss import Loss
from derive.normal import NormalForm, Undecided, level, to_expr
from derive.normal.conditions import is_square
from derive.normal.poly import ONE, Exponent, Poly, add_to, atom, constant, ordered, scale
from derive.normal.signs import nonnegative_poly
from derive.rules.registry import register

PARTIAL = (Pow, log, asin, acos)  # what has no value for some numbers
COMPARISONS = ("==", "!=")
# What u < 0 and the like say of a u <= 0, and of a u >= 0, where that is no constant.
ORDERS = {"<": ("!=", ""), ">": ("", "!="), "<=": ("", "=="), ">=": ("==", "")}


def _apart(expr: Expr, loss: Loss, name: str) -> Expr:
    """The derivative of the body with the equalities in it taken as they are almost everywhere."""
    body, variable = expr.args
    if not loss.compares or not any(map(_may_be_level, comparisons(body))):
        return expr
    return Diff(_Apart(loss, name).visit(body), variable)


def _may_be_level(test: Condition) -> bool:
    """Whether a comparison is one of u == 0 or u != 0, or may be as u > 0 is for a square."""
    return test.op in COMPARISONS or S.Zero in test.operands


class _Apart:
    """Replaces equalities of what moves with a name by where they hold whatever its value."""

    def __init__(self, loss: Loss, name: str) -> None:
        self.loss, self.name = loss, name
        self.stop = frozenset((name,)) & loss.defined.keys()
        self.form = NormalForm(loss, self.stop)
        self.moving = loss.above(name)

    def visit(self, node: Any) -> Any:
        if isinstance(node, Condition) or Condition not in kinds(node):
            return node
        if isinstance(node, Binder):
            return self._binder(node)
        node = rebuild(node, self.visit)
        if not isinstance(node, Choice):
            return node
        condition, value, otherwise = node.args
        return Choice(self._settled(condition, value, otherwise), value, otherwise)

    def _binder(self, node: Binder) -> Expr:
        index, body, guard = node.open()
        body = self.visit(body)
        if guard != TRUE and isinstance(node, Total):
            guard = self._settled(guard, body, S.Zero)
            if guard.trivial is False:
                return S.Zero
        return bind(type(node), index, body, guard)

    def _settled(self, condition: Condition, value: Expr, otherwise: Expr) -> Condition:
        """The condition, each equality replaced where both branches have a value on it."""
        found = {part: self._still(part) for part in _equalities(condition)}
        for part, other in found.items():
            if other is None:
                continue
            settled = _put(condition, part, other)
            taken = [otherwise] if settled.trivial is False else [value]
            taken = taken if settled.trivial is not None else [value, otherwise]
            if all(self._has_value(branch, part) for branch in taken):
                condition = settled
        return condition

    def _still(self, test: Condition) -> Condition | None:
        """Where an equality holds however the name moves; None where that is not known."""
        if not _may_be_level(test) or self.moving.isdisjoint(tensor_names(test)):
            return None
        try:
            op, poly = self._level(test)
            found = self._where(poly) if op else None
        except Undecided:
            return None
        if found is None:
            return None
        where = _condition(found)
        return where if op == "==" else _opposite(where)

    def _where(self, poly: Poly) -> Poly | None:
        """The 0-1 polynomial of where u = 0 however the name moves, piece by piece of u."""
        found = level.still(self.form, poly, {self.name})
        if found is not None:
            return found
        result: Poly = {}
        pieces = level.zero(self.form, poly)
        for mono, value in pieces.items():
            piece: Poly = {ONE: value}
            for base, power in ordered(mono):
                piece = self.form.mul(piece, self._piece(base, power))
            add_to(result, piece)
        return None if result == pieces else result

    def _piece(self, base: Expr, power: Exponent) -> Poly:
        tested = base.args[0].operands[0] if level.is_level(base) else S.One
        if self.moving.isdisjoint(tensor_names(tested)):
            return atom(base, power)
        found = level.still(self.form, self.form(tested), {self.name})
        if found is None:
            raise Undecided
        return found

    def _level(self, test: Condition) -> tuple[str, Poly]:
        """u of a comparison that says u == 0 or u != 0, as u**2 > 0 does; else nothing."""
        left, right = test.operands
        if is_square(left) and right == 0:
            left = left.base
        poly = dict(self.form(left))
        add_to(poly, self.form(right), -1)
        if test.op not in ORDERS:
            return test.op, poly
        low, high = ORDERS[test.op]
        if left != test.operands[0] or nonnegative_poly(self.form, poly):
            return high, poly
        return (low, poly) if nonnegative_poly(self.form, scale(poly, -1)) else ("", {})

    def _has_value(self, branch: Expr, equality: Condition) -> bool:
        """Whether a branch is known to have a value where the equality holds."""
        partial = (node for node in nodes(branch) if isinstance(node, PARTIAL))
        if all(self.moving.isdisjoint(tensor_names(node)) or _whole(node) for node in partial):
            return True
        whole = self.loss.unfold(branch, self.stop)
        for put in level.solutions(self.form, self._level(equality)[1]):
            if level.ENDLESS.isdisjoint(distinct(substitute(whole, put))):
                return True
        return False


def _whole(node: Expr) -> bool:
    """Whether this is a power that every number has."""
    return isinstance(node, Pow) and bool(
        (node.exp.is_Integer and node.exp > 0) or node.base.is_positive
    )


def _equalities(condition: Condition) -> list[Condition]:
    if condition.op in ("and", "or", "not"):
        inside = [part for each in condition.operands for part in _equalities(each)]
        return list(dict.fromkeys(inside))
    return comparisons(condition)


def _condition(poly: Poly) -> Condition:
    """A 0-1 polynomial as a condition."""
    if not poly:
        return Condition("!=", S.Zero, S.Zero)
    if poly == constant(1):
        return TRUE
    expr = to_expr(poly)
    parts = [_of_bit(factor) for factor in sorted(Mul.make_args(expr), key=order)]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return Condition(">", expr, S.Zero)
    return known[0] if len(known) == 1 else Condition("and", *known)


def _of_bit(expr: Expr) -> Condition | None:
    if isinstance(expr, Delta):
        return Condition("==", *sorted(expr.args, key=order))
    return expr.args[0] if isinstance(expr, Choice) else None


def _opposite(condition: Condition) -> Condition:
    if condition.op in COMPARISONS:
        return Condition(*({"==": "!=", "!=": "=="}[condition.op], *condition.operands))
    return Condition("not", condition)


def _put(condition: Condition, part: Condition, other: Condition) -> Condition:
    """The condition with one part replaced, and what that settles."""
    if condition == part:
        return other
    if condition.op not in ("and", "or", "not"):
        return condition
    parts = [_put(each, part, other) for each in condition.operands]
    if condition.op == "not":
        known = parts[0].trivial
        return Condition("not", *parts) if known is None else _truth(not known)
    decisive = condition.op == "or"
    if any(each.trivial is decisive for each in parts):
        return _truth(decisive)
    left = [each for each in parts if each.trivial is None]
    if not left:
        return _truth(not decisive)
    return left[0] if len(left) == 1 else Condition(condition.op, *left)


def _truth(holds: bool) -> Condition:
    return TRUE if holds else Condition("!=", S.Zero, S.Zero)


apart = register(
    Rule(
        "equality of reals",
        "an equality of real numbers that move holds on no interval, so it changes no slope",
        _apart,
        "the branches agree where the equality holds; else off it",
    )
)
