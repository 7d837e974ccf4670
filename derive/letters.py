"""Letters for indices, chosen only when something is printed.

A free index keeps the letter its author gave it.  Fresh and bound indices get the author's
letters for their axis, never one that is free in the text at hand, bound around it, or a name
of the loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sympy import Basic

from derive.index import Axis, Binder, Delta, Entry, Index, Tensor, free_indices, walk
from derive.loss import Loss, letter_candidates

SUBSCRIPTS = dict(
    zip(
        "0123456789aehijklmnoprstuvxβγρφχ",
        "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ",
        strict=True,
    )
)


@dataclass(frozen=True)
class Names:
    """The letters of a text: of its free indices, and all that a bound index must not take.

    `subscripts` says whether every index of the text can be set as a Unicode subscript.
    """

    loss: Loss
    free: Mapping[Index, str]
    reserved: frozenset[str]
    subscripts: bool = True

    def bound(self, axis: Axis, around: Iterable[str]) -> str:
        """The letter of an index bound over `axis` inside binders with letters `around`."""
        return _first_letter(self.loss, axis, self.reserved | set(around))


def _first_letter(loss: Loss, axis: Axis, taken: frozenset[str] | set[str]) -> str:
    return next(letter for letter in letter_candidates(axis, loss.letters) if letter not in taken)


def _free_in_order(expr: Basic) -> list[Index]:
    """The free indices of an expression in the order in which they stand."""
    free = free_indices(expr)
    return [node for node in walk(expr) if isinstance(node, Index) and node in free]


def names_of(loss: Loss, *exprs: Basic) -> Names:
    """Letters for a text made of several expressions, the same in all of them."""
    indices = [index for expr in exprs for index in _free_in_order(expr)]
    taken = {*loss.declared, *loss.defined, *(axis.name for axis in loss.axes)}
    letters: dict[Index, str] = {}
    for named in (index for index in indices if index.name):
        if named not in letters and named.name not in taken:
            letters[named] = named.name
            taken.add(named.name)
    for index in indices:
        if index not in letters:
            letters[index] = _first_letter(loss, index.axis, taken)
            taken.add(letters[index])
    names = Names(loss, letters, frozenset(taken))
    fits = all(_subscripts_fit(expr, names, {}) for expr in exprs)
    return Names(loss, letters, frozenset(taken), fits)


def _subscripts_fit(expr: Basic, names: Names, bound: Mapping[Index, str]) -> bool:
    """Whether every index letter of an expression has a subscript glyph."""
    if isinstance(expr, Index):
        return _has_subscript(bound[expr] if expr in bound else names.free[expr])
    if isinstance(expr, Tensor) or not expr.args:
        return True
    if isinstance(expr, Binder):
        index = expr.args[0]
        bound = {**bound, index: names.bound(index.axis, bound.values())}
    labels = [arg for arg in expr.args if isinstance(arg, Entry) and arg.tensor.label]
    if isinstance(expr, Entry | Delta) and not all(
        not label.indices and _has_subscript(label.tensor.name) for label in labels
    ):
        return False
    return all(_subscripts_fit(arg, names, bound) for arg in expr.args)


def _has_subscript(letter: str) -> bool:
    return all(character in SUBSCRIPTS for character in letter)
