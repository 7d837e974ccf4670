"""Products over an axis in normal form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import Expr

from derive.index import TRUE, Condition, Delta, Index, Product, bind, free_indices, scoped
from derive.normal import conditions, deltas, signs, sums
from derive.normal.poly import ONE, Poly, add_to, atom, constant, to_expr

if TYPE_CHECKING:
    from derive.normal.form import NormalForm


def product(form: NormalForm, expr: Product) -> Poly:
    """A product over an axis: exp of a sum where the factors are positive; where single
    indices are left out, the whole product divided by their factors."""
    with scoped(expr) as (index, body, guard):
        poly = form(body)
        if len(poly) == 1:
            (mono, value), *_ = poly.items()
            if value > 0 and all(signs.nonnegative(form, item) for item in mono):
                return form.exp(sums.total_poly(form, index, form.log(poly), guard))
        guard = conditions.normal_guard(form, guard)
        if poly == {ONE: 1}:
            return constant(1)
        left_out = _left_out(form, index, guard)
        if left_out and len(poly) >= 1:
            return _without(form, index, poly, left_out)
        return atom(bind(Product, index, to_expr(poly), guard))


def _left_out(form: NormalForm, index: Index, guard: Condition) -> list[Expr]:
    """The indices j of a guard `k != j and ...`; none where it says anything else."""
    if guard == TRUE:
        return []
    where = conditions.indicator(form, guard)
    deltas = {base for mono in where for base, _ in mono if isinstance(base, Delta)}
    found = sorted((d.other(index) for d in deltas if index in d.args), key=str)
    expected = constant(1)
    for other in found:
        keep = constant(1)
        add_to(keep, form(Delta(index, other)), -1)
        expected = form.mul(expected, keep)
    fine = where == expected and not any(index in free_indices(other) for other in found)
    return found if fine else []


def _without(form: NormalForm, index: Index, poly: Poly, left_out: list[Expr]) -> Poly:
    """prod_k f_k / (f_i f_j ...), an index that is equal to an earlier one counted once."""
    result = atom(bind(Product, index, to_expr(poly)))
    for position, other in enumerate(left_out):
        new = constant(1)
        for earlier in left_out[:position]:
            apart = constant(1)
            add_to(apart, form(Delta(earlier, other)), -1)
            new = form.mul(new, apart)
        inverse = form.power(deltas.rename_poly(form, poly, index, other), -1)
        add_to(inverse, constant(1), -1)
        factor = form.mul(new, inverse)
        add_to(factor, constant(1))
        result = form.mul(result, factor)
    return result
