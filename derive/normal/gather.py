"""One sum for many: what stands before a sum goes into it, and what cancels there is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import Expr

from derive.index import TRUE, Axis, Index, Total, free_indices, walk
from derive.index.binders import SCOPED
from derive.normal import sums
from derive.normal.poly import Exponent, Mono, Poly, add_to, raise_mono

if TYPE_CHECKING:
    from derive.normal.form import NormalForm

# Deeper than any index that `scoped` opens.
OUTER = SCOPED << 1


def gathered(form: NormalForm, poly: Poly) -> Poly:
    """The polynomial with all its terms that hold one sum over an axis written as one sum."""
    rest: Poly = {}
    bodies: dict[Axis, Poly] = {}
    for mono, value in poly.items():
        total = _only_total(mono)
        if total is None:
            add_to(rest, {mono: value})
            continue
        bound, body, _ = total.args
        index = Index("", bound.axis, OUTER)
        inner = form.mul({mono - {(total, 1)}: value}, form(body.xreplace({bound: index})))
        add_to(bodies.setdefault(bound.axis, {}), inner)
    for axis, body in sorted(bodies.items(), key=lambda item: str(item[0])):
        index = Index("", axis, OUTER)
        under = _denominator(body, index)
        whole = sums.total_poly(form, index, form.mul({raise_mono(under, -1): 1}, body), TRUE)
        add_to(rest, form.mul({under: 1}, whole))
    return rest


def _denominator(body: Poly, index: Index) -> Mono:
    """The lowest power of each atom that is inverted somewhere and free of the index."""
    least: dict[Expr, Exponent] = {}
    for mono in body:
        for base, power in mono:
            if power < 0 and index not in free_indices(base):
                least[base] = min(power, least.get(base, 0))
    return frozenset(least.items())


def _only_total(mono: Mono) -> Expr | None:
    """The sum that is a factor; of several, the one with a quotient inside."""
    found = [
        base
        for base, power in mono
        if isinstance(base, Total) and power == 1 and base.args[2] == TRUE
    ]
    if len(found) > 1:
        found = [base for base in found if _divides(base.args[1])]
    return found[0] if len(found) == 1 else None


def _divides(body: Expr) -> bool:
    return any(node.is_Pow and node.base.is_Add and node.exp.is_negative for node in walk(body))
