"""Extrema, hyperbolic and other functions in normal form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sympy import Expr, cos, cosh, exp, sin, sinh, tan, tanh

from derive.index import Binder, bind, scoped
from derive.normal import conditions, sums
from derive.normal.poly import Poly, add_to, atom, constant, to_expr

if TYPE_CHECKING:
    from derive.normal.form import NormalForm


def extremum(form: NormalForm, expr: Binder) -> Poly:
    """max(u_k + c) = max(u_k) + c for c that does not depend on k."""
    with scoped(expr) as (index, body, guard):
        inside: Poly = {}
        outside: Poly = {}
        for mono, value in form(body).items():
            add_to(inside if sums.depends(mono, index) else outside, {mono: value})
        if inside:
            guard = conditions.normal_guard(form, guard)
            add_to(outside, atom(bind(type(expr), index, to_expr(inside), guard)))
        return outside


def hyperbolic(form: NormalForm, expr: Expr) -> Poly:
    """tan by sin and cos; sinh, cosh and tanh by exponentials."""
    angle = form.expr(expr.args[0])
    if isinstance(expr, tan):
        return form(sin(angle) / cos(angle))
    half = (exp(angle) + exp(-angle)) / 2 if not isinstance(expr, sinh) else 1
    other = (exp(angle) - exp(-angle)) / 2 if not isinstance(expr, cosh) else 1
    if isinstance(expr, tanh):
        return form(other / half)
    return form(half * other)


def meaning(form: NormalForm, expr: Any) -> Poly:
    return form(expr.meaning())


def itself(form: NormalForm, expr: Expr) -> Poly:
    return atom(expr)


def square_of_sin(angle: Expr) -> Poly:
    """sin^2 = 1 - cos^2."""
    result = constant(1)
    add_to(result, atom(cos(angle), 2), -1)
    return result
