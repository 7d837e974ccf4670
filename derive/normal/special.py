"""Extrema, hyperbolic and other functions in normal form."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from sympy import Expr, Integer, acos, asin, cos, cosh, exp, pi, sin, sinh, tan, tanh

from derive import functions as fn
from derive.index import Binder, Choice, Delta, Entry, Share, bind, scoped
from derive.normal import conditions, deltas
from derive.normal.poly import (
    ONE,
    Exponent,
    Poly,
    add_to,
    atom,
    constant,
    content,
    ratio,
    scale,
    to_expr,
)

if TYPE_CHECKING:
    from derive.normal.form import NormalForm

MOST_SHIFTS = 4


def extremum(form: NormalForm, expr: Binder) -> Poly:
    """max(u_k + c) = max(u_k) + c for c that does not depend on k."""
    with scoped(expr) as (index, body, guard):
        inside: Poly = {}
        outside: Poly = {}
        for mono, value in form(body).items():
            add_to(inside if deltas.depends(mono, index) else outside, {mono: value})
        if inside:
            guard = conditions.normal_guard(form, guard)
            add_to(outside, atom(bind(type(expr), index, to_expr(inside), guard)))
        return outside


def share(form: NormalForm, expr: Share) -> Poly:
    """Who attains max(u_k + c) attains max(u_k)."""
    extremum_, index = expr.args
    with scoped(extremum_) as (inner, body, guard):
        inside = {mono: value for mono, value in form(body).items() if deltas.depends(mono, inner)}
        if not inside:
            return atom(expr)
        guard = conditions.normal_guard(form, guard)
        return atom(Share(bind(type(extremum_), inner, to_expr(inside), guard), index))


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


def function(form: NormalForm, expr: Expr) -> Poly:
    """A function of a normal form; SymPy may take a sign out of it, or know its value."""
    if isinstance(expr, asin):
        return form(pi / 2 - acos(form.expr(expr.args[0])))
    made = expr.func(*(form.expr(arg) for arg in expr.args))
    factor, rest = made.as_coeff_Mul()
    if isinstance(rest, expr.func):
        return scale(atom(rest), ratio(factor.p, factor.q))
    return form(made)


def gamma(form: NormalForm, expr: Expr) -> Poly:
    """lgamma and its derivatives by their value a whole number away, where u holds c in (0, 1].

    log Gamma(u + 1) = log Gamma(u) + log u, which is differentiated for the others.
    """
    inner = form(expr.args[0])
    shift = ceil(inner.get(ONE, 0)) - 1
    if (len(inner) == 1 and ONE in inner) or abs(shift) > MOST_SHIFTS:
        return function(form, expr)
    add_to(base := dict(inner), constant(-shift))
    result = atom(expr.func(to_expr(base)))
    for step in range(min(shift, 0), max(shift, 0)):
        add_to(between := dict(base), constant(step))
        added = {
            fn.lgamma: lambda u: form.log(u),
            fn.digamma: lambda u: form.power(u, -1),
            fn.trigamma: lambda u: scale(form.power(u, -2), -1),
        }[expr.func](between)
        add_to(result, added, 1 if shift > 0 else -1)
    return result


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
    if isinstance(base, Integer) and not 0 < exponent < 1:
        whole = floor(exponent)
        rest = atom(base, exponent - whole) if exponent != whole else constant(1)
        return scale(rest, ratio(Fraction(int(base)) ** whole))
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
