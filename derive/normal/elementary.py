"""Powers, exponentials and logarithms of polynomials in normal form."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from sympy import Abs, E, Expr, exp, factorint, log

from derive import functions as fn
from derive.index import Product
from derive.normal import bits, conditions, signs, sums
from derive.normal.budget import LARGEST_EXPANSION
from derive.normal.poly import (
    ONE,
    Coefficient,
    Exponent,
    Mono,
    Poly,
    Undefined,
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
from derive.normal.squares import square_root

if TYPE_CHECKING:
    from derive.normal.form import NormalForm

ABSOLUTE = (fn.absolute, Abs)
LARGEST_POWER = 12


def any_power(form: NormalForm, expr: Expr) -> Poly:
    """u ** v."""
    exponent = form(expr.exp)
    if isinstance(expr.base, ABSOLUTE):
        return power_of_absolute(form, form(expr.base.args[0]), exponent)
    if not exponent or exponent.keys() == {ONE}:
        return form.power(form(expr.base), exponent.get(ONE, 0))
    return real_power(form, form(expr.base), exponent)


def any_log(form: NormalForm, expr: Expr) -> Poly:
    """log(u)."""
    inner = expr.args[0]
    if isinstance(inner, ABSOLUTE):
        return log_of_absolute(form, form(inner.args[0]))
    return form.log(form(inner))


def _expands(poly: Poly, exponent: Exponent) -> bool:
    """Whether a power is to be multiplied out: a small whole power of a short sum."""
    small = exponent == floor(exponent) and 0 <= exponent <= LARGEST_POWER
    return small and len(poly) > 1 and len(poly) ** exponent <= LARGEST_EXPANSION


def power(form: NormalForm, poly: Poly, exponent: Exponent) -> Poly:
    """poly ** exponent for a rational exponent."""
    if not poly:
        if exponent <= 0:
            raise Undefined
        return {}
    if _expands(poly, exponent):
        result = constant(1)
        for _ in range(int(exponent)):
            result = form.mul(result, poly)
        return result
    branches = bits.by_cases(form, poly, lambda part: power(form, part, exponent), exponent > 0)
    if branches is not None:
        return branches
    factor, shared, rest = form.content(poly)
    if exponent == floor(exponent):
        result = form.mul(_number_power(form, factor, exponent), _raised(rest, exponent))
        return form.mul(result, {raise_mono(shared, exponent): 1})
    number, sure, even, unsure = _by_sign(form, factor, shared, rest)
    root = square_root(unsure)
    raised = (
        power_of_absolute(form, root, constant(2 * exponent)) if root else _raised(unsure, exponent)
    )
    result = form.mul(_number_power(form, number, exponent), raised)
    result = form.mul(result, {raise_mono(sure, exponent): 1})
    for base, times in even:
        result = form.mul(result, absolute_power(form, base, times * exponent))
    return result


def _raised(poly: Poly, exponent: Exponent) -> Poly:
    """An atom, or a primitive polynomial as one, to a power."""
    if poly == constant(1):
        return poly
    if len(poly) == 1:
        (mono, value), *_ = poly.items()
        if value == 1 and len(mono) == 1 and next(iter(mono))[1] == 1:
            return atom(next(iter(mono))[0], exponent)
    return atom(to_expr(poly), exponent)


def _by_sign(
    form: NormalForm, factor: Coefficient, shared: Mono, rest: Poly
) -> tuple[Coefficient, Mono, list[tuple[Expr, Exponent]], Poly]:
    """Split factor * shared * rest into a positive number, atoms known to be >= 0, atoms of
    unknown sign to an even power, and all else with its sign, which must not be taken apart."""
    sure = frozenset(item for item in shared if signs.nonnegative_atom(form, item[0]))
    even = sorted(
        (item for item in shared - sure if item[1] % 2 == 0),
        key=lambda item: mono_key(frozenset((item,))),
    )
    keep = shared - sure - frozenset(even)
    sign = 1 if factor > 0 else -1
    return sign * factor, sure, even, {join(mono, keep): sign * v for mono, v in rest.items()}


def absolute_power(form: NormalForm, base: Expr, exponent: Exponent) -> Poly:
    """|base| ** exponent: whole powers by the base and its sign, the rest as an atom."""
    whole = floor(exponent)
    result = form.power(form(base), whole)
    if whole % 2:
        result = form.mul(result, conditions.direction(form, form(base)))
    if exponent != whole:
        result = form.mul(result, atom(fn.absolute(base), exponent - whole))
    return result


def power_of_absolute(form: NormalForm, poly: Poly, exponent: Poly) -> Poly:
    """|poly| ** exponent, factor by factor."""
    if not poly:
        return real_power(form, poly, exponent)
    rational = exponent.get(ONE, 0)
    symbolic = {mono: value for mono, value in exponent.items() if mono != ONE}
    number, sure, loose = _absolute_parts(form, poly)
    result = real_power(form, {sure: number}, exponent)
    for base, times in loose:
        result = form.mul(result, absolute_power(form, base, times * rational))
        for mono, value in symbolic.items():
            part = fn.absolute(base) ** mono_expr(mono)
            result = form.mul(result, atom(part, value * times))
    return result


def log_of_absolute(form: NormalForm, poly: Poly) -> Poly:
    """log |poly|, factor by factor."""
    if not poly:
        raise Undefined
    number, sure, loose = _absolute_parts(form, poly)
    result = logarithm(form, {sure: number})
    for base, times in loose:
        add_to(result, atom(log(fn.absolute(base))), times)
    return result


def _absolute_parts(
    form: NormalForm, poly: Poly
) -> tuple[Coefficient, Mono, list[tuple[Expr, Exponent]]]:
    """|poly| as a positive number, atoms known to be >= 0, and others whose sign is dropped."""
    factor, shared, rest = form.content(poly)
    items = sorted(shared, key=lambda item: mono_key(frozenset((item,))))
    if rest != constant(1):
        below = signs.nonnegative_poly(form, scale(rest, -1))
        items.append((to_expr(scale(rest, -1) if below else rest), 1))
    sure = frozenset(item for item in items if signs.nonnegative_atom(form, item[0]))
    loose = [item for item in items if item not in sure]
    return factor if factor > 0 else -factor, sure, loose


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
    branches = bits.by_cases(form, poly, lambda part: exponential(form, part))
    if branches is not None:
        return branches
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
    grows = signs.positive_poly(form, exponent)
    if not base:
        if not grows:
            raise Undefined
        return {}
    branches = bits.by_cases(form, base, lambda part: real_power(form, part, exponent), grows)
    if branches is not None:
        return branches
    exponent = dict(exponent)
    result = form.power(base, exponent.pop(ONE, 0))
    if not exponent:
        return result
    factor, shared, rest = form.content(base)
    number, sure, even, unsure = _by_sign(form, factor, shared, rest)
    parts = sorted(sure, key=lambda item: mono_key(frozenset((item,))))
    parts += [(fn.absolute(part), times) for part, times in even]
    parts += [(part, 1) for part in (to_expr(unsure), to_expr(constant(number))) if part != 1]
    for part, times in parts:
        for mono, value in exponent.items():
            if isinstance(part, exp):
                inner = form.mul(form(part.args[0]), {mono: value * times})
                result = form.mul(result, exponential(form, inner))
            elif part == E:
                result = form.mul(result, atom(exp(mono_expr(mono)), value * times))
            elif part.is_Pow:
                inner = form.mul(form(part.exp), {mono: value * times})
                result = form.mul(result, real_power(form, form(part.base), inner))
            else:
                result = form.mul(result, atom(part ** mono_expr(mono), value * times))
    return result


def logarithm(form: NormalForm, poly: Poly) -> Poly:
    """log of a polynomial: of its content and its primitive part, where signs allow."""
    branches = bits.by_cases(form, poly, lambda part: logarithm(form, part))
    if branches is not None:
        return branches
    if not poly:
        raise Undefined
    factor, shared, rest = form.content(poly)
    if factor < 0:
        factor, rest = -factor, scale(rest, -1)
    items = sorted(shared, key=lambda i: mono_key(frozenset((i,))))
    unsure = [item for item in items if not signs.nonnegative(form, item)]
    primitive_sure = len(rest) == 1 or signs.nonnegative_poly(form, rest)
    if rest == constant(-1) or len(unsure) + (not primitive_sure) > 1:
        keep: Mono = frozenset(unsure)
        rest = {join(mono, keep): value for mono, value in rest.items()}
        items = [item for item in items if item not in unsure]
    result: Poly = {}
    for part, sign_ in ((factor.numerator, 1), (factor.denominator, -1)):
        for prime, times in factorint(part, limit=10**4).items():
            if prime != 1:
                add_to(result, atom(log(to_expr(constant(prime)))), sign_ * times)
    for base, power in items:
        known = base if power % 2 else _size(form, base)
        add_to(result, _log_atom(form, known), power)
    root = square_root(rest)
    if root:
        add_to(result, log_of_absolute(form, root), 2)
    elif rest != constant(1):
        add_to(result, atom(log(to_expr(rest))))
    return result


def _size(form: NormalForm, base: Expr) -> Expr:
    """|base|, without the bars where the sign is known."""
    if signs.nonnegative_atom(form, base):
        return base
    other = scale(form(base), -1) if base.is_Add else {}
    return to_expr(other) if other and signs.nonnegative_poly(form, other) else fn.absolute(base)


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
