"""Comparisons as the signs that a difference may have, and what is left of an expression there."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sympy import Expr, S

from derive.functions import absolute, largest, relu, signum, smallest, step
from derive.index import (
    Choice,
    Condition,
    Delta,
    Index,
    is_index,
    kinds,
    order,
    rebuild,
    substitute,
)
from derive.normal import NormalForm, to_expr
from derive.normal.poly import add_to, content, mono_expr

Signs = frozenset[int]
# A difference in primitive form (a delta for indices), and the signs (1 or 0) that it has.
Compared = tuple[Expr, Signs]

OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
RELATIONS: dict[str, Signs] = {
    "==": frozenset((0,)),
    "!=": frozenset((-1, 1)),
    "<": frozenset((-1,)),
    "<=": frozenset((-1, 0)),
    ">": frozenset((1,)),
    ">=": frozenset((0, 1)),
}
EVERY = frozenset((-1, 0, 1))
FUNCTIONS = (step, relu, largest, smallest, absolute, signum)
DEPENDENT = (Choice, Delta, *FUNCTIONS)


def negated(condition: Condition) -> Condition | None:
    """The opposite of a comparison."""
    op = OPPOSITE.get(condition.op)
    return None if op is None else Condition(op, *condition.operands)


def compared(form: NormalForm, condition: Condition) -> Compared | None:
    """What a comparison says; None where it says nothing, or is no comparison."""
    if condition.op not in RELATIONS:
        return None
    left, right = condition.operands
    if is_index(left):
        same = Delta(left, right)
        equal = frozenset((1 if condition.op == "==" else 0,))
        return (same, equal) if isinstance(same, Delta) else None
    return difference(form, left, right, RELATIONS[condition.op])


@lru_cache(maxsize=1 << 12)
def difference(form: NormalForm, left: Expr, right: Expr, signs: Signs) -> Compared | None:
    """What the sign of left - right says of its primitive form."""
    poly = dict(form(left))
    add_to(poly, form(right), -1)
    if not poly:
        return None
    factor, shared, rest = content(poly)
    base = to_expr(rest) * mono_expr(shared)
    if base.is_number:
        return None
    return base, signs if factor > 0 else frozenset(-sign for sign in signs)


@lru_cache(maxsize=1 << 12)
def where(form: NormalForm, expr: Expr, fact: Compared) -> Expr:
    """What an expression is where a fact holds; equal indices become one."""
    found = _Where(form, fact).visit(expr) if kinds(expr) & set(DEPENDENT) else expr
    key, signs = fact
    if isinstance(key, Delta) and signs == {1}:
        keep, drop = kept_first(key)
        if isinstance(drop, Index):
            found = substitute(found, {drop: keep})
    return found


def kept_first(delta: Delta) -> tuple[Expr, Expr]:
    """The two sides of a delta: a label before an index."""
    keep, drop = sorted(delta.args, key=lambda side: (isinstance(side, Index), order(side)))
    return keep, drop


class _Where:
    def __init__(self, form: NormalForm, fact: Compared) -> None:
        self.form = form
        self.key, self.signs = fact

    def visit(self, node: Any) -> Any:
        if isinstance(node, Delta):
            return self._delta(node)
        if isinstance(node, Condition) or not kinds(node) & set(DEPENDENT):
            return node
        if isinstance(node, Choice):
            return self._choice(node)
        if node.is_Mul and any(self._hides(factor) for factor in node.args):
            return S.Zero  # also where what it multiplies has no value
        node = rebuild(node, self.visit)
        if isinstance(node, FUNCTIONS):
            found = self._function(node)
            return node if found is None else found
        return node

    def _hides(self, factor: Expr) -> bool:
        """Whether this is a choice, a step or a delta that is 0 here."""
        return isinstance(factor, Choice | step | Delta) and self.visit(factor) == 0

    def _delta(self, node: Delta) -> Expr:
        if node != self.key:
            return node
        return S.One if self.signs == {1} else S.Zero

    def _choice(self, node: Choice) -> Expr:
        condition, value, otherwise = node.args
        settled = self._condition(condition)
        if isinstance(settled, bool):
            found: Expr = self.visit(value if settled else otherwise)
            return found
        return Choice(settled, self.visit(value), self.visit(otherwise))

    def _condition(self, condition: Condition) -> Condition | bool:
        """A condition with what is known put in."""
        op = condition.op
        if op in RELATIONS:
            found = compared(self.form, condition)
            return condition if found is None else self._known(found, condition)
        if op not in ("and", "or", "not"):
            return condition
        parts = [self._condition(part) for part in condition.operands]
        if op == "not":
            (part,) = parts
            return not part if isinstance(part, bool) else Condition("not", part)
        decisive = op == "or"
        if decisive in parts:
            return decisive
        left = [part for part in parts if not isinstance(part, bool)]
        if not left:
            return not decisive
        return left[0] if len(left) == 1 else Condition(op, *left)

    def _known(self, found: Compared, condition: Condition) -> Condition | bool:
        key, signs = found
        if key != self.key:
            return condition
        if self.signs <= signs:
            return True
        return condition if self.signs & signs else False

    def _signs(self, left: Expr, right: Expr) -> Signs:
        """The signs that left - right may have."""
        above = difference(self.form, left, right, frozenset((1,)))
        if above is None or above[0] != self.key:
            return EVERY
        return self.signs if above[1] == {1} else frozenset(-sign for sign in self.signs)

    def _function(self, node: Expr) -> Expr | None:
        left, right = (*node.args, S.Zero)[:2]
        signs = self._signs(left, right)
        up, down = signs <= {0, 1}, signs <= {-1, 0}
        if isinstance(node, relu | largest):
            return left if up else right if down else None
        if isinstance(node, smallest):
            return right if up else left if down else None
        if isinstance(node, absolute):
            return left if up else -left if down else None
        if isinstance(node, step):
            return S.One if signs == {1} else S.Zero if down else None
        if isinstance(node, signum) and len(signs) == 1:
            (sign,) = signs
            return S(sign)
        return None
