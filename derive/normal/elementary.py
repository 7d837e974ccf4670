"""Powers, exponentials and logarithms of polynomials in normal form."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from sympy import E, Expr, exp, factorint, log

from derive.index import Product
from derive.normal import signs, sums
from derive.normal.poly import (
    ONE,
    Coefficient,
    Exponent,
    Mono,
    Poly,
    add_to,
    atom,
    constant,
    join,
    mono_expr,
    mono_key,
    raise_mono,
    ratio,
    scale,
    to_expr,
)

if TYPE_CHECKING:
    from derive.normal.form import NormalForm

LARGEST_POWER = 12
LARGEST_EXPANSION = 4000


def _expands(poly: Poly, exponent: Exponent) -> bool:
    """Whether a power is to be multiplied out: a small whole power of a short sum."""
    small = exponent == floor(exponent) and 0 <= exponent <= LARGEST_POWER
    return small and len(poly) > 1 and len(poly) ** exponent <= LARGEST_EXPANSION


def power(form: NormalForm, poly: Poly, exponent: Exponent) -> Poly:
    """poly ** exponent for a rational exponent."""
    if not poly:
        return {} if exponent > 0 else atom(to_expr(poly) ** exponent)
    if _expands(poly, exponent):
        result = constant(1)
        for _ in range(int(exponent)):
            result = form.mul(result, poly)
        return result
    factor, shared, rest = form.content(poly)
    whole = exponent == floor(exponent)
    keep: Mono = ONE
    if not whole:
        keep = frozenset(item for item in shared if not signs.nonnegative(form, item))
        shared = shared - keep
        if factor < 0:
            factor, rest = -factor, scale(rest, -1)
    inner = {join(mono, keep): value for mono, value in rest.items()}
    result = _number_power(form, factor, exponent)
    result = form.mul(result, {raise_mono(shared, exponent): 1})
    if inner != constant(1):
        base = to_expr(inner)
        single = len(inner) == 1 and len(keep) == 1 and next(iter(keep))[1] == 1
        result = form.mul(result, atom(next(iter(keep))[0] if single else base, exponent))
    return result


def _number_power(form: NormalForm, factor: Coefficient, exponent: Exponent) -> Poly:
    if exponent == floor(exponent):
        return constant(ratio(Fraction(factor) ** int(exponent)))
    powers: dict[Expr, Exponent] = {}
    for part, direction in ((factor.numerator, 1), (factor.denominator, -1)):
        for prime, times in factorint(part, limit=10**4).items():
            powers[to_expr(constant(prime))] = times * direction * exponent
    result = constant(1)
    for prime, power in powers.items():
        whole = floor(power)
        result = scale(result, ratio(Fraction(int(prime)) ** whole))
        if power != whole:
            result = form.mul(result, atom(prime, power - whole))
    return result


def exponential(form: NormalForm, poly: Poly) -> Poly:
    """exp of a polynomial: a product of one atom for each of its terms."""
    result = constant(1)
    for mono, value in poly.items():
        logs = [base for base, power in mono if isinstance(base, log) and power == 1]
        if len(logs) == 1:
            others = mono - {(logs[0], 1)}
            result = form.mul(result, real_power(form, form(logs[0].args[0]), {others: value}))
        elif mono == ONE:
            result = form.mul(result, atom(E, value))
        else:
            result = form.mul(result, atom(exp(mono_expr(mono)), value))
    return result


def real_power(form: NormalForm, base: Poly, exponent: Poly) -> Poly:
    """base ** exponent for a positive base and any exponent."""
    if not base:
        return {}
    exponent = dict(exponent)
    result = form.power(base, exponent.pop(ONE, 0))
    if not exponent:
        return result
    factor, shared, rest = form.content(base)
    parts: list[tuple[Expr, Exponent]] = sorted(shared, key=lambda i: mono_key(frozenset((i,))))
    if rest != constant(1):
        parts.append((to_expr(rest), 1))
    if factor != 1:
        parts.append((to_expr(constant(factor)), 1))
    for part, times in parts:
        for mono, value in exponent.items():
            if isinstance(part, exp):
                inner = form.mul(form(part.args[0]), {mono: value * times})
                result = form.mul(result, exponential(form, inner))
            elif part == E:
                result = form.mul(result, atom(exp(mono_expr(mono)), value * times))
            else:
                result = form.mul(result, atom(part ** mono_expr(mono), value * times))
    return result


def logarithm(form: NormalForm, poly: Poly) -> Poly:
    """log of a polynomial: of its content and its primitive part, where signs allow."""
    factor, shared, rest = form.content(poly) if poly else (0, ONE, {})
    if factor < 0:
        factor, rest = -factor, scale(rest, -1)
    items = sorted(shared, key=lambda i: mono_key(frozenset((i,))))
    unsure = [item for item in items if not signs.nonnegative(form, item)]
    primitive_sure = len(rest) == 1 or signs.nonnegative_poly(form, rest)
    if rest == constant(-1) or len(unsure) + (not primitive_sure) > 1:
        keep: Mono = frozenset(unsure)
        rest = {join(mono, keep): value for mono, value in rest.items()}
        items = [item for item in items if item not in unsure]
    elif len(unsure) == 1 and unsure[0][1] % 2 == 0:
        rest = {join(mono, frozenset(unsure)): value for mono, value in rest.items()}
        items = [item for item in items if item not in unsure]
    result: Poly = {}
    for part, sign_ in ((factor.numerator, 1), (factor.denominator, -1)):
        for prime, times in factorint(part, limit=10**4).items():
            if prime != 1:
                add_to(result, atom(log(to_expr(constant(prime)))), sign_ * times)
    for base, power in items:
        add_to(result, _log_atom(form, base), power)
    if rest != constant(1):
        add_to(result, atom(log(to_expr(rest))))
    return result


def _log_atom(form: NormalForm, base: Expr) -> Poly:
    if isinstance(base, exp):
        return form(base.args[0])
    if base == E:
        return constant(1)
    if base.is_Pow:
        return form.mul(form(base.exp), logarithm(form, form(base.base)))
    if isinstance(base, Product):
        index, body, guard = base.open()
        return sums.total_poly(form, index, logarithm(form, form(body)), guard)
    return atom(log(base))
