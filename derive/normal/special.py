"""Extrema, hyperbolic and other functions in normal form."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Any

from sympy import Expr, cos, cosh, exp, sin, sinh, tan, tanh

from derive import functions as fn
from derive.index import Binder, Choice, Delta, Entry, bind, scoped
from derive.normal import conditions, sums
from derive.normal.poly import Exponent, Poly, add_to, atom, constant, content, scale, to_expr

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


def logistic(inner: Poly) -> Poly:
    """sigmoid(-x) = 1 - sigmoid(x), so that one of the two is an atom."""
    if inner and content(inner)[0] < 0:
        result = constant(1)
        add_to(result, atom(fn.sigmoid(to_expr(scale(inner, -1)))), -1)
        return result
    return atom(fn.sigmoid(to_expr(inner)))


def meaning(form: NormalForm, expr: Any) -> Poly:
    return form(expr.meaning())


def itself(form: NormalForm, expr: Expr) -> Poly:
    return atom(expr)


def square_of_sin(angle: Expr) -> Poly:
    """sin^2 = 1 - cos^2."""
    result = constant(1)
    add_to(result, atom(cos(angle), 2), -1)
    return result


def settled(form: NormalForm, base: Expr, exponent: Exponent) -> Poly | None:
    """What an atom to a power is equal to by its nature; None where it is in normal form."""
    if isinstance(base, Delta | Choice) and exponent > 1:
        return atom(base)
    if isinstance(base, fn.absolute) and not 0 < exponent < 1:
        return form.absolute_power(base.args[0], exponent)
    if isinstance(base, sin) and exponent >= 2:
        return form.mul(atom(base, exponent - 2), square_of_sin(base.args[0]))
    if form.assume and isinstance(base, Entry):
        return _of_domain(form, base, exponent)
    return None


def _of_domain(form: NormalForm, entry: Entry, exponent: Exponent) -> Poly | None:
    """y^2 = y for a binary y, and s^2 = 1 for a sign s."""
    declaration = form.loss.declared.get(entry.tensor.name)
    kind = declaration.domain.kind if declaration else ""
    if kind not in ("binary", "sign") or exponent != floor(exponent) or exponent < 2:
        return None
    if not form.allows(f"{entry.tensor.name} in {kind}"):
        return None
    return atom(entry) if kind == "binary" or exponent % 2 else constant(1)
