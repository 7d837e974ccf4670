"""A choice of 1 or 0 beside other factors: it tells them where they matter, so that
[u > 0] (v + [u > 0]) is [u > 0] (v + 1), and one that is 0 there anyway needs no choice:
[u > 0] max(0, u) is max(0, u)."""

from __future__ import annotations

from typing import Any

from sympy import Expr, Mul, Pow, S

from derive.functions import step
from derive.index import (
    Binder,
    Choice,
    Condition,
    Delta,
    Entry,
    dangling,
    kinds,
    nodes,
    rebuild,
    substitute,
)
from derive.normal import NormalForm
from derive.normal.signs import nonnegative_poly
from derive.rules.compare import compared, negated, where


def spared(expr: Expr, form: NormalForm) -> Expr:
    """The products outside of sums without the choices that another factor makes needless."""

    def visit(node: Any) -> Any:
        if isinstance(node, Condition | Binder) or not kinds(node) & {step, Choice}:
            return node
        node = rebuild(node, visit)
        return _without_choices(_told(node, form), form) if node.is_Mul else node

    found: Expr = visit(expr)
    return found


def _told(product: Expr, form: NormalForm) -> Expr:
    """The sums among the factors as they are where the choices beside them are not 0."""
    factors = list(map(_once, Mul.make_args(product)))
    for place, factor in enumerate(factors):
        condition = indicated(factor)
        fact = compared(form, condition) if condition is not None else None
        if fact is None or isinstance(fact[0], Delta):
            continue
        for other, beside in enumerate(factors):
            if beside.is_Add and other != place and kinds(beside) & {step, Choice}:
                factors[other] = where(form, beside, fact)
    return Mul(*factors)


def _once(factor: Expr) -> Expr:
    """A power of a choice of 1 or 0 is that choice."""
    if factor.is_Pow and factor.exp.is_positive and indicated(factor.base) is not None:
        return factor.base
    return factor


def _without_choices(product: Expr, form: NormalForm) -> Expr:
    factors = list(Mul.make_args(product))
    for factor in Mul.make_args(product):
        condition = indicated(factor)
        others = [other for other in factors if other is not factor]
        plain = Mul(*(other for other in others if indicated(other) is None))
        if condition is not None and _vanishes(plain, condition, form):
            factors = others
    return Mul(*factors)


def indicated(factor: Expr) -> Condition | None:
    """c, of a factor `1 if c else 0` or `0 if not c else 1`."""
    choice = factor.meaning() if isinstance(factor, step) else factor
    if isinstance(choice, Choice) and choice.args[1:] == (1, 0):
        return choice.args[0]
    if isinstance(choice, Choice) and choice.args[1:] == (0, 1):
        return negated(choice.args[0])
    return None


def _vanishes(product: Expr, condition: Condition, form: NormalForm) -> bool:
    """Whether a product is 0, and not 0/0, wherever the condition does not hold."""
    fact = compared(form, condition)
    if fact is None:
        return False
    key, signs = fact
    every = frozenset((0, 1) if isinstance(key, Delta) else (-1, 0, 1))
    if where(form, product, (key, every - signs)) == 0:
        return True
    # What is never negative is 0 where it is not positive.
    only_zero = isinstance(key, Entry) and signs == {1} and nonnegative_poly(form, form(key))
    return (
        only_zero and substitute(product, {key: S.Zero}) == 0 and not _divides(product, key, form)
    )


def _divides(product: Expr, key: Expr, form: NormalForm) -> bool:
    """Whether it has a power of what is 0 where the key is, by an exponent that may be below 0."""
    powers = (node for node in nodes(product) if isinstance(node, Pow) and key in nodes(node.base))
    return any(
        substitute(power.base, {key: S.Zero}) == 0 and not nonnegative_poly(form, form(power.exp))
        for power in powers
        if not dangling(power)
    )
