"""Bringing an expression into normal form.

Two expressions with one normal form are equal wherever both are defined.  Named definitions
are unfolded unless they are in `stop`; hypotheses (the domains of the declarations) are used
only where `assume` says so (all, or those named), and `used` tells which were.  A `shallow`
form keeps sigmoid, softplus and the like as they are written.  A form that holds `almost`
everywhere in some declared names leaves out the points where a condition on them changes:
their kinks and jumps; `edges` are the expressions that it takes to be 0 at those points only.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from typing import Any

from sympy import Abs, Expr, Function, Integer, Pow, cos, cosh, exp, log, sign, sin, sinh, tan, tanh

from derive import functions as fn
from derive.index import (
    Axis,
    Choice,
    Delta,
    Diff,
    Entry,
    Index,
    Maximum,
    Minimum,
    Partial,
    Product,
    Share,
    Total,
)
from derive.loss import Loss
from derive.normal import (
    angles,
    calculus,
    conditions,
    deltas,
    division,
    elementary,
    products,
    special,
    sums,
)
from derive.normal.budget import MOST_NESTED, Budget
from derive.normal.poly import (
    Coefficient,
    Exponent,
    Mono,
    Poly,
    Undecided,
    add_to,
    atom,
    constant,
    content,
    join,
    mono_key,
    ordered,
    ratio,
    to_expr,
)


class NormalForm:
    """A normaliser for one loss; keeps what it has normalised."""

    def __init__(
        self,
        loss: Loss,
        stop: frozenset[str] = frozenset(),
        assume: bool | frozenset[str] = False,
        shallow: bool = False,
        almost: frozenset[str] = frozenset(),
        within: NormalForm | None = None,
    ) -> None:
        self.loss, self.stop, self.assume, self.shallow = loss, stop, assume, shallow
        self.almost = almost
        self.edges: dict[Expr, None] = {} if within is None else within.edges
        self._budget: Budget = Budget() if within is None else within._budget
        self._settled: tuple[type, ...] = (*SETTLED, Entry) if assume else SETTLED
        self.used: set[str] = set()
        self.shapes: dict[Expr, tuple[Mono, frozenset[Expr]]] = {}
        self._nested = 0
        self._memo: dict[Expr, Poly] = {}
        self._reductions: dict[Mono, Poly] = {}
        self._opaque: NormalForm | None = None
        self._until: dict[str, NormalForm] = {}

    @property
    def opaque(self) -> NormalForm:
        """The normaliser that takes every defined name as a variable."""
        if self.stop >= set(self.loss.defined) and not self.assume and not self.shallow:
            return self
        if self._opaque is None:
            self._opaque = NormalForm(
                self.loss, frozenset(self.loss.defined), almost=self.almost, within=self
            )
        return self._opaque

    def spend(self, work: int) -> None:
        """Count work; raise Undecided where an expression takes too much of it."""
        self._budget.spend(work)
        if self._nested > MOST_NESTED:
            raise Undecided

    def allows(self, hypothesis: str) -> bool:
        """Whether a hypothesis may be used; if so, it counts as used."""
        allowed = self.may_assume(hypothesis)
        if allowed:
            self.used.add(hypothesis)
        return allowed

    def may_assume(self, hypothesis: str) -> bool:
        """Whether a hypothesis may be used."""
        return self.assume if isinstance(self.assume, bool) else hypothesis in self.assume

    def until(self, name: str) -> NormalForm:
        """The normaliser that unfolds every definition but `name`."""
        if name not in self._until:
            self._until[name] = NormalForm(
                self.loss, frozenset((name,)), almost=self.almost, within=self
            )
        return self._until[name]

    def __call__(self, expr: Expr) -> Poly:
        """The normal form of an expression; Undecided where that would be too much work."""
        found = self._memo.get(expr)
        if found is not None:
            return found
        self._budget.enter()
        try:
            found = self._memo[expr] = self._normal(expr)
        except RecursionError:
            raise Undecided from None
        finally:
            self._budget.leave()
        return found

    def expr(self, expr: Expr) -> Expr:
        """The normal form, as an expression."""
        return to_expr(self(expr))

    def is_zero(self, expr: Expr) -> bool:
        """Whether the expression is zero: by its normal form over a common denominator."""
        return self.vanishes(self(expr))

    def equal(self, left: Expr, right: Expr) -> bool:
        """Whether two expressions have one normal form."""
        difference = dict(self(left))
        add_to(difference, self(right), -1)
        return self.vanishes(difference)

    def vanishes(self, poly: Poly) -> bool:
        """Whether a polynomial is zero once its denominators are multiplied out."""
        return division.vanishes(self, poly)

    def mul(self, left: Poly, right: Poly) -> Poly:
        self._budget.multiply(len(left) * len(right))
        result: Poly = {}
        for mono, value in left.items():
            for other, factor in right.items():
                self.add_mono(result, join(mono, other), value * factor)
        return result

    def add_mono(self, target: Poly, mono: Mono, value: Coefficient) -> None:
        """target += value * mono, the monomial brought into normal form."""
        for base, _ in mono:
            if base.is_Add or isinstance(base, self._settled):
                add_to(target, self._settle(mono), value)
                return
        add_to(target, {mono: value})

    def _settle(self, mono: Mono) -> Poly:
        """Reduce a raw monomial: expand, contract 0-1 atoms, apply deltas, divide."""
        self.spend(1)
        found = self._reductions.get(mono)
        if found is not None:
            return found
        self._nested += 1
        try:
            found = self._reduced(mono)
        finally:
            self._nested -= 1
        if not self.assume:  # what is assumed is to be noted each time
            self._reductions[mono] = found
        return found

    def _reduced(self, mono: Mono) -> Poly:
        peculiar = ordered([item for item in mono if isinstance(item[0], self._settled)])
        for item in peculiar:
            other = special.settled(self, *item)
            if other is not None:
                return self.mul({mono - {item}: 1}, other)
        if any(base.is_Add and exponent >= 1 for base, exponent in mono):
            return self.expand(mono)
        for rule in (angles.above_sines, conditions.beside, deltas.apply_deltas):
            known = rule(self, mono, peculiar) if peculiar else None
            if known is not None:
                return known
        return division.divide(self, mono)

    def expand(self, mono: Mono) -> Poly:
        """Multiply out primitive polynomials that stand to a power of 1 or more."""
        rest: dict[Expr, Exponent] = {}
        result = constant(1)
        for base, exponent in sorted(mono, key=lambda item: mono_key(frozenset((item,)))):
            whole = floor(exponent) if base.is_Add and exponent >= 1 else 0
            if exponent != whole:
                rest[base] = exponent - whole
            if whole > elementary.LARGEST_POWER:
                raise Undecided
            for _ in range(whole):
                result = self.mul(result, self(base))
        return self.mul({frozenset(rest.items()): 1}, result)

    def content(self, poly: Poly) -> tuple[Coefficient, Mono, Poly]:
        """Number, monomial and primitive part, the last with denominators multiplied out."""
        factor, shared, rest = content(poly)
        if any(base.is_Add and exponent >= 1 for mono in rest for base, exponent in mono):
            cleared: Poly = {}
            for mono, value in rest.items():
                add_to(cleared, self.expand(mono), value)
            again, more, rest = self.content(cleared)
            factor, shared = factor * again, join(shared, more)
        return factor, shared, rest

    def power(self, poly: Poly, exponent: Exponent) -> Poly:
        """poly ** exponent for a rational exponent."""
        return elementary.power(self, poly, exponent)

    def absolute_power(self, base: Expr, exponent: Exponent) -> Poly:
        """|base| ** exponent."""
        return elementary.absolute_power(self, base, exponent)

    def exp(self, poly: Poly) -> Poly:
        """exp of a polynomial."""
        return elementary.exponential(self, poly)

    def log(self, poly: Poly) -> Poly:
        """log of a polynomial."""
        return elementary.logarithm(self, poly)

    def _normal(self, expr: Expr) -> Poly:
        if expr.is_Rational:
            return constant(ratio(expr.p, expr.q))
        if expr.is_Add:
            result: Poly = {}
            for arg in expr.args:
                add_to(result, self(arg))
            return result
        if expr.is_Mul:
            first, *rest = expr.args
            result = self(first)
            for arg in rest:
                result = self.mul(result, self(arg))
            return result
        if isinstance(expr, exp):
            return self.exp(self(expr.args[0]))
        if isinstance(expr, log):
            return elementary.any_log(self, expr)
        handler = HANDLERS.get(type(expr))
        if handler is not None and not (self.shallow and isinstance(expr, Function)):
            return handler(self, expr)
        if isinstance(expr, fn.sigmoid):
            return special.logistic(self(expr.args[0]))
        if isinstance(expr, Function):
            return special.function(self, expr)
        return atom(expr)

    def entry(self, expr: Entry) -> Poly:
        name = expr.tensor.name
        if name in self.loss.defined and name not in self.stop:
            return self(self.loss.defined[name].at(expr))
        return deltas.at_argmax(self, expr)


SETTLED = (Delta, Choice, Integer, fn.absolute, fn.signum, sin)
HANDLERS: dict[type, Callable[[NormalForm, Any], Poly]] = {
    Pow: elementary.any_power,
    Entry: NormalForm.entry,
    **dict.fromkeys((Axis, Index), special.itself),
    Total: sums.total,
    Product: products.product,
    **dict.fromkeys((Maximum, Minimum), special.extremum),
    Delta: deltas.delta,
    Share: special.share,
    Choice: conditions.choice,
    Diff: calculus.diff,
    Partial: calculus.partial,
    **dict.fromkeys((tanh, sinh, cosh, tan), special.hyperbolic),
    **dict.fromkeys((sin, cos), angles.circular),
    **dict.fromkeys(fn.BY_MEANING, special.meaning),
    **dict.fromkeys((fn.lgamma, fn.digamma, fn.trigamma), special.gamma),
    **dict.fromkeys((fn.signum, sign), conditions.signum),
    **dict.fromkeys((fn.absolute, Abs), conditions.absolute),
    fn.relu: conditions.relu,
    fn.largest: conditions.largest,
    fn.smallest: conditions.smallest,
}
