"""Sines and cosines of sums of angles, taken apart to those of single angles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sympy import Expr, Integer, acos, asin, cos, pi, sin, sqrt

from derive.normal.poly import (
    ONE,
    Factor,
    Mono,
    Poly,
    add_to,
    atom,
    constant,
    join,
    mono_expr,
    number,
    scale,
    to_expr,
)

if TYPE_CHECKING:
    from derive.normal.form import NormalForm

LARGEST_MULTIPLE = 6
MOST_ANGLES = 3


def circular(form: NormalForm, expr: Any) -> Poly:
    """sin or cos of an angle; of sums and small multiples by the addition theorems."""
    angle = form(expr.args[0])
    parts = [
        (mono_expr(mono) * number(value) / value.numerator, value.numerator)
        for mono, value in angle.items()
        if mono != ONE
    ]
    if ONE in angle:
        parts.append((number(angle[ONE]), 1))
    if len(parts) > MOST_ANGLES or any(abs(times) > LARGEST_MULTIPLE for _, times in parts):
        return _single(form, expr.func(to_expr(angle)))
    sine, cosine = constant(0), constant(1)
    for part, times in sorted(parts, key=lambda item: str(item[0])):
        one = _single(form, sin(part)), _single(form, cos(part))
        if times < 0:
            one = scale(one[0], -1), one[1]
        for _ in range(abs(times)):
            sine, cosine = _sum(form, (sine, cosine), one)
    return sine if isinstance(expr, sin) else cosine


def above_sines(form: NormalForm, mono: Mono, peculiar: Sequence[Factor]) -> Poly | None:
    """cos^2 = 1 - sin^2 over a power of the sine of that angle, so that what divides is divided;
    None where there is nothing of the kind.  The sines are among the `peculiar` factors."""
    for base, power in peculiar:
        if not isinstance(base, sin) or power >= 0:
            continue
        cosine = cos(base.args[0])
        times = dict(mono).get(cosine, 0)
        if times >= 2:
            rest = join(mono, frozenset(((cosine, -2),)))
            result: Poly = {}
            form.add_mono(result, rest, 1)
            form.add_mono(result, join(rest, frozenset(((base, 2),))), -1)
            return result
    return None


def within(poly: Poly) -> Expr | None:
    """A v with v > 0 where c acos(u) - t > 0, or c asin(u) - t > 0, for a number t inside the
    range of the function; None for all else."""
    factors = {to_expr({mono: 1}): value for mono, value in poly.items() if mono != ONE}
    inverse = next((base for base in factors if isinstance(base, asin | acos)), None)
    if inverse is None:
        return None
    factor = factors[inverse]
    rest = {mono: value for mono, value in poly.items() if to_expr({mono: 1}) != inverse}
    edge = -to_expr(rest) / number(factor)
    middle = pi / 2 if isinstance(inverse, acos) else Integer(0)
    if not edge.is_number or not abs(edge - middle) < pi / 2:
        return None
    inner = inverse.args[0]
    gap: Expr = cos(edge) - inner if isinstance(inverse, acos) else inner - sin(edge)
    return gap if factor > 0 else -gap


def _sum(form: NormalForm, left: tuple[Poly, Poly], right: tuple[Poly, Poly]) -> tuple[Poly, Poly]:
    """sin and cos of u + v, from those of u and of v."""
    sine = form.mul(left[0], right[1])
    add_to(sine, form.mul(left[1], right[0]))
    cosine = form.mul(left[1], right[1])
    add_to(cosine, form.mul(left[0], right[0]), -1)
    return sine, cosine


def _single(form: NormalForm, expr: Expr) -> Poly:
    """sin or cos of one angle, which may be an inverse function or a multiple of pi."""
    if not isinstance(expr, sin | cos):
        return form(expr)
    angle = expr.args[0]
    if isinstance(angle, asin | acos):
        inner = angle.args[0]
        return form(
            inner if isinstance(angle, asin) == isinstance(expr, sin) else sqrt(1 - inner**2)
        )
    return atom(expr)
