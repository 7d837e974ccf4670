"""Sines and cosines by the addition theorems, where that is shorter: cos(m + u) sin(u) -
sin(m + u) cos(u) is -sin(m), sin(2 u)/sin(u) is 2 cos(u), and 1 - cos(u)^2 is sin(u)^2."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sympy import Expr, Mul, cos, sin

from derive.derivation import Rule
from derive.index import Binder, Choice, Condition, Diff, Partial, kinds, rebuild
from derive.loss import Loss
from derive.normal import NormalForm, Undecided
from derive.normal.poly import ONE, Poly, add_to, join, mono_expr, number, to_expr
from derive.rules.known import near, shallow
from derive.rules.registry import register
from derive.rules.shorten import factored, shortness

CIRCULAR = frozenset((sin, cos))
APART = frozenset((Binder, Choice, Condition, Diff, Partial))


def by_addition(expr: Expr, loss: Loss) -> Expr:
    """The expression with the sines and cosines of its products and sums taken together."""
    forms = near(loss, frozenset(loss.defined)), shallow(loss)

    def visit(node: Any) -> Any:
        if isinstance(node, Condition) or not kinds(node) & CIRCULAR:
            return node
        if not node.is_Add and not node.is_Mul:
            return rebuild(node, visit)
        plain = [arg for arg in node.args if _is_plain(arg)]
        rest = [visit(arg) for arg in node.args if not _is_plain(arg)]
        return node.func(_together(*forms, node.func(*plain)), *rest)

    found: Expr = visit(expr)
    return found


def _is_plain(node: Expr) -> bool:
    return not any(issubclass(kind, tuple(APART)) for kind in kinds(node))


@lru_cache(maxsize=1 << 12)
def _together(form: NormalForm, whole: NormalForm, expr: Expr) -> Expr:
    if not kinds(expr) & CIRCULAR:
        return expr
    try:
        return min((expr, *_spellings(form, expr), *_squares(whole, expr)), key=shortness)
    except Undecided:
        return expr


def _spellings(form: NormalForm, expr: Expr) -> Iterator[Expr]:
    """With the angles taken apart, over one denominator; then with sines for cosines squared."""
    if not (poly := form(expr)):
        yield to_expr(poly)
        return
    factor, shared, rest = form.content(poly)
    above = form(to_expr(rest))
    for each in (above, _in_squares(above, cos, sin)):
        yield Mul(number(factor), mono_expr(shared), factored(each))


def _squares(form: NormalForm, expr: Expr) -> Iterator[Expr]:
    """With squares of sines for those of cosines or the other way, each angle as a whole."""
    poly = form(expr)
    for one, other in ((cos, sin), (sin, cos)):
        if any(isinstance(base, one) and power >= 2 for mono in poly for base, power in mono):
            yield factored(_in_squares(poly, one, other))


def _in_squares(poly: Poly, one: type[Expr], other: type[Expr]) -> Poly:
    """The polynomial with one^2 = 1 - other^2 put in, for the sine and the cosine of an angle."""
    result: Poly = {}
    for mono, value in poly.items():
        even = [(base, power // 2 * 2) for base, power in mono if isinstance(base, one)]
        terms: Poly = {join(mono, frozenset((base, -power) for base, power in even)): value}
        for base, power in even:
            for _ in range(int(power) // 2):
                square: Poly = {ONE: 1, frozenset(((other(base.args[0]), 2),)): -1}
                terms = _product(terms, square)
        add_to(result, terms)
    return result


def _product(left: Poly, right: Poly) -> Poly:
    result: Poly = {}
    for mono, value in left.items():
        for other, factor in right.items():
            add_to(result, {join(mono, other): value * factor})
    return result


addition = register(
    Rule(
        "addition theorem",
        "the sines and cosines of sums and multiples of angles, taken together",
        by_addition,
    )
)
