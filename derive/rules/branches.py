"""Writing choices as a person would: one choice for many, what they share in front.

An expression is split on each of its conditions; what it is in each branch is shortened, and
the branches are joined again.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sympy import Basic, Expr, Mul, Number, S

from derive.functions import largest, relu, step
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
    order,
    rebuild,
    scoped,
    substitute,
)
from derive.normal import NormalForm, Undecided
from derive.normal.hide import unveiled, variable
from derive.normal.poly import add_to
from derive.rules.common import common_factors, common_terms
from derive.rules.compare import Compared, compared, kept_first, negated, where
from derive.rules.extremes import as_extremum
from derive.rules.shorten import factored, length, shortness
from derive.rules.spared import spared

MOST_CONDITIONS = 4
LONGEST = 160
MOST_TERMS = 2
MOST_BRANCHES = 120
BROKEN = frozenset((Choice, step))
Test = tuple[Condition, Compared]


def gathered(expr: Expr, form: NormalForm) -> Expr:
    """The expression with its choices joined, and its sums guarded, where that is shorter."""
    if not kinds(expr) & BROKEN or kinds(expr) & {Diff, Partial}:
        return expr
    try:
        inside = spared(_binders(expr, form), form)
        found = _Gather(form, inside).best(inside)
        if found == inside:
            found = _around_choices(inside, form)
    except Undecided:
        return expr
    every = (expr, inside, _as_before(found, expr))
    return min(every, key=lambda found: (shortness(found), _chosen(found)))


def _around_choices(expr: Expr, form: NormalForm) -> Expr:
    """The same with every choice by other things than indices as a variable: what is left is
    few conditions, on which much can be split."""
    names: dict[Expr, str] = {}

    def visit(node: Any) -> Any:
        if isinstance(node, Binder) or Choice not in kinds(node):
            return node
        if isinstance(node, Choice) and not kinds(node.args[0]) & {Delta, Index}:
            return variable(names, node)
        return rebuild(node, visit)

    outer = visit(expr)
    if not names or not kinds(outer) & {*BROKEN, Delta}:
        return expr
    found = _Gather(form, outer, always=True).best(outer)
    return unveiled(found, {name: pattern for pattern, name in names.items()})


def _as_before(found: Expr, expr: Expr) -> Expr:
    """relu(u) spelled max(0, u) where the expression has that."""
    spelling = {
        relu(node.args[1]): node
        for node in outside(expr)
        if isinstance(node, largest) and node.args[0] == 0
    }
    return substitute(found, spelling) if spelling else found


def shortest(*found: Expr) -> Expr:
    """The shortest; at a tie the one with little in its choices, then with few minus signs."""
    return min(found, key=lambda expr: (shortness(expr), _chosen(expr), order(expr)))


@lru_cache(maxsize=1 << 16)
def _chosen(expr: Basic) -> tuple[int, int]:
    inside = length(expr) if isinstance(expr, Choice) else 0
    minuses = int(isinstance(expr, Number) and bool(expr.is_negative))
    for arg in () if isinstance(expr, Binder) else expr.args:
        below = _chosen(arg)
        inside, minuses = inside + below[0], minuses + below[1]
    return inside, minuses


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


@lru_cache(maxsize=1 << 16)
def outside(expr: Basic) -> frozenset[Basic]:
    """Every node that is in no sum or the like."""
    found = frozenset((expr,))
    return found if isinstance(expr, Binder) else found.union(*map(outside, expr.args))


class _Gather:
    """Splits on conditions and joins again; remembers the short form of each branch.

    It splits on deltas where there are choices too, or `always`.
    """

    def __init__(self, form: NormalForm, expr: Expr, always: bool = False) -> None:
        self.form, self.always = form, always
        self.stepped = {node.meaning().args[0] for node in outside(expr) if isinstance(node, step)}
        self.memo: dict[Expr, Expr] = {}
        self.joined: dict[tuple[Condition, Expr, Expr], Expr] = {}

    def best(self, expr: Expr) -> Expr:
        """The shortest form found."""
        if expr not in self.memo:
            if len(self.memo) > MOST_BRANCHES:
                raise Undecided
            self.memo[expr] = self._best(expr)
        return self.memo[expr]

    def _best(self, expr: Expr) -> Expr:
        conditions = self._conditions(expr)
        if not conditions:
            return shortest(expr, factored(self.form(expr)))
        if len(conditions) > MOST_CONDITIONS or length(expr) > LONGEST:
            return expr
        found = [expr]
        for condition, fact in conditions:
            key, signs = fact
            every = frozenset((0, 1) if isinstance(key, Delta) else (-1, 0, 1))
            yes = self.best(where(self.form, expr, fact))
            no = self.best(where(self.form, expr, (key, every - signs)))
            found.append(self.join(condition, yes, no))
        return shortest(*found)

    def _conditions(self, expr: Expr) -> list[Test]:
        """The comparisons to split on, each once."""
        nodes = sorted(outside(expr), key=order)
        made = [node.meaning().args[0] for node in nodes if isinstance(node, step)]
        found: dict[Expr, Test] = {}
        if self.always or any(isinstance(node, Choice) for node in nodes):
            made += [node for node in nodes if isinstance(node, Condition)]
            for node in nodes:
                if isinstance(node, Delta):
                    keep, drop = kept_first(node)
                    made.append(Condition("==", drop, keep))
        for condition in made:
            fact = compared(self.form, condition)
            if fact is not None:
                found.setdefault(fact[0], (condition, fact))
        return [found[key] for key in sorted(found, key=order)]

    def join(self, condition: Condition, yes: Expr, no: Expr) -> Expr:
        """`yes if condition else no`, the shortest way to write it."""
        key = (condition, yes, no)
        if key not in self.joined:
            self.joined[key] = yes if yes == no else self._join(condition, yes, no)
        return self.joined[key]

    def _join(self, condition: Condition, yes: Expr, no: Expr) -> Expr:
        found = [Choice(condition, yes, no), *self._nested(condition, yes, no)]
        if no == 0 and condition in self.stepped:
            found.append(yes * step(condition.operands[0]))
        shared, one, two = common_factors(yes, no)
        if shared != 1:
            found.append(shared * self.join(condition, one, two))
        else:
            shared, one, two = common_terms(yes, no)
            if shared != 0:
                found.append(shared + self.join(condition, one, two))
        extremum = as_extremum(self.form, condition, yes, no)
        if extremum is not None:
            found.append(extremum)
        fact = compared(self.form, condition)
        if fact is not None and isinstance(fact[0], Delta):
            found += self._paired(condition, fact, yes, no)
            if no == 0 and fact[1] == {1}:
                found.append(fact[0] * yes)
        return shortest(*found)

    def _nested(self, condition: Condition, yes: Expr, no: Expr) -> Iterator[Expr]:
        """A choice in a branch that ends as the other branch does joins the condition."""
        for outer, inner, other, op in ((condition, yes, no, "and"), (condition, no, yes, "or")):
            if not isinstance(inner, Choice):
                continue
            test, value, otherwise = inner.args
            if op == "or":
                value, otherwise = otherwise, value
            opposite = negated(test)
            if value == other and opposite is not None:
                test, value, otherwise = opposite, otherwise, value
            if otherwise == other:
                both = Condition(op, outer, test)
                yield Choice(both, value, other) if op == "and" else Choice(both, other, value)

    def _paired(self, condition: Condition, fact: Compared, yes: Expr, no: Expr) -> Iterator[Expr]:
        """u f if i = j else v g is (v + delta_ij (u - v)) (f if i = j else g)."""
        key, signs = fact
        if signs != {1}:
            yes, no = no, yes
        ones, twos = Mul.make_args(yes), Mul.make_args(no)
        for one in (*ones, *([yes] if len(ones) > 1 else [])):
            for two in (*twos, *([no] if len(twos) > 1 else [])):
                pair = _pair(self.form, key, one, two) if one != two else None
                if pair is not None:
                    rest = (_without(yes, ones, one), _without(no, twos, two))
                    yield pair * self.join(condition, *(rest if signs == {1} else rest[::-1]))


@lru_cache(maxsize=1 << 12)
def _pair(form: NormalForm, delta: Delta, one: Expr, two: Expr) -> Expr | None:
    """`one if delta else two` as a sum with the delta, where that is short."""
    if (one.is_number and two.is_number) or kinds(one) & BROKEN or kinds(two) & BROKEN:
        return None
    keep, drop = kept_first(delta)
    for first in dict.fromkeys((one, substitute(one, {keep: drop}))):
        change = dict(form(first))
        terms = len(change) + len(form(two))
        add_to(change, form(two), -1)
        if len(change) <= MOST_TERMS and len(change) < terms:  # else they have nothing in common
            whole = form.mul(form(delta), change)
            add_to(whole, form(two))
            pair = factored(whole)
            if length(pair) <= length(one) + length(two):
                return pair
    return None


def _without(product: Expr, factors: tuple[Expr, ...], factor: Expr) -> Expr:
    return S.One if factor == product else Mul(*(arg for arg in factors if arg != factor))
