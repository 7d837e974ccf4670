"""Whether a shorter form is defined wherever the longer one is."""

from __future__ import annotations

from functools import lru_cache

from sympy import Expr

from derive.index import tensors, walk
from derive.normal import NormalForm, signs


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
    |x|^(g - 1) sign(x) is not to become |x|^g / x, which is not defined at 0."""
    new = divisors(after) - divisors(before)
    if not new:
        return True
    known = frozenset[str]().union(*(_inputs(form, base) for base in divisors(before)))
    return all(
        _inputs(form, base) <= known or signs.positive_poly(form, form(base)) for base in new
    )


def _inputs(form: NormalForm, expr: Expr) -> frozenset[str]:
    """The declared names that the value depends on."""
    names = {tensor.name for tensor in tensors(expr)}
    return frozenset().union(
        *(form.loss.below(n) if n in form.loss.defined else {n} for n in names)
    )
