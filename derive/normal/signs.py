"""What is known of signs: enough to take logs and roots apart without changing a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import E, Expr, exp

from derive.index import Axis, Choice, Delta, Entry, Product, Share, Total, scoped
from derive.normal.poly import Exponent, Poly

if TYPE_CHECKING:
    from derive.normal.form import NormalForm


def on_simplex(form: NormalForm, entry: Expr) -> bool:
    """Whether an atom is an entry of a tensor declared `in simplex`."""
    if not isinstance(entry, Entry):
        return False
    declaration = form.loss.declared.get(entry.tensor.name)
    return declaration is not None and declaration.domain.kind == "simplex"


def nonnegative(form: NormalForm, item: tuple[Expr, Exponent]) -> bool:
    """Whether an atom to a power is known to be >= 0 wherever it is defined."""
    base, power = item
    return power % 2 == 0 or nonnegative_atom(form, base)


def nonnegative_atom(form: NormalForm, base: Expr) -> bool:
    if isinstance(base, exp | Axis | Delta | Share | Choice) or base == E or base.is_Integer:
        return bool(base != -1) and not (isinstance(base, Choice) and not _indicator(base))
    if base.is_Pow:
        return nonnegative_atom(form, base.base)
    if isinstance(base, Entry):
        return _entry(form, base)
    if isinstance(base, Total | Product):
        with scoped(base) as (_, body, _guard):
            return nonnegative_poly(form, form(body))
    if base.is_Add:
        return nonnegative_poly(form, form(base))
    return False


def _indicator(choice: Choice) -> bool:
    _, value, otherwise = choice.args
    return bool(value.is_nonnegative and otherwise.is_nonnegative)


def nonnegative_poly(form: NormalForm, poly: Poly) -> bool:
    return all(
        value >= 0 and all(nonnegative(form, item) for item in mono) for mono, value in poly.items()
    )


def _entry(form: NormalForm, entry: Entry) -> bool:
    declaration = form.loss.declared.get(entry.tensor.name)
    if declaration is not None:
        domain = declaration.domain
        if domain.kind in ("simplex", "unit", "binary"):
            return True
        return domain.lower is not None and bool(domain.lower >= 0)
    definition = form.loss.defined.get(entry.tensor.name)
    return definition is not None and nonnegative_poly(form.opaque, form.opaque(definition.body))
