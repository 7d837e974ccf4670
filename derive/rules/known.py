"""Sums that are numbers: by the definitions, or by what is known of the inputs."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Any

from sympy import Add, Expr, expand_mul

from derive.index import (
    Choice,
    Condition,
    Entry,
    Index,
    Share,
    Tensor,
    Total,
    bind,
    height,
    kinds,
    rebuild,
    scoped,
    tensors,
    total,
    walk,
)
from derive.loss import Domain, Loss
from derive.normal import NormalForm, Undecided, to_expr
from derive.normal.stage import needs

DEEPEST = 2
FEW = 3
LEVELS = 2
MOST_TERMS = 8
Hypotheses = bool | frozenset[str]


def has_domains(loss: Loss) -> bool:
    """Whether anything is said of the values of the inputs."""
    return any(declaration.domain != Domain() for declaration in loss.declarations)


def sums_given(expr: Expr, loss: Loss, assume: Hypotheses = False) -> tuple[Expr, frozenset[str]]:
    """The expression with each sum that is a number replaced by it, and the hypotheses used."""
    known = _Known(loss, assume)
    found: Expr = known.visit(expr)
    used = frozenset(name for form in known.forms.values() for name in form.used)
    return (expr, frozenset()) if found == expr else (found, used)


class _Known:
    """Replaces sums by the numbers that they are, and remembers what that rests on."""

    def __init__(self, loss: Loss, assume: Hypotheses) -> None:
        self.loss, self.assume = loss, assume
        self.forms: dict[frozenset[str], NormalForm] = {}

    def visit(self, node: Any) -> Any:
        if Total not in kinds(node):
            return node
        node = rebuild(node, self.visit)
        if not isinstance(node, Total):
            return node
        number = self._number(node)
        if number is not None:
            return number
        # No hypothesis says of an entry that it sums to 0, and asking would note it as used.
        return self._by_terms(node) if self.assume is False else node

    def _number(self, node: Total) -> Expr | None:
        """The number that a sum is."""
        if not _may_be_number(node, self.loss, self.assume):
            return None
        stop = _far(node, self.loss)
        if self.assume is False:
            form = near(self.loss, stop)
        else:
            form = self.forms.setdefault(stop, NormalForm(self.loss, stop, self.assume))
        try:
            poly = form(node)
        except Undecided:
            return None
        return to_expr(poly) if not poly or set(poly) == {frozenset()} else None

    def _by_terms(self, node: Total) -> Expr:
        """A sum without those of its terms that are one entry each and sum to 0.

        What sums to another number stays: beside it the rest may cancel.
        """
        with scoped(node) as (index, body, guard):
            terms = Add.make_args(expand_mul(body, deep=False)) if body.has(Add) else ()
            if len(terms) > MOST_TERMS:
                return node
            left = [term for term in terms if not self._sums_to_zero(term, index, guard)]
            return total(index, Add(*left), guard) if len(left) < len(terms) else node

    def _sums_to_zero(self, term: Expr, index: Index, guard: Condition) -> bool:
        _, inner = term.as_independent(index, as_Add=False)
        return isinstance(inner, Entry) and self._number(bind(Total, index, inner, guard)) == 0


@lru_cache(maxsize=8)
def shallow(loss: Loss) -> NormalForm:
    """The normal form in the user's own names and functions."""
    return NormalForm(loss, frozenset(loss.defined), shallow=True)


@lru_cache(maxsize=32)
def near(loss: Loss, stop: frozenset[str]) -> NormalForm:
    """The normal form with every definition unfolded but those of `stop`."""
    return NormalForm(loss, stop)


def _far(node: Expr, loss: Loss) -> frozenset[str]:
    """The definitions that are not within a few steps of what stands in a sum."""
    if len(loss.definitions) <= FEW:
        return frozenset()
    opened: set[str] = set()
    reached = tensors(node)
    for _ in range(LEVELS):
        names = {tensor.name for tensor in reached} & loss.defined.keys()
        opened |= names
        reached = frozenset().union(*(tensors(loss.defined[name].body) for name in names))
    return frozenset(loss.defined.keys() - opened)


def _may_be_number(node: Total, loss: Loss, assume: Hypotheses) -> bool:
    """Whether a sum can be a number: not where it varies with an input that stands in one
    place only, through no name and of no known domain."""
    if height(node) > DEEPEST:
        return False
    if kinds(node) & {Share, Choice}:
        return True
    counts = Counter(entry.tensor for entry in walk(node) if isinstance(entry, Entry))
    once = [t for t, count in counts.items() if count == 1 and _plain(t, loss, assume)]
    if not once:
        return True
    named = [needs(loss, t) for t in counts if t.name in loss.defined]
    below = frozenset().union(*named)
    return all(tensor in below for tensor in once)


def _plain(tensor: Tensor, loss: Loss, assume: Hypotheses) -> bool:
    """Whether nothing is known of the values of a declared tensor."""
    declaration = loss.declared.get(tensor.name)
    if declaration is None or tensor.label is not None:
        return False
    return assume is False or declaration.domain == Domain()
