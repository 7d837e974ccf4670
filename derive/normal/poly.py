"""Polynomials with rational exponents over atoms: the data of the normal form.

An atom is a SymPy expression (an entry, exp of a monomial, log, a sum over an axis, a
primitive polynomial, ...).  A monomial maps atoms to rational exponents; a polynomial maps
monomials to non-zero rational coefficients.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from math import gcd, lcm

from sympy import Add, Expr, Integer, Mul, Pow, Rational

from derive.errors import PminusyError
from derive.index import order

Exponent = Fraction | int
Factor = tuple[Expr, Exponent]
Mono = frozenset[Factor]
Coefficient = Fraction | int
Poly = dict[Mono, Coefficient]

ONE: Mono = frozenset()


class Undecided(PminusyError):
    """The normal form would grow beyond its limits."""

    def __init__(self) -> None:
        super().__init__(
            "an expression is too long to be brought into normal form: "
            "give parts of it names of their own, or ask for less at once"
        )


class Undefined(Undecided):
    """A value that does not exist: a division by 0, or the logarithm of 0."""


def ratio(above: Coefficient, below: Coefficient = 1) -> Coefficient:
    """An exact quotient, as a plain integer where it is one: integers are the fast case."""
    if isinstance(above, int) and isinstance(below, int) and below and above % below == 0:
        return above // below
    value = Fraction(above) / Fraction(below)
    return value.numerator if value.denominator == 1 else value


def constant(value: Coefficient) -> Poly:
    """The polynomial that is a number."""
    return {ONE: value} if value else {}


def atom(expr: Expr, exponent: Exponent = 1) -> Poly:
    """One atom to a power."""
    return {frozenset(((expr, exponent),)) if exponent else ONE: 1}


def add_to(target: Poly, other: Poly, factor: Coefficient = 1) -> None:
    """target += factor * other, in place."""
    for mono, coefficient in other.items():
        value = target.get(mono, 0) + factor * coefficient
        if value:
            target[mono] = value
        else:
            target.pop(mono, None)


def scale(poly: Poly, factor: Coefficient) -> Poly:
    return {mono: coefficient * factor for mono, coefficient in poly.items()} if factor else {}


def join(left: Mono, right: Mono) -> Mono:
    """The product of two monomials, exponents added."""
    if not left:
        return right
    if not right:
        return left
    powers = dict(left)
    for base, exponent in right:
        powers[base] = powers.get(base, 0) + exponent
    return frozenset(item for item in powers.items() if item[1])


def raise_mono(mono: Mono, exponent: Exponent) -> Mono:
    return frozenset((base, power * exponent) for base, power in mono)


def number(value: Coefficient) -> Expr:
    """An exact SymPy number."""
    if isinstance(value, int):
        return Integer(value)
    return Rational(value.numerator, value.denominator)


def mono_expr(mono: Mono) -> Expr:
    """A monomial as a SymPy product."""
    return Mul(*(Pow(base, number(exponent)) for base, exponent in mono))


def to_expr(poly: Poly) -> Expr:
    """A polynomial as a SymPy sum."""
    return Add(*(Mul(number(value), mono_expr(mono)) for mono, value in poly.items()))


def as_poly(expr: Expr) -> Poly:
    """A SymPy sum of products as a polynomial in its factors, nothing multiplied out."""
    result: Poly = {}
    for term in Add.make_args(expr):
        value, rest = term.as_coeff_Mul()
        mono = ONE
        for factor in Mul.make_args(rest):
            base, power = factor.as_base_exp() if factor.is_Pow else (factor, Integer(1))
            if power.is_Rational:
                mono = join(mono, frozenset(((base, ratio(power.p, power.q)),)))
            else:
                mono = join(mono, frozenset(((factor, 1),)))
        add_to(result, {mono - {(Integer(1), 1)}: ratio(value.p, value.q)})
    return result


def mono_key(mono: Mono) -> tuple[object, ...]:
    """A total order on monomials: by degree, then by atoms; independent of any hash."""
    items = sorted((order(base), exponent) for base, exponent in mono)
    return (sum(exponent for _, exponent in items), items)


def ordered(mono: Collection[Factor]) -> list[Factor]:
    """The factors in an order that is the same on every run."""
    if len(mono) < 2:
        return list(mono)
    return sorted(mono, key=lambda item: (order(item[0]), item[1]))


def content(poly: Poly) -> tuple[Coefficient, Mono, Poly]:
    """Split c * m * primitive: m the largest common monomial, c so that the primitive part
    has coprime integer coefficients and a positive leading one."""
    monos = iter(poly)
    common = dict(next(monos))
    for mono in monos:
        powers = dict(mono)
        for base in [*common, *(b for b in powers if b not in common)]:
            least = min(common.get(base, 0), powers.get(base, 0))
            if least:
                common[base] = least
            else:
                common.pop(base, None)
    shared: Mono = frozenset(common.items())
    inverse = raise_mono(shared, -1)
    values = poly.values()
    factor = ratio(
        gcd(*(value.numerator for value in values)), lcm(*(value.denominator for value in values))
    )
    rest = {join(mono, inverse): ratio(value, factor) for mono, value in poly.items()}
    if rest[max(rest, key=mono_key)] < 0:
        factor, rest = -factor, scale(rest, -1)
    return factor, shared, rest
