"""A choice in place of a factor 1 or 0 beside what may have no value where it is 0.

[u > 0] u^(g - 1) is 0 where u is 0, in the language: what is 0 hides what it multiplies.  A
program that multiplies has 0 times infinity there, and 0 times a root of a negative number; one
that chooses has 0.
"""

from __future__ import annotations

from typing import Any

from sympy import Expr, Mul, Pow, S, log

from derive.derivation import Rule
from derive.functions import step
from derive.index import Choice, Condition, Delta, dangling, kinds, nodes, rebuild
from derive.loss import Loss
from derive.normal import NormalForm, Undecided
from derive.rules.compare import EVERY, compared, difference, where
from derive.rules.known import shallow
from derive.rules.registry import register
from derive.rules.spared import indicated

PARTIAL = frozenset((Pow, log))
ABOVE = frozenset((1,))


def chosen(expr: Expr, loss: Loss) -> Expr:
    """Every product with such a factor as a choice."""
    if not kinds(expr) & {step, Choice} or not kinds(expr) & PARTIAL:
        return expr
    form = shallow(loss)

    def visit(node: Any) -> Any:
        if isinstance(node, Condition) or not kinds(node) & {step, Choice}:
            return node
        node = rebuild(node, visit)
        return _chosen(node, form) if node.is_Mul else node

    try:
        found: Expr = visit(expr)
    except Undecided:
        return expr
    return found


def _chosen(product: Expr, form: NormalForm) -> Expr:
    for factor in product.args:
        condition = indicated(factor)
        others = [other for other in product.args if other is not factor]
        if condition is not None and any(_may_lack(o, condition, form) for o in others):
            return Choice(condition, _chosen(Mul(*others), form), S.Zero)
    return product


def _may_lack(factor: Expr, condition: Condition, form: NormalForm) -> bool:
    """Whether a factor may have no value where a condition does not hold: it has a root, a
    logarithm or a reciprocal of what is 0 or negative there."""
    fact = compared(form, condition)
    if fact is None or isinstance(fact[0], Delta):
        return False
    key, fails = fact[0], EVERY - fact[1]
    for node in nodes(factor):
        whole = isinstance(node, Pow) and node.exp.is_Integer and node.exp.is_positive
        if isinstance(node, Pow | log) and not whole and not dangling(node):
            there = where(form, node.args[0], (key, fails))
            above = None if there == 0 else difference(form, there, S.Zero, ABOVE)
            if there == 0 or (above is not None and above[0] == key and fails - above[1]):
                return True
    return False


masked = register(
    Rule(
        "choice for a factor",
        "where the factor is 0, what it multiplies need have no value",
        chosen,
    )
)
