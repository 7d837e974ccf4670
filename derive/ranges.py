"""Between which numbers an expression lies: interval arithmetic over what is declared.

An entry of a definition lies in the range of its body, and in [0, 1] where the normal form
proves that; a sum whose weights are >= 0 and sum to 1 lies where its terms do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from typing import Any

from sympy import Abs, Add, Expr, Mul, acos, asin, atan, cos, cosh, erf, exp, log, pi, sin, tanh

from derive import functions as fn
from derive.index import (
    TRUE,
    Axis,
    Choice,
    Condition,
    Delta,
    Entry,
    Index,
    Maximum,
    Minimum,
    Share,
    Total,
    comparisons,
    free_indices,
    order,
    tensors,
    total,
)
from derive.interval import (
    EVERYTHING,
    INFINITE,
    NEGATIVE,
    POSITIVE,
    SYMMETRIC,
    UNIT,
    Range,
    add,
    declared,
    hull,
    times,
    whole_power,
)
from derive.loss import Declaration, Loss
from derive.normal import Undecided
from derive.normal.conditions import indicator
from derive.normal.kept import assuming_all
from derive.normal.poly import constant
from derive.quadratic import bounded_by, nonnegative
from derive.under import under

FIXED: dict[type, Range] = {
    Delta: UNIT,
    Share: UNIT,
    fn.step: UNIT,
    fn.sigmoid: UNIT,
    tanh: SYMMETRIC,
    erf: SYMMETRIC,
    fn.erfc: Range(Fraction(0), Fraction(2)),
    sin: SYMMETRIC,
    cos: SYMMETRIC,
    fn.signum: SYMMETRIC,
    cosh: Range(Fraction(1)),
    fn.softplus: POSITIVE,
    fn.trigamma: POSITIVE,
    acos: Range(Fraction(0), Fraction(22, 7)),
    asin: Range(Fraction(-11, 7), Fraction(11, 7)),
    atan: Range(Fraction(-11, 7), Fraction(11, 7)),
    Axis: Range(Fraction(1)),
}


class Ranges:
    """The ranges of expressions of one loss; keeps those of its definitions."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.form = assuming_all(loss)
        self.shown: dict[Expr, Expr] = {}  # branches, and how a condition bounds them
        self._defined: dict[str, Range] = {}

    def __call__(self, expr: Expr) -> Range:
        """The range of an expression wherever it is defined."""
        if expr.is_Rational:
            return Range(Fraction(expr.p, expr.q), Fraction(expr.p, expr.q))
        if expr == pi:
            return Range(Fraction(3), Fraction(22, 7))
        if expr.is_Add:
            return self._against_logarithm(expr, reduce(add, map(self, expr.args)))
        if expr.is_Mul:
            return reduce(times, map(self, expr.args))
        handler = HANDLERS.get(type(expr))
        if handler is not None:
            return handler(self, expr)
        if expr.is_Pow and not isinstance(expr, exp):
            return self._power(expr)
        return FIXED.get(type(expr), EVERYTHING)

    def nonnegative(self, expr: Expr) -> bool:
        """Whether an expression is known to be >= 0."""
        if self(expr).lower >= 0:
            return True
        try:
            return nonnegative(self.form, expr)
        except Undecided:
            return False

    def _entry(self, entry: Entry) -> Range:
        name = entry.tensor.name
        if name in self.loss.declared:
            return declared(self.loss.declared[name])
        if name not in self._defined:
            own = self.loss.defined[name]
            self._defined[name] = self._narrowed(own.entry, self(own.body))
        return self._defined[name]

    def _narrowed(self, entry: Entry, found: Range) -> Range:
        """The range of a definition, with what its normal form says of 0 and 1."""
        if found.bounded:
            return found
        lower, upper = found
        # Whatever the names in it are, or by all that they stand for.
        for loss in (_alone(self.loss, entry.tensor.name), self.loss):
            form = self.form if loss is self.loss else assuming_all(loss)
            try:
                if lower < 0 and nonnegative(form, entry):
                    lower = Fraction(0)
                if upper > 1 and lower >= 0 and bounded_by(loss, entry, Fraction(1)):
                    upper = Fraction(1)
            except Undecided:
                continue
        return Range(lower, upper)

    def _against_logarithm(self, expr: Expr, found: Range) -> Range:
        """u - log w is at most 0 where exp(u) is one of the terms that w sums, or less."""
        if found.lower >= 0 or found.upper <= 0:
            return found
        for term in expr.args:
            sign, inner = (1, -term) if isinstance(-term, log) else (-1, term)
            if isinstance(inner, log) and self._below(sign * (expr - term), inner.args[0]):
                ends = (found.lower, Fraction(0)) if sign == 1 else (Fraction(0), found.upper)
                return Range(*ends)
        return found

    def _below(self, exponent: Expr, whole: Expr) -> bool:
        terms = Add.make_args(whole)
        if any(isinstance(term, Total) and self._sums(exponent, term) for term in terms):
            return all(self(term).lower >= 0 for term in terms)
        try:
            return bounded_by(self.loss, exp(exponent), whole)
        except Undecided:
            return False

    def _sums(self, exponent: Expr, whole: Total) -> bool:
        """Whether exp(exponent) is one of the terms of a sum."""
        bound, body, guard = whole.args
        for index in sorted(free_indices(exponent), key=order):
            here = {bound: index}
            if index.axis == bound.axis and body.xreplace(here) == exp(exponent):
                return indicator(self.form, guard.xreplace(here)) == constant(1)
        return False

    def _total(self, expr: Total) -> Range:
        index, body, guard = expr.opened()
        if guard == TRUE:
            mean = self._mean(index, body)
            if mean is not None:
                return mean
        lower, upper = self(body)
        return Range(
            Fraction(0) if lower >= 0 else -INFINITE, Fraction(0) if upper <= 0 else INFINITE
        )

    def _mean(self, index: Index, body: Expr) -> Range | None:
        """The range of sum_i w_i f_i for weights w >= 0 that sum to 1, each factor tried."""
        factors = Mul.make_args(body)
        for weight in factors:
            if not isinstance(weight, Entry | Delta) or index not in free_indices(weight):
                continue
            if self(weight).lower >= 0 and self._sums_to_one(index, weight):
                return self(Mul(*(f for f in factors if f is not weight)))
        return None

    def _sums_to_one(self, index: Index, weight: Expr) -> bool:
        try:
            return self.form.equal(total(index, weight), Add(1))
        except Undecided:
            return False

    def _extremum(self, expr: Expr) -> Range:
        return self(expr.opened()[1])

    def _choice(self, expr: Choice) -> Range:
        """Each branch lies where it does under the condition."""
        condition, value, otherwise = expr.args
        return hull((self._under(condition, value, True), self._under(condition, otherwise, False)))

    def _under(self, condition: Condition, branch: Expr, holds: bool) -> Range:
        lower, upper = self(branch)
        if lower >= 0 or upper <= 0 or not comparisons(condition):
            return Range(lower, upper)
        for found in under(self.loss, condition, branch, holds):
            ranges = Ranges(found.loss)
            more = ranges(found.expr)
            if lower < 0 and more.lower < 0 and ranges.nonnegative(found.expr):
                more = Range(Fraction(0), more.upper)
            if more.lower >= 0 or more.upper <= 0:
                self.shown[branch] = found.shown
                return Range(max(lower, more.lower), min(upper, more.upper))
        return Range(lower, upper)

    def _absolute(self, expr: Expr) -> Range:
        lower, upper = self(expr.args[0])
        return Range(max(lower, -upper, Fraction(0)), max(-lower, upper))

    def _largest(self, expr: Expr) -> Range:
        one, two = map(self, expr.args)
        lower = max(one.lower, two.lower)
        if lower < 0 and self(Mul(-1, *expr.args)).lower >= 0:
            lower = Fraction(0)  # Of two numbers of different signs one is not below 0.
        return Range(lower, max(one.upper, two.upper))

    def _smallest(self, expr: Expr) -> Range:
        one, two = map(self, expr.args)
        return Range(min(one.lower, two.lower), min(one.upper, two.upper))

    def _relu(self, expr: Expr) -> Range:
        lower, upper = self(expr.args[0])
        return Range(max(lower, Fraction(0)), max(upper, Fraction(0)))

    def _exp(self, expr: Expr) -> Range:
        lower, upper = self(expr.args[0])
        return Range(Fraction(int(lower >= 0)), Fraction(1) if upper <= 0 else INFINITE)

    def _log(self, expr: Expr) -> Range:
        lower, upper = self(expr.args[0])
        return Range(
            Fraction(0) if lower >= 1 else -INFINITE, Fraction(0) if upper <= 1 else INFINITE
        )

    def _power(self, expr: Expr) -> Range:
        base, exponent = self(expr.base), self(expr.exp)
        if expr.exp.is_Integer and expr.exp > 0:
            return whole_power(base, int(expr.exp))
        if base.lower < 0 and not self.nonnegative(expr.base):
            odd = expr.exp.is_odd and base.upper <= 0
            return POSITIVE if expr.exp.is_even else NEGATIVE if odd else EVERYTHING
        if exponent.lower >= 0:
            most = Fraction(1) if base.upper <= 1 else INFINITE
            return Range(Fraction(int(base.lower >= 1)), most)
        if exponent.upper <= 0:
            most = Fraction(1) if base.lower >= 1 else INFINITE
            return Range(Fraction(int(base.upper <= 1)), most)
        return POSITIVE


def _alone(loss: Loss, name: str) -> Loss:
    """One definition, the names that it is made of anything."""
    own = loss.defined[name]
    inputs = (
        Declaration(tensor, "input")
        for tensor in sorted(tensors(own.body), key=str)
        if tensor.name in loss.defined
    )
    return replace(loss, declarations=(*loss.declarations, *inputs), definitions=(own,))


HANDLERS: dict[type, Callable[[Ranges, Any], Range]] = {
    Entry: Ranges._entry,
    Total: Ranges._total,
    Maximum: Ranges._extremum,
    Minimum: Ranges._extremum,
    Choice: Ranges._choice,
    fn.absolute: Ranges._absolute,
    Abs: Ranges._absolute,
    fn.largest: Ranges._largest,
    fn.smallest: Ranges._smallest,
    fn.relu: Ranges._relu,
    exp: Ranges._exp,
    log: Ranges._log,
}
