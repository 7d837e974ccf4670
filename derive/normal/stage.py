"""Checks of one stage at a time: defined names and named derivatives stay as they are.

What holds for any value of the names holds for theirs, so an equation that is confirmed here
is confirmed for the loss; one that is not may still hold, and wants the unfolded form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sympy import Expr, S

from derive.index import (
    TRUE,
    Diff,
    Entry,
    Partial,
    Tensor,
    fresh,
    height,
    kinds,
    rebuild,
    substitute,
    tensors,
)
from derive.loss import Loss
from derive.normal import calculus, sums
from derive.normal.form import NormalForm
from derive.normal.hide import OPEN_LEVELS, classed, hidden
from derive.normal.poly import Poly, Undecided, add_to, atom

Lemmas = Mapping[tuple[Tensor, Tensor, Expr], tuple[Expr, Expr]]


class Stage(NormalForm):
    """The normal form in which every definition but those of `opened` is a variable.

    A derivative is the result of its lemma where there is one; a total one else a variable.
    """

    def __init__(
        self,
        loss: Loss,
        lemmas: Lemmas,
        assume: bool = False,
        opened: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(loss, frozenset(loss.defined) - opened, assume)
        self.lemmas, self.opened = lemmas, opened

    def same(self, left: Expr, right: Expr) -> bool:
        """Whether both sides are equal, sums that stand on both taken for variables."""
        left, right = self._written(left), self._written(right)
        if max(height(left), height(right)) > OPEN_LEVELS:
            return self._by_levels(left, right) or self.equal(*hidden(left, right))
        return self.equal(*hidden(left, right)) or self.equal(left, right)

    def _by_levels(self, left: Expr, right: Expr) -> bool:
        try:
            return self.equal(*classed(self.expr, left, right))
        except Undecided:
            return False

    def _written(self, expr: Expr) -> Expr:
        """The expression with lemmas and opened definitions put in."""
        found = kinds(expr)
        if self.opened and not found & {Diff, Partial}:
            expr = self.loss.unfold(expr, self.stop)

        def visit(node: Any) -> Any:
            if isinstance(node, Partial):
                return self._lemma(node)
            inside = Partial in kinds(node) and not isinstance(node, Diff)
            return rebuild(node, visit) if inside else node

        return visit(expr) if self.lemmas and Partial in found else expr

    def _normal(self, expr: Expr) -> Poly:
        if is_total(expr):
            return atom(expr)
        if isinstance(expr, Diff) and Partial in kinds(expr.args[0]):
            raise Undecided
        return super()._normal(expr)

    def _lemma(self, slope: Expr) -> Expr:
        """What the lemma about a derivative says that it is; the derivative if there is none."""
        of, variable, direct = slope.args
        start, result = self.lemmas.get((of.tensor, variable.tensor, direct), (slope, slope))
        here: dict[Expr, Expr] = {}
        for mine, other in zip(start.args[:2], (of, variable), strict=True):
            here.update(zip(mine.indices, other.indices, strict=True))
        return substitute(result, here) if substitute(start, here) == slope else slope

    def chained(self, slope: Expr, right: Expr) -> bool:
        """Whether the right side is a total derivative, one definition on or back."""
        return self._are_equal(self.chain(slope), right) or self.chained_inwards(slope, right)

    def chained_inwards(self, slope: Expr, right: Expr) -> bool:
        """Whether it is one by the names in the definition of what is differentiated."""
        return self._are_equal(self.inward_chain(slope), right)

    def _are_equal(self, difference: Poly, right: Expr) -> bool:
        add_to(difference, self(right), -1)
        return self.vanishes(difference)

    def inward_chain(self, slope: Expr) -> Poly:
        """A total derivative by those of the names in the definition of what is differentiated."""
        of, variable, _ = slope.args
        body = self.loss.defined[of.tensor.name].at(of)
        poly = self(body)
        result: Poly = {}
        for tensor in sorted(tensors(body), key=lambda tensor: tensor.name):
            if tensor == variable.tensor:
                add_to(result, calculus.derivative(self, poly, variable))
            elif variable.tensor in needs(self.loss, tensor):
                entry = tensor[tuple(map(fresh, tensor.axes))]
                term = calculus.derivative(self, poly, entry)
                add_to(result, self._passed(entry, term, Partial(entry, variable)))
        return result

    def _passed(self, entry: Entry, term: Poly, slope: Partial) -> Poly:
        """A term times a derivative that has a name, summed over all entries."""
        result = self.mul(term, atom(slope))
        for index in entry.indices:
            result = sums.total_poly(self, index, result, TRUE)
        return result

    def chain(self, slope: Expr) -> Poly:
        """A total derivative by those of all definitions whose text varies with the variable.

        d of/d v = sum over each definition c and each of its entries of d of/d c times the
        partial derivative of c's own right-hand side, where d of/d of is 1.
        """
        of, variable, _ = slope.args
        if of.tensor == variable.tensor:
            raise Undecided
        direct = self.loss.defined[of.tensor.name].at(of)
        result = calculus.derivative(self, self(direct), variable)
        reached = needs(self.loss, of.tensor) - {of.tensor, variable.tensor}
        for definition in self.loss.definitions:
            tensor = definition.entry.tensor
            if tensor not in reached or variable.tensor not in tensors(definition.body):
                continue
            entry = tensor[tuple(map(fresh, tensor.axes))]
            term = calculus.derivative(self, self(definition.at(entry)), variable)
            add_to(result, self._passed(entry, term, Partial(of, entry)))
        return result


def is_total(node: object) -> bool:
    """Whether this is a derivative along all paths, which has a name of its own."""
    return isinstance(node, Partial) and node.args[2] != S.One


def needs(loss: Loss, tensor: Tensor) -> frozenset[Tensor]:
    """A defined tensor and every one that its value is computed from."""
    found: set[Tensor] = {tensor}
    for definition in reversed(loss.definitions):
        if definition.entry.tensor in found:
            found |= tensors(definition.body)
    return frozenset(found)
