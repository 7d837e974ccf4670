"""Sums that are numbers: by the definitions, or by what is known of the inputs."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Any

from sympy import Expr

from derive.index import Choice, Entry, Share, Tensor, Total, height, kinds, rebuild, tensors, walk
from derive.loss import Domain, Loss
from derive.normal import NormalForm, Undecided, to_expr
from derive.normal.stage import needs

DEEPEST = 2
FEW = 3
LEVELS = 2
Hypotheses = bool | frozenset[str]


def has_domains(loss: Loss) -> bool:
    """Whether anything is said of the values of the inputs."""
    return any(declaration.domain != Domain() for declaration in loss.declarations)


def sums_given(expr: Expr, loss: Loss, assume: Hypotheses = False) -> tuple[Expr, frozenset[str]]:
    """The expression with each sum that is a number replaced by it, and the hypotheses used."""
    forms: dict[frozenset[str], NormalForm] = {}

    def visit(node: Any) -> Any:
        if Total not in kinds(node):
            return node
        node = rebuild(node, visit)
        if not isinstance(node, Total) or not _may_be_number(node, loss, assume):
            return node
        stop = _far(node, loss)
        if assume is False:
            form = near(loss, stop)
        else:
            form = forms.setdefault(stop, NormalForm(loss, stop, assume))
        try:
            poly = form(node)
        except Undecided:
            return node
        return to_expr(poly) if not poly or set(poly) == {frozenset()} else node

    found = visit(expr)
    if found == expr:
        return expr, frozenset()
    return found, frozenset(name for form in forms.values() for name in form.used)


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
