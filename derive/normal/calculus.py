"""Differentiation of a normal form.

This is the checker of the derivation's own calculus rules: it shares no code with them.  A
`Partial` is decided by differentiating the fully unfolded expression, not by the chain rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import E, Expr, Function, S, exp, log

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
    bind,
    scoped,
)
from derive.normal import conditions, level, sums
from derive.normal.poly import Poly, add_to, atom, constant, join, scale, to_expr

if TYPE_CHECKING:
    from derive.normal.form import NormalForm


def diff(form: NormalForm, expr: Diff) -> Poly:
    """The partial derivative of the body, other defined names held fixed."""
    body, variable = expr.args
    opaque = form.opaque
    result = derivative(opaque, opaque(body), variable)
    return result if form is opaque else form(to_expr(result))


def partial(form: NormalForm, expr: Partial) -> Poly:
    """The derivative of a defined name, total or direct."""
    of, variable, direct = expr.args
    definition = form.loss.defined[of.tensor.name]
    if direct == S.One:
        return diff(form, Diff(definition.at(of), variable))
    name = variable.tensor.name
    if of.tensor == variable.tensor:
        return entry_derivative(form, of, variable)
    inner = form.until(name)
    result = derivative(inner, inner(definition.at(of)), variable)
    return form(to_expr(result))


def derivative(form: NormalForm, poly: Poly, variable: Entry) -> Poly:
    """d poly / d variable, term by term and factor by factor."""
    result: Poly = {}
    chosen = [base for mono in poly for base, _ in mono if base.__class__ is Choice]
    if chosen and not form.almost:
        poly = level.off_levels(form, poly, variable)
    for mono, value in poly.items():
        for base, power in mono:
            inner = atom_derivative(form, base, variable)
            if inner:
                rest = join(mono, frozenset(((base, -1),)))
                add_to(result, form.mul({rest: 1}, inner), value * power)
    return result


def entry_derivative(form: NormalForm, entry: Entry, variable: Entry) -> Poly:
    if entry.tensor != variable.tensor:
        return {}
    result = constant(1)
    for i, j in zip(entry.indices, variable.indices, strict=True):
        result = form.mul(result, form(Delta(i, j)))
    return result


def atom_derivative(form: NormalForm, base: Expr, variable: Entry) -> Poly:
    """The derivative of one atom of the normal form."""
    if isinstance(base, Entry):
        return entry_derivative(form, base, variable)
    if isinstance(base, Axis | Index | Delta | Choice | Share) or base.is_number or base == E:
        return {}
    if base.is_Add or base.is_Mul:
        return derivative(form, form(base), variable)
    if isinstance(base, exp):
        return form.mul(atom(base), derivative(form, form(base.args[0]), variable))
    if isinstance(base, fn.absolute):
        inner = form(base.args[0])
        return form.mul(conditions.sign_of(form, inner), derivative(form, inner, variable))
    if isinstance(base, log):
        part = base.args[0]
        inner = form(part.args[0] if isinstance(part, fn.absolute) else part)
        return form.mul(form.power(inner, -1), derivative(form, inner, variable))
    if base.is_Pow:
        logarithm = form.mul(form(base.exp), form(log(base.base)))
        return form.mul(atom(base), derivative(form, logarithm, variable))
    if isinstance(base, Total | Product | Maximum | Minimum):
        return _binder(form, base, variable)
    if isinstance(base, Function):
        return _function(form, base, variable)
    raise TypeError(f"no derivative for the atom {base}")


def _binder(form: NormalForm, base: Expr, variable: Entry) -> Poly:
    with scoped(base) as (index, body, guard):
        poly = form(body)
        inner = derivative(form, poly, variable)
        if not inner:
            return {}
        if isinstance(base, Total):
            return sums.total_poly(form, index, inner, guard)
        if isinstance(base, Product):
            inner = form.mul(form.power(poly, -1), inner)
            return form.mul(atom(base), sums.total_poly(form, index, inner, guard))
        share = atom(Share(bind(type(base), index, body, guard), index))
        return sums.total_poly(form, index, form.mul(share, inner), guard)


def _function(form: NormalForm, base: Function, variable: Entry) -> Poly:
    result: Poly = {}
    for position, arg in enumerate(base.args, start=1):
        inner = derivative(form, form(arg), variable)
        if inner:
            add_to(result, form.mul(form(base.fdiff(position)), inner))
    return scale(result, 1)
