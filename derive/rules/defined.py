"""Whether a shorter form is defined wherever the longer one is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sympy import Expr, Pow

from derive.functions import step
from derive.index import Choice, Condition, Delta, dangling, kinds, nodes, tensors, walk
from derive.normal import NormalForm, signs
from derive.rules.compare import compared
from derive.rules.spared import indicated


@lru_cache(maxsize=1 << 12)
def divisors(expr: Expr) -> frozenset[Expr]:
    """What the expression divides by, inside sums too, but for numbers."""
    return frozenset(
        node.base
        for node in walk(expr)
        if node.is_Pow and node.exp.is_negative and not node.base.is_number
    )


def keeps_domain(form: NormalForm, before: Expr, after: Expr) -> bool:
    """Whether `after` divides by nothing that may be 0 and that `before` did not divide by:
    |x|^(g - 1) sign(x) is not to become |x|^g / x, which is not defined at 0.  Nor may it divide
    where a choice kept `before` from it: y + (1/x if x > 0 else 0)."""
    if kinds(before) & {Choice, step} and divisors(after):
        bare = exposed(form, after) - exposed(form, before)
        bare &= divisors(before) | _asked(form, before)
        if not all(signs.positive_poly(form, form(base)) for base in bare):
            return False
    new = divisors(after) - divisors(before)
    if not new:
        return True
    known = frozenset[str]().union(*(_inputs(form, base) for base in divisors(before)))
    return all(
        _inputs(form, base) <= known or signs.positive_poly(form, form(base)) for base in new
    )


def exposed(form: NormalForm, expr: Expr) -> frozenset[Expr]:
    """What the expression divides by outside of choices that ask whether it is 0 there."""
    found: set[Expr] = set()

    def visit(node: Any, apart: frozenset[Expr]) -> None:
        if isinstance(node, Condition) or not any(kind is Pow for kind in kinds(node)):
            return
        if isinstance(node, Choice):
            condition, *values = node.args
            for holds, value in zip((True, False), values, strict=True):
                visit(value, apart | _not_zero(form, condition, holds))
            return
        for factor in node.args if node.is_Mul else ():
            condition = indicated(factor)
            apart |= frozenset() if condition is None else _not_zero(form, condition, True)
        if node.is_Pow and node.exp.is_negative and node.base not in apart:
            found.add(node.base)
        for arg in node.args:
            visit(arg, apart)

    visit(expr, frozenset())
    return frozenset(found)


def _asked(form: NormalForm, expr: Expr) -> frozenset[Expr]:
    """What choices and steps compare with 0."""
    choices = (n.meaning() if isinstance(n, step) else n for n in nodes(expr))
    conditions = (n.args[0] for n in choices if isinstance(n, Choice) and not dangling(n))
    facts = (compared(form, condition) for condition in conditions)
    return frozenset(fact[0] for fact in facts if fact is not None)


def _not_zero(form: NormalForm, condition: Condition, holds: bool) -> frozenset[Expr]:
    """What a condition says is not 0, where it holds or where it does not."""
    fact = compared(form, condition)
    if fact is None or isinstance(fact[0], Delta):
        return frozenset()
    return frozenset((fact[0],)) if (0 in fact[1]) != holds else frozenset()


def _inputs(form: NormalForm, expr: Expr) -> frozenset[str]:
    """The declared names that the value depends on."""
    names = {tensor.name for tensor in tensors(expr)}
    return frozenset().union(
        *(form.loss.below(n) if n in form.loss.defined else {n} for n in names)
    )
