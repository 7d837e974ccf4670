"""Minus signs as a person writes them: as few as there can be, (1 - p)*(p - y) for (p - 1)*(y - p).

What is compared is one sum: so much for every minus sign, more for one in front of all; more for
a bracket with its number after a minus sign (but exp(u) - 1 is usual, and q - 1 where q > 1), with
signs that the loss itself has the other way round, or with a target less what is none; less for
one with a delta after a minus sign, and for a choice that begins with a negative number; and least
for every bracket that is turned.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sympy import Add, Expr, Function, Mul, Pow, exp

from derive.derivation import Rule
from derive.index import (
    Binder,
    Choice,
    Condition,
    Delta,
    Diff,
    Entry,
    Index,
    Partial,
    Share,
    Total,
    bind,
    kinds,
    rebuild,
    scoped,
    tensors,
    walk,
)
from derive.loss import Loss
from derive.rules.polish import ODD
from derive.rules.registry import register

Cost = tuple[int, int, int]  # in all, numbers after a minus sign, brackets turned
Written = tuple[Cost, Any]  # what it costs, and the form
Terms = frozenset[tuple[bool, frozenset[Any]]]

NOTHING: Cost = (0, 0, 0)
MINUS: Cost = (4, 0, 0)
LEADING: Cost = (6, 0, 0)
NUMBER: Cost = (6, 1, 0)
NOT_OWN: Cost = (4, 0, 0)
TARGET: Cost = (4, 0, 0)
DELTA: Cost = (2, 0, 0)
FIRST: Cost = (2, 0, 0)
TURN: Cost = (1, 0, 1)
TURNED_CHOICE: Cost = (3, 0, 1)
CLOSED = (Entry, Delta, Index, Condition, Partial, Diff, Share)


def signs_turned(expr: Expr, loss: Loss) -> Expr:
    """The expression with the signs of its brackets turned, where fewer minus signs are left."""
    if Add not in kinds(expr):
        return expr
    found: Expr = _Signs(loss).plain(expr)[1]
    return found


@lru_cache(maxsize=8)
def _own_sums(loss: Loss) -> frozenset[Terms]:
    """The sums that the loss has, by the signs and names of their terms."""
    nodes = (node for definition in loss.definitions for node in walk(definition.body))
    return frozenset(_terms(node.args) for node in nodes if node.is_Add)


def _terms(terms: Iterable[Expr], turned: bool = False) -> Terms:
    return frozenset((_is_negative(term) != turned, tensors(term)) for term in terms)


def _is_negative(term: Expr) -> bool:
    return bool(term.as_coeff_Mul()[0].is_negative)


def _sum(*costs: Cost) -> Cost:
    whole, numbers, turns = map(sum, zip(*costs, strict=True))
    return whole, numbers, turns


class _Signs:
    """The best form of an expression, and of its negative, both without a minus sign in front."""

    def __init__(self, loss: Loss) -> None:
        self.loss, self.own = loss, _own_sums(loss)
        self.known: dict[Any, tuple[Written | None, Written | None]] = {}

    def plain(self, node: Any, sign: Cost = LEADING) -> Written:
        """The best form of an expression, with a minus sign in front where that is needed."""
        return self._least(*self.both(node), sign)

    def negative(self, node: Any, sign: Cost = LEADING) -> Written:
        """The best form of its negative."""
        same, other = self.both(node)
        return self._least(other, same, sign)

    def _least(self, same: Written | None, other: Written | None, sign: Cost) -> Written:
        found = [] if same is None else [same]
        if other is not None:
            found.append((_sum(other[0], sign), -other[1]))
        return min(found, key=lambda written: written[0])

    def both(self, node: Any) -> tuple[Written | None, Written | None]:
        """The forms of the expression and of its negative."""
        if node not in self.known or isinstance(node, Binder):
            self.known[node] = self._both(node)
        return self.known[node]

    def _both(self, node: Any) -> tuple[Written | None, Written | None]:
        if node.is_Number and node.is_negative:
            return None, (NOTHING, -node)
        if isinstance(node, (*CLOSED, exp)) or not kinds(node) & {Add, Choice}:
            negative = node.is_Mul and _is_negative(node)
            return (None, (NOTHING, -node)) if negative else ((NOTHING, node), None)
        if node.is_Add:
            return self._add(node)
        if node.is_Mul:
            return self._mul(node)
        if node.is_Pow and node.exp.is_Integer:
            return self._power(node)
        if isinstance(node, Choice):
            return self._choice(node)
        if isinstance(node, Total):
            return self._total(node)
        if isinstance(node, ODD):
            return self._odd(node)
        costs: list[Cost] = [NOTHING]

        def inside(arg: Any) -> Any:
            if not isinstance(arg, Expr):
                return arg
            cost, form = self.plain(arg)
            costs.append(cost)
            return form

        form = rebuild(node, inside)
        return (_sum(*costs), form), None

    def _add(self, node: Expr) -> tuple[Written | None, Written | None]:
        same = self._bracket([self.plain(term, MINUS) for term in node.args])
        other = self._bracket([self.negative(term, MINUS) for term in node.args])
        return same, other and (_sum(other[0], TURN), other[1])

    def _bracket(self, written: list[Written]) -> Written | None:
        """A sum of terms; nothing where it would begin with a minus sign."""
        terms = [form for _, form in written]
        minus = [term for term in terms if _is_negative(term)]
        if len(minus) == len(terms):
            return None
        costs = [cost for cost, _ in written]
        if any(term.is_number for term in terms):
            if any(term.is_number for term in minus) and not self._is_large(terms):
                costs.append(NUMBER)
        elif _terms(terms, True) in self.own and _terms(terms) not in self.own:
            costs.append(NOT_OWN)
        if self._begins_with_target(terms):
            costs.append(TARGET)
        if any(isinstance(factor, Delta) for term in minus for factor in Mul.make_args(term)):
            costs.append(DELTA)
        return _sum(*costs), Add(*terms)

    def _is_large(self, terms: list[Expr]) -> bool:
        """Whether a sum less a number is usual: an exponential, or what is known to be larger."""
        if len(terms) != 2:
            return any(isinstance(term, exp) for term in terms)
        number, other = sorted(terms, key=lambda term: not term.is_number)
        declared = self.loss.declared.get(other.tensor.name) if isinstance(other, Entry) else None
        lower = None if declared is None else declared.domain.lower
        return isinstance(other, exp) or (lower is not None and bool(lower + number >= 0))

    def _begins_with_target(self, terms: list[Expr]) -> bool:
        """Whether y - p is written, with a target less what is none."""
        target = {term: self._names_target(term) for term in terms}
        plus = {target[term] for term in terms if not _is_negative(term)}
        return plus == {True} and {target[t] for t in terms if _is_negative(t)} == {False}

    def _names_target(self, term: Expr) -> bool:
        """Whether a term is made of targets, or of what is made of them, and of no input."""
        names = {tensor.name for tensor in tensors(term) if tensor.label is None}
        known = (name for name in names if name in self.loss.declared or name in self.loss.defined)
        below = frozenset().union(*map(self.loss.below, known))
        roles = {self.loss.declared[name].role for name in below}
        return "target" in roles and not roles & {"input", "param"}

    def _mul(self, node: Expr) -> tuple[Written | None, Written | None]:
        number, rest = node.as_coeff_Mul()
        best: list[tuple[Cost, list[Expr]] | None] = [(NOTHING, [abs(number)]), None]
        if number.is_negative:
            best.reverse()
        for factor in Mul.make_args(rest):
            best = self._with_factor(best, self.both(factor))
        even, odd = (None if one is None else (one[0], Mul(*one[1])) for one in best)
        return even, odd

    def _with_factor(
        self,
        best: list[tuple[Cost, list[Expr]] | None],
        forms: tuple[Written | None, Written | None],
    ) -> list[tuple[Cost, list[Expr]] | None]:
        """The best products of either sign with one more factor of either sign."""
        found: list[tuple[Cost, list[Expr]] | None] = []
        for parity in (0, 1):
            options = [
                (_sum(before[0], form[0]), [*before[1], form[1]])
                for before, form in zip(best, (forms[parity], forms[1 - parity]), strict=True)
                if before is not None and form is not None
            ]
            found.append(min(options, key=lambda option: option[0], default=None))
        return found

    def _power(self, node: Expr) -> tuple[Written | None, Written | None]:
        raised = [
            None if one is None else (one[0], Pow(one[1], node.exp)) for one in self.both(node.base)
        ]
        if node.exp % 2:
            return raised[0], raised[1]
        return min((one for one in raised if one is not None), key=lambda one: one[0]), None

    def _choice(self, node: Expr) -> tuple[Written | None, Written | None]:
        condition, *values = node.args
        nested = any(isinstance(value, Choice) for value in values)
        found: list[Written | None] = []
        for way, turn in ((self.plain, NOTHING), (self.negative, TURNED_CHOICE)):
            forms = [(NOTHING, value) if value == 0 else way(value) for value in values]
            first = FIRST if forms[0][1].is_number and forms[0][1].is_negative else NOTHING
            cost = _sum(NOTHING if nested else turn, first, *(cost for cost, _ in forms))
            found.append((cost, Choice(condition, *(form for _, form in forms))))
        return found[0], found[1]

    def _total(self, node: Total) -> tuple[Written | None, Written | None]:
        with scoped(node) as (index, body, guard):
            found = [
                None if one is None else (one[0], bind(Total, index, one[1], guard))
                for one in self.both(body)
            ]
        return found[0], found[1]

    def _odd(self, node: Function) -> tuple[Written | None, Written | None]:
        same, other = self.both(node.args[0])
        forms: list[Written | None] = []
        for one in (same, other):
            form = None if one is None else node.func(one[1])
            # SymPy may pull the sign out again.
            forms.append(one and (one[0], form) if isinstance(form, node.func) else None)
        return (forms[0], forms[1]) if any(forms) else ((NOTHING, node), None)


signs = register(
    Rule("signs", "brackets turned, so that fewer minus signs are written", signs_turned)
)
