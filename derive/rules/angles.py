"""Sines and cosines by the addition theorems, where that is shorter: cos(m + u) sin(u) -
sin(m + u) cos(u) is -sin(m), and sin(2 u)/sin(u) is 2 cos(u)."""

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
from derive.rules.known import near
from derive.rules.registry import register
from derive.rules.shorten import factored, shortness

CIRCULAR = frozenset((sin, cos))
APART = frozenset((Binder, Choice, Condition, Diff, Partial))


def by_addition(expr: Expr, loss: Loss) -> Expr:
    """The expression with the sines and cosines of its products and sums taken together."""
    form = near(loss, frozenset(loss.defined))

    def visit(node: Any) -> Any:
        if isinstance(node, Condition) or not kinds(node) & CIRCULAR:
            return node
        if not node.is_Add and not node.is_Mul:
            return rebuild(node, visit)
        plain = [arg for arg in node.args if _is_plain(arg)]
        rest = [visit(arg) for arg in node.args if not _is_plain(arg)]
        return node.func(_together(form, node.func(*plain)), *rest)

    found: Expr = visit(expr)
    return found


def _is_plain(node: Expr) -> bool:
    return not any(issubclass(kind, tuple(APART)) for kind in kinds(node))


@lru_cache(maxsize=1 << 12)
def _together(form: NormalForm, expr: Expr) -> Expr:
    if not kinds(expr) & CIRCULAR:
        return expr
    try:
        return min((expr, *_spellings(form, expr)), key=shortness)
    except Undecided:
        return expr


def _spellings(form: NormalForm, expr: Expr) -> Iterator[Expr]:
    """With the angles taken apart, over one denominator; then with sines for cosines squared."""
    if not (poly := form(expr)):
        yield to_expr(poly)
        return
    factor, shared, rest = form.content(poly)
    above = form(to_expr(rest))
    for each in (above, _in_sines(form, above)):
        yield Mul(number(factor), mono_expr(shared), factored(each))


def _in_sines(form: NormalForm, poly: Poly) -> Poly:
    """The polynomial with cos^2 = 1 - sin^2 put in, where the normal form has it the other way."""
    result: Poly = {}
    for mono, value in poly.items():
        even = [(base, power // 2 * 2) for base, power in mono if isinstance(base, cos)]
        terms: Poly = {join(mono, frozenset((base, -power) for base, power in even)): value}
        for base, power in even:
            for _ in range(int(power) // 2):
                square: Poly = {ONE: 1, frozenset(((sin(base.args[0]), 2),)): -1}
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
