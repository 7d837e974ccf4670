"""Whether the largest of some values is almost never attained twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sympy import Expr

from derive.functions import absolute
from derive.index import (
    TRUE,
    Argmax,
    Binder,
    Choice,
    Delta,
    Entry,
    Index,
    Maximum,
    Minimum,
    Product,
    Share,
    Tensor,
    Total,
    entries,
    fresh,
    kinds,
    order,
    scoped,
    substitute,
    walk,
)
from derive.normal import signs
from derive.normal.poly import ONE, Exponent, Mono, Poly, add_to

if TYPE_CHECKING:
    from derive.normal.form import NormalForm

Item = tuple[Expr, Exponent]
BROKEN = frozenset((Argmax, Choice, Delta, Maximum, Minimum, Product, Share, absolute))
MOST_BITS = 3


def never(form: NormalForm, extremum: Binder) -> bool:
    """Whether two of the values u_i are equal only on a null set in the varying names.

    It is so where each u_i moves with entries x_i of its own, whatever all others are: in each
    branch of u there is a term with a factor in x_i that no other term has, times what is not 0.
    """
    with scoped(extremum) as (index, body, _):
        pieces = list(_pieces(form(body)))
        moves = bool(pieces) and all(_Piece(form, index, piece).moves() for piece in pieces)
        if moves:
            form.edges[body - substitute(body, {index: fresh(index.axis)})] = None
        return moves


def _pieces(poly: Poly) -> Iterator[Poly]:
    """The polynomial for all values of the 0-1 atoms in it; nothing where they are too many."""
    bits = sorted({base for m in poly for base, _ in m if isinstance(base, Choice)}, key=order)
    if len(bits) > MOST_BITS:
        return
    for chosen in range(1 << len(bits)):
        on = {bit for place, bit in enumerate(bits) if chosen >> place & 1}
        piece: Poly = {}
        for mono, value in poly.items():
            here = frozenset(base for base, _ in mono if isinstance(base, Choice))
            if here <= on:
                add_to(piece, {frozenset(i for i in mono if i[0] not in here): value})
        yield piece


class _Piece:
    """A polynomial without 0-1 atoms, as a function of the entries that carry one index."""

    def __init__(self, form: NormalForm, index: Index, poly: Poly) -> None:
        self.form, self.index = form, index
        self.groups: dict[Mono, Poly] = {}
        for mono, value in poly.items():
            own = frozenset(item for item in mono if self._own(item[0]))
            self.groups.setdefault(own, {})[mono - own] = value
        self.atoms = [base for mono in poly for base, _ in mono]
        moving = {e.tensor for base in self.atoms for e in entries(base) if self._carries(e)}
        self.shared = [b for b in self.atoms if any(self._symmetric(e, moving) for e in entries(b))]

    def moves(self) -> bool:
        groups = [mono for mono in self.groups if mono != ONE]
        alone = len(groups) == 1 and ONE not in self.groups and len(self.groups[groups[0]]) == 1
        if any(kinds(base) & BROKEN or not _plain(base) for base in self.atoms):
            return False
        if self.shared and (not alone or any(self._own(base) for base in self.shared)):
            return False
        quotient = any(base.is_Add and power < 0 for mono in groups for base, power in mono)
        if quotient and not alone:
            return False
        return any(len(self.groups[m]) == 1 and self._nonzero(*self.groups[m]) for m in groups)

    def _carries(self, entry: Entry) -> bool:
        return entry.tensor.name in self.form.almost and self.index in entry.indices

    def _own(self, base: Expr) -> bool:
        return any(self._carries(entry) for entry in entries(base))

    def _symmetric(self, entry: Entry, moving: set[Tensor]) -> bool:
        """Whether an entry is one of those that move, but with a summed or a looked-up index."""
        slots = [k for k, axis in enumerate(entry.tensor.axes) if axis == self.index.axis]
        return entry.tensor in moving and not all(_is_free(entry.indices[k]) for k in slots)

    def _nonzero(self, mono: Mono) -> bool:
        return all(self._free(item) or signs.positive(self.form, item) for item in mono)

    def _free(self, item: Item) -> bool:
        """Whether it is an entry that varies: almost never 0."""
        return isinstance(item[0], Entry) and item[0].tensor.name in self.form.almost


def _is_free(index: Expr) -> bool:
    return isinstance(index, Index) and not index.is_bound


def _plain(base: Expr) -> bool:
    """Whether each sum in it is over all of an axis."""
    return all(node.args[2] == TRUE for node in walk(base) if isinstance(node, Total))
