"""Sums in matrix notation: what shares the index of a sum becomes a product of matrices."""

from __future__ import annotations

from functools import partial

from sympy import Add, Expr, Integer, Mul, Pow

from derive import functions
from derive.arrange import factor_order, reciprocal
from derive.index import (
    TRUE,
    Condition,
    Delta,
    Index,
    Total,
    free_indices,
    scoped,
    substitute,
    total,
)
from derive.matrix_groups import Convert, Indices, comes_apart, grouped, shorter
from derive.matrix_leaves import NoForm
from derive.matrix_nodes import SCALAR, Mat, number, ones
from derive.matrix_split import by_labels, whole
from derive.matrix_tree import diag, matmul, norm, power, transpose


def total_of(convert: Convert, expr: Expr, free: Indices) -> Mat:
    with scoped(expr) as (k, body, guard):
        if guard != TRUE:
            other = _left_out(guard, k)
            if other is None or not whole(body, k):
                raise NoForm
            return convert(total(k, body) - substitute(body, {k: other}), free)
        return summed(convert, k, body, free)


def _left_out(guard: Condition, k: Index) -> Expr | None:
    """The one index or label that a guard leaves out."""
    if guard.op != "!=" or k not in guard.operands:
        return None
    left, right = guard.operands
    return right if left == k else left


def summed(convert: Convert, k: Index, body: Expr, free: Indices) -> Mat:
    """The sum of `body` over k."""
    all_of = {k, *free}
    if body.is_Add:
        together = len(free) < 2 and all(free_indices(t) == all_of for t in body.args)
        if not together:
            return convert(Add(*(total(k, term) for term in body.args)), free)
        if free:
            return matmul(convert(body, (*free, k)), ones(k.axis.name))
        return matmul(transpose(ones(k.axis.name)), convert(body, (k,)))
    if k not in free_indices(body):
        return convert(k.axis * body, free)
    split = by_labels(body, (k,))
    if split is not None:
        return convert(Add(*(total(k, term) for term in Add.make_args(split))), free)
    factors = sorted(Mul.make_args(body), key=partial(factor_order, loss=convert.loss))
    outside = [f for f in factors if k not in free_indices(f)]
    if outside:
        inside = [f for f in factors if k in free_indices(f)]
        return convert.product(Mul(*outside, total(k, Mul(*inside))), free)
    for place, factor in enumerate(factors):
        if isinstance(factor, Delta) and k in factor.args:
            rest = Mul(*factors[:place], *factors[place + 1 :])
            return convert(substitute(rest, {k: factor.other(k)}), free)
    return contracted(convert, k, factors, free)


def contracted(convert: Convert, k: Index, factors: list[Expr], free: Indices) -> Mat:
    """The sum over k of a product whose factors all have k."""
    if not free:
        return dot(convert, k, factors)
    for factor in factors:
        linked = tuple(i for i in free if i in free_indices(factor))
        apart = linked and len(factors) > 1 and comes_apart(factor, (*linked, k))
        if apart:
            others = [f for f in factors if f is not factor]
            split = Add(*(total(k, Mul(t, *others)) for t in factor.args))
            return shorter(
                partial(chained, convert, k, factors, free), partial(convert, split, free)
            )
    return chained(convert, k, factors, free)


def chained(convert: Convert, k: Index, factors: list[Expr], free: Indices) -> Mat:
    """A product of matrices, k the index that two neighbours share."""
    groups = grouped(factors, (*free, k))
    vector = groups.pop((k,), [])
    if len(free) == 1:
        matrix = convert.entrywise(groups[(*free, k)], (*free, k))
        return matmul(matrix, convert.entrywise(vector, (k,)))
    rows, columns = free
    left, right = groups.pop((rows, k), []), groups.pop((columns, k), [])
    if groups or not left or not right:
        raise NoForm
    middle = [diag(convert.entrywise(vector, (k,)))] if vector else []
    before, after = convert.entrywise(left, (rows, k)), convert.entrywise(right, (columns, k))
    return matmul(before, *middle, transpose(after))


def dot(convert: Convert, k: Index, factors: list[Expr]) -> Mat:
    """The sum over k of a product of vectors: u^T v, 1^T v or the square of a norm."""
    if len(factors) == 1:
        (factor,) = factors
        if isinstance(factor, functions.absolute):
            return norm(convert(factor.args[0], (k,)), 1)
        if isinstance(factor, Pow) and factor.exp == 2:
            return power(norm(convert(factor.base, (k,)), 2), number(Integer(2)), SCALAR)
        square = frobenius(convert, k, factor)
        return square or matmul(transpose(ones(k.axis.name)), convert(factor, (k,)))
    first = next((f for f in factors if reciprocal(f) is None), None)
    rest = [f for f in factors if f is not first]
    if first is None or all(reciprocal(f) is not None for f in rest):
        return matmul(transpose(ones(k.axis.name)), convert.entrywise(factors, (k,)))
    return matmul(transpose(convert(first, (k,))), convert.entrywise(rest, (k,)))


def frobenius(convert: Convert, k: Index, factor: Expr) -> Mat | None:
    """The square of a matrix's norm, for the sum of the squares of its entries."""
    if not isinstance(factor, Total) or factor.args[2] != TRUE:
        return None
    with scoped(factor) as (other, body, _):
        if isinstance(body, Pow) and body.exp == 2 and free_indices(body) == {k, other}:
            square = norm(convert(body.base, (k, other)), 2)
            return power(square, number(Integer(2)), SCALAR)
    return None
