"""What the engine derives of a loss by its raw scores: slope, Hessian, and what holds of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from sympy import Expr, Integer

from codegen.objectives.fit import Fit
from derive.engine import gradient
from derive.forwards import hessian
from derive.index import Delta, Entry, Index, substitute, total
from derive.labels import as_labels
from derive.loss import Domain, Loss
from derive.normal import NormalForm, Undecided
from derive.ranges import Ranges


@dataclass(frozen=True)
class Curvature:
    """The derivatives of a loss by its raw scores, true for every target.

    `slope` is dL/da_i and `whole` is d2L/da_i da_j, in terms of `fit.dense`; with one score a
    row there are no indices.
    """

    fit: Fit
    first: Entry
    second: Entry
    slope: Expr
    whole: Expr

    @cached_property
    def diagonal(self) -> Expr:
        """d2L/da_i^2."""
        return self.at_diagonal(self.whole)

    @cached_property
    def form(self) -> NormalForm:
        """Normal forms under the hypotheses of the loss."""
        return NormalForm(self.fit.dense, assume=True)

    @cached_property
    def ranges(self) -> Ranges:
        return Ranges(self.fit.dense)

    @property
    def indices(self) -> tuple[Index, ...]:
        """The indices of both entries: none, or (i, j)."""
        return (*self.first.indices, *self.second.indices)

    def at_diagonal(self, expr: Expr) -> Expr:
        """An expression over (i, j) where j = i."""
        there = dict(zip(self.second.indices, self.first.indices, strict=True))
        found: Expr = substitute(expr, there)
        return found

    def equal(self, left: Expr, right: Expr) -> bool:
        """Whether two expressions are known to be equal."""
        try:
            return self.form.equal(left, right)
        except Undecided:
            return False

    def nonnegative(self, expr: Expr) -> bool:
        """Whether an expression is known to be >= 0."""
        return self.ranges.nonnegative(expr)

    def labelled(self, expr: Expr) -> Expr:
        """The expression in terms of `fit.loss`."""
        if self.fit.label is None or self.fit.dense is self.fit.loss:
            return expr
        return as_labels(expr, self.fit.dense.tensor(self.fit.target), self.fit.dense)

    @cached_property
    def shift_invariant(self) -> bool:
        """Whether the rows of the Hessian sum to 0: a constant added to all scores is nothing."""
        if not self.second.indices:
            return False
        (j,) = self.second.indices
        return self.equal(total(j, self.whole), Integer(0))

    @cached_property
    def repelling(self) -> bool:
        """Whether all entries off the diagonal are known to be <= 0."""
        if not self.second.indices:
            return False
        apart = substitute(self.whole, {Delta(*self.indices): Integer(0)})
        return self.nonnegative(-apart)


@lru_cache(maxsize=64)
def curvature(fit: Fit) -> Curvature:
    """The slope and the Hessian of a loss by its raw scores, nothing assumed of the target."""
    free = _assuming_nothing(fit.dense)
    slope = gradient(free, fit.score)
    second = hessian(free, slope.wrt[0], None if not fit.classes else fit.score)
    first, other = second.wrt
    return Curvature(fit, first, other, slope.result, second.result)


def _assuming_nothing(loss: Loss) -> Loss:
    declared = tuple(
        replace(d, domain=Domain()) if d.domain.kind == "simplex" else d for d in loss.declarations
    )
    return replace(loss, declarations=declared)
