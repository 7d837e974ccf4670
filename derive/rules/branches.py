"""Writing choices as a person would: one choice for many, what they share in front.

An expression is split on each of its conditions; what it is in each branch is shortened, and
the branches are joined again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache, partial

from sympy import Basic, Expr, Mul, Number, S, nan, zoo

from derive.functions import step
from derive.index import (
    Binder,
    Choice,
    Condition,
    Delta,
    kinds,
    order,
    substitute,
)
from derive.normal import NormalForm
from derive.normal.poly import add_to
from derive.rules.common import common_factors, common_terms
from derive.rules.compare import (
    FUNCTIONS,
    Compared,
    compared,
    difference,
    kept_first,
    negated,
    where,
)
from derive.rules.extremes import as_extremum
from derive.rules.shorten import factored, length, shortness

MOST_CONDITIONS = 4
LONGEST = 160
MOST_TERMS = 2
MOST_SPLITS = 2
BROKEN = frozenset((Choice, step))
VALUELESS = frozenset((type(nan), type(zoo)))  # 0/0, 1/0
Test = tuple[Condition, Compared]


def shortest(*found: Expr) -> Expr:
    """The shortest; at a tie the one with little in its choices, then with few minus signs."""
    return min(found, key=lambda expr: (shortness(expr), in_choices(expr), order(expr)))


@lru_cache(maxsize=1 << 16)
def in_choices(expr: Basic) -> tuple[int, int]:
    """How much stands in the choices of an expression, and how many minus signs in all of it."""
    inside = length(expr) if isinstance(expr, Choice) else 0
    minuses = int(isinstance(expr, Number) and bool(expr.is_negative))
    for arg in () if isinstance(expr, Binder) else expr.args:
        below = in_choices(arg)
        inside, minuses = inside + below[0], minuses + below[1]
    return inside, minuses


@lru_cache(maxsize=1 << 16)
def outside(expr: Basic) -> frozenset[Basic]:
    """Every node that is in no sum or the like."""
    found = frozenset((expr,))
    return found if isinstance(expr, Binder) else found.union(*map(outside, expr.args))


def shortest_branches(form: NormalForm, expr: Expr, always: bool = False) -> Expr:
    """The expression split on its conditions and joined again, in the shortest way.

    It is split on deltas where there are choices too, or `always`.
    """
    stepped = (node.meaning().args[0] for node in outside(expr) if isinstance(node, step))
    return _branches(form, frozenset(stepped), always).best(expr)


@lru_cache(maxsize=1 << 6)
def _branches(form: NormalForm, stepped: frozenset[Condition], always: bool) -> _Branches:
    return _Branches(form, stepped, always)


class _Branches:
    """Splits on conditions and joins again; remembers the short form of each branch, which
    many ways to write one result have in common.

    Four conditions have at most 81 branches: no more are looked at of one factor.
    """

    def __init__(self, form: NormalForm, stepped: frozenset[Condition], always: bool) -> None:
        self.form, self.stepped, self.always = form, stepped, always
        self.memo: dict[Expr, Expr] = {}
        self.joined: dict[tuple[Condition, Expr, Expr], Expr] = {}

    def best(self, expr: Expr) -> Expr:
        """The shortest form found."""
        if expr not in self.memo:
            parts = self._apart(expr)
            found = map(self.best, parts) if len(parts) > 1 else map(self._best, parts)
            self.memo[expr] = Mul(*found)
        return self.memo[expr]

    def _apart(self, expr: Expr) -> list[Expr]:
        """The factors of a product, together where one has a choice by what the other speaks of."""
        groups: list[tuple[set[Expr], set[Expr], Expr]] = []
        for factor in Mul.make_args(expr):
            chosen = set(self._chosen_by(outside(factor)))
            spoken = chosen | set(self._spoken_of(factor))
            near = [g for g in groups if chosen & g[1] or spoken & g[0]]
            groups = [group for group in groups if group not in near]
            for more, others, product in near:
                chosen, spoken, factor = chosen | more, spoken | others, product * factor
            groups.append((chosen, spoken, factor))
        return [product for _, _, product in groups]

    def _best(self, expr: Expr) -> Expr:
        conditions = self._conditions(expr)
        if not conditions:
            return shortest(expr, factored(self.form(expr)))
        if len(conditions) > MOST_CONDITIONS or length(expr) > LONGEST:
            return expr
        found = [expr]
        splits = sorted(map(partial(self._split, expr), conditions), key=_written)
        for condition, yes, no in splits[:MOST_SPLITS]:
            if expr in (yes, no):  # the condition stands in another one, which this leaves
                continue
            yes, no = self.best(yes), self.best(no)
            if not VALUELESS & (kinds(yes) | kinds(no)):
                found.append(self.join(condition, yes, no))
        return shortest(*found)

    def _split(self, expr: Expr, test: Test) -> tuple[Condition, Expr, Expr]:
        """A condition, and what the expression is where it holds and where it does not."""
        condition, (key, signs) = test
        every = frozenset((0, 1) if isinstance(key, Delta) else (-1, 0, 1))
        yes, no = (where(self.form, expr, (key, which)) for which in (signs, every - signs))
        return condition, yes, no

    def _spoken_of(self, factor: Expr) -> Iterator[Expr]:
        """What a comparison elsewhere would settle in a factor."""
        for node in outside(factor):
            if isinstance(node, Delta):
                yield node
            elif isinstance(node, FUNCTIONS):
                fact = difference(self.form, *(*node.args, S.Zero)[:2], frozenset((1,)))
                if fact is not None:
                    yield fact[0]

    def _conditions(self, expr: Expr) -> list[Test]:
        """The comparisons to split on, each once: those of choices, and if none of them is of
        indices the deltas."""
        nodes = sorted(outside(expr), key=order)
        found = self._chosen_by(nodes)
        choices = self.always or any(isinstance(node, Choice) for node in nodes)
        if choices and not any(isinstance(key, Delta) for key in found):
            for node in nodes:
                if isinstance(node, Delta):
                    keep, drop = kept_first(node)
                    found[node] = Condition("==", drop, keep), (node, frozenset((1,)))
        return [found[key] for key in sorted(found, key=order)]

    def _chosen_by(self, nodes: Iterable[Basic]) -> dict[Expr, Test]:
        """The comparisons that steps and choices among some nodes make, by what they compare."""
        made = [node.meaning().args[0] for node in nodes if isinstance(node, step)]
        found: dict[Expr, Test] = {}
        for condition in (*made, *(node for node in nodes if isinstance(node, Condition))):
            fact = compared(self.form, condition)
            if fact is not None:
                found.setdefault(fact[0], (condition, fact))
        return found

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


def _written(split: tuple[Condition, Expr, Expr]) -> int:
    """How much is left to be written in the two branches."""
    return length(split[1]) + length(split[2])


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
