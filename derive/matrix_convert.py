"""From an expression with at most two free indices to matrix notation.

What has no such form raises NoForm: a third index, a guard over two indices, a label chosen by
a maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sympy import Add, E, Expr, Function, Mul, Number, Pow, pi

from derive.arrange import factor_order, reciprocal, term_order
from derive.index import (
    Axis,
    Choice,
    Delta,
    Diff,
    Entry,
    Maximum,
    Minimum,
    Partial,
    Product,
    Share,
    Total,
    free_indices,
    substitute,
)
from derive.loss import Loss
from derive.matrix_functions import call, choice, loose, reduce, share
from derive.matrix_groups import Indices, comes_apart, grouped, shape_of, shorter
from derive.matrix_leaves import NoForm, delta_leaf, derivative_leaf, entry_leaf
from derive.matrix_nodes import ONE, SCALAR, Mat, number, zero
from derive.matrix_split import by_labels
from derive.matrix_sums import total_of
from derive.matrix_tree import add, diag, everywhere_one, had, matmul, power, scale, transpose

LIMIT = 1500


class Converter:
    """Turns expressions of one loss into trees; gives up after LIMIT nodes."""

    def __init__(self, loss: Loss) -> None:
        self.loss, self.visited = loss, 0
        self.found: dict[tuple[Expr, Indices], Mat] = {}

    def __call__(self, expr: Expr, free: Indices) -> Mat:
        """The matrix whose entry at the indices `free` is `expr`."""
        key = (expr, free)
        if key not in self.found:
            self.visited += 1
            if self.visited > LIMIT or not free_indices(expr) <= set(free):
                raise NoForm
            self.found[key] = self.convert(expr, free)
        return self.found[key]

    def convert(self, expr: Expr, free: Indices) -> Mat:
        if expr.is_Add and set(free) <= free_indices(expr):
            return add([self(term, free) for term in _terms(expr, free)], shape_of(free))
        if expr == 0:
            return zero(shape_of(free))
        split = expr.is_Mul or isinstance(expr, Delta) or reciprocal(expr) is not None
        if split or not set(free) <= free_indices(expr):
            return self.product(expr, free)
        return self.whole(expr, free)

    def whole(self, expr: Expr, free: Indices) -> Mat:
        """What is no sum or product, and has all of the indices."""
        if isinstance(expr, Number | Axis) or expr in (E, pi):
            return Mat("size", (), expr.name) if isinstance(expr, Axis) else number(expr)
        if isinstance(expr, Entry):
            return entry_leaf(expr.tensor.name, expr.tensor.axes, expr.indices, free)
        if isinstance(expr, Delta):
            return delta_leaf(expr, free)
        if isinstance(expr, Total):
            return total_of(self, expr, free)
        if isinstance(expr, Maximum | Minimum | Product):
            return reduce(self, expr, free)
        if isinstance(expr, Share):
            return share(self, expr, free)
        if isinstance(expr, Partial | Diff):
            return derivative_leaf(expr, free)
        if isinstance(expr, Choice):
            return choice(self, expr, free)
        if isinstance(expr, Pow):
            return power(self(expr.base, free), loose(self, expr.exp, free), shape_of(free))
        if isinstance(expr, Function):
            return call(self, expr, free)
        raise NoForm

    # ------------------------------------------------------------ products

    def product(self, expr: Expr, free: Indices) -> Mat:
        """A product, its factors grouped by the indices that they have."""
        split = by_labels(expr, free)
        if split is not None:
            return self(split, free)
        coefficient, rest = expr.as_coeff_Mul()
        factors = sorted(Mul.make_args(rest), key=partial(factor_order, loss=self.loss))
        for place, factor in enumerate(factors):
            found = self.pinned(factor, factors[:place] + factors[place + 1 :], free)
            if found is not None:
                return scale(coefficient, [], [], found) if found.shape != SCALAR else found
        groups = grouped(factors, free)
        inner = self.grouped(groups, free)
        above, below = self.sides(groups.get((), []), ())
        return scale(coefficient, above, below, inner)

    def grouped(self, groups: dict[Indices, list[Expr]], free: Indices) -> Mat | None:
        """The part of a product that has indices."""
        if not free:
            return None
        if len(free) == 1:
            return self.entrywise(groups.get(free, []), free)
        rows, columns = ((index,) for index in free)
        both = groups.get(free, [])
        left, right = groups.get(rows, []), groups.get(columns, [])
        if not both:
            return matmul(self.entrywise(left, rows), transpose(self.entrywise(right, columns)))
        if len(both) + len(left) + len(right) > 1:
            for factor in both:
                if comes_apart(factor, free):
                    others = [*left, *right, *both]
                    others.remove(factor)
                    apart = Add(*(Mul(term, *others) for term in factor.args))
                    return shorter(
                        lambda: self.between(left, both, right, free),
                        partial(self, apart, free),
                    )
        return self.between(left, both, right, free)

    def between(self, left: list[Expr], both: list[Expr], right: list[Expr], free: Indices) -> Mat:
        """diag(u) M diag(v), for factors that have the first, both and the second index."""
        middle = [self.entrywise(both, free)]
        before = [diag(self.entrywise(left, free[:1]))] if left else []
        after = [diag(self.entrywise(right, free[1:]))] if right else []
        return matmul(*before, *middle, *after)

    def pinned(self, factor: Expr, others: list[Expr], free: Indices) -> Mat | None:
        """A product with a delta of one of the indices: the others are taken at its other side."""
        if not isinstance(factor, Delta):
            return None
        for index in (i for i in free if i in factor.args):
            other = factor.other(index)
            if index in free_indices(other):
                raise NoForm
            left = tuple(i for i in free if i != index)
            if other in free:
                inner = substitute(Mul(*others), {free[1]: free[0]})
                return diag(self(inner, free[:1]))
            if isinstance(other, Entry) and not free_indices(other):
                inner = substitute(Mul(*others), {index: other})
                unit = delta_leaf(factor, (index,))
                if not left:
                    return scale(ONE, [self(inner, ())], [], unit)
                across = self(inner, left)
                first = index == free[0]
                return matmul(unit, transpose(across)) if first else matmul(across, transpose(unit))
        if not free_indices(factor) or len(free) < 2:
            raise NoForm
        return None

    def entrywise(self, factors: Sequence[Expr], free: Indices) -> Mat:
        """Factors that are multiplied entry by entry; none of them is 1 everywhere."""
        above, below = self.sides(factors, free)
        if not above and not below:
            return everywhere_one(shape_of(free))
        return had(above, below, shape_of(free))

    def sides(self, factors: Sequence[Expr], free: Indices) -> tuple[list[Mat], list[Mat]]:
        """What multiplies and what divides."""
        above, below = [], []
        for factor in factors:
            under = reciprocal(factor)
            if under is None:
                above.append(self.whole(factor, free) if not factor.is_Add else self(factor, free))
            else:
                below.append(self(under, free))
        return above, below


def _terms(expr: Expr, free: Indices) -> list[Expr]:
    """The terms of a sum; those that lack an index are put together, numbers first."""
    terms = sorted(expr.args, key=term_order)
    groups = grouped(terms, free)
    full = groups.pop(free, [])
    found = [*full, *(Add(*group) for group in groups.values())]
    return sorted(found, key=lambda term: not (term.is_Number and term > 0)) if free else full
