"""What is known of signs: enough to take logs and roots apart without changing a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sympy import E, Expr, exp

from derive.functions import absolute, largest, relu, sigmoid, softplus
from derive.index import TRUE, Axis, Choice, Delta, Entry, Product, Share, Total, scoped
from derive.normal.poly import Exponent, Poly, mono_key

if TYPE_CHECKING:
    from derive.normal.form import NormalForm


UNIT = ("simplex", "unit", "binary")
VALUES = {"binary": (0, 1), "sign": (-1, 1)}
NONNEGATIVE = (exp, Axis, Delta, Share, absolute, sigmoid, softplus)


def on_simplex(form: NormalForm, entry: Expr) -> bool:
    """Whether an atom is an entry of a tensor declared `in simplex`."""
    if not isinstance(entry, Entry):
        return False
    declaration = form.loss.declared.get(entry.tensor.name)
    return declaration is not None and declaration.domain.kind == "simplex"


@dataclass(frozen=True)
class TwoValues:
    """The two numbers that an entry may be, and the hypothesis that says so."""

    values: tuple[int, int]
    hypothesis: str


def two_values(form: NormalForm, base: Expr | None) -> TwoValues | None:
    """What is known of an entry declared `in binary` or `in sign`."""
    declaration = form.loss.declared.get(base.tensor.name) if isinstance(base, Entry) else None
    values = VALUES.get(declaration.domain.kind) if declaration else None
    if declaration is None or values is None:
        return None
    return TwoValues(values, f"{declaration.name} in {declaration.domain.kind}")


def nonnegative(form: NormalForm, item: tuple[Expr, Exponent]) -> bool:
    """Whether an atom to a power is known to be >= 0 wherever it is defined."""
    base, power = item
    return power % 2 == 0 or nonnegative_atom(form, base)


def positive(form: NormalForm, item: tuple[Expr, Exponent]) -> bool:
    """Whether an atom to a power is known to be > 0."""
    base, _ = item
    if isinstance(base, exp | Axis | sigmoid | softplus) or base == E:
        return True
    if base.is_Integer:
        return bool(base > 0)
    if base.is_Pow:
        return positive(form, (base.base, 1))
    if isinstance(base, Entry):
        return _positive_entry(form, base)
    if isinstance(base, Total | Product):
        with scoped(base) as (_, body, guard):
            return guard == TRUE and positive_poly(form, form(body))
    return bool(base.is_Add) and positive_poly(form, form(base))


def positive_poly(form: NormalForm, poly: Poly) -> bool:
    """Whether all terms are known to be >= 0, and one of them > 0."""
    return _terms_nonnegative(form, poly) and any(
        all(positive(form, item) for item in mono) for mono in poly
    )


def _positive_entry(form: NormalForm, entry: Entry) -> bool:
    declaration = form.loss.declared.get(entry.tensor.name)
    if declaration is not None:
        domain = declaration.domain
        if domain.lower is None:
            return False
        return bool(domain.lower > 0 or (domain.lower == 0 and domain.lower_open))
    definition = form.loss.defined.get(entry.tensor.name)
    return definition is not None and positive_poly(form.opaque, form.opaque(definition.body))


def nonnegative_atom(form: NormalForm, base: Expr) -> bool:
    if isinstance(base, Choice):
        return _indicator(base)
    if isinstance(base, NONNEGATIVE) or base == E:
        return True
    if base.is_Integer:
        return bool(base >= 0)
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
    """Whether a sum is known to be >= 0: each term is, or another one outweighs it, as p does
    b p for b in [0, 1]."""
    left = {mono: value for mono, value in poly.items() if value > 0}
    for mono in sorted(poly.keys() - left.keys(), key=mono_key):
        larger = (
            other
            for other in sorted(left, key=mono_key)
            if other <= mono
            and left[other] >= -poly[mono]
            and all(_within_one(form, item) for item in mono - other)
        )
        found = next(larger, None)
        if found is None:
            return False
        left[found] += poly[mono]
    return _terms_nonnegative(form, {mono: value for mono, value in left.items() if value})


def _terms_nonnegative(form: NormalForm, poly: Poly) -> bool:
    return all(
        value >= 0 and all(nonnegative(form, item) for item in mono) for mono, value in poly.items()
    )


def _within_one(form: NormalForm, item: tuple[Expr, Exponent]) -> bool:
    """Whether an atom to a power is known to lie between 0 and 1."""
    base, power = item
    if isinstance(base, Entry):
        declaration = form.loss.declared.get(base.tensor.name)
        inside = declaration is not None and declaration.domain.kind in UNIT
        return inside and power > 0
    return isinstance(base, Delta | Share | sigmoid) and power > 0


def _entry(form: NormalForm, entry: Entry) -> bool:
    declaration = form.loss.declared.get(entry.tensor.name)
    if declaration is not None:
        domain = declaration.domain
        if domain.kind in UNIT:
            return True
        return domain.lower is not None and bool(domain.lower >= 0)
    definition = form.loss.defined.get(entry.tensor.name)
    if definition is None:
        return False
    body = definition.body
    return _not_below_zero(body) or nonnegative_poly(form.opaque, form.opaque(body))


def _not_below_zero(body: Expr) -> bool:
    """Whether this is the larger of something and a number >= 0."""
    numbers = [arg for arg in body.args if arg.is_number] if isinstance(body, largest) else []
    return isinstance(body, relu) or any(number.is_nonnegative for number in numbers)
