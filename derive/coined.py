"""Names for what a loss does not name, but its derivatives repeat.

The logarithm of a sum D of exponentials, and 1/D, change by the shares f/D of its terms f, since
an exponential changes by a multiple of itself: cross-entropy written as log(sum(exp(a[k]))) - a[t]
has p[j] = exp(a[j])/sum(exp(a[k])) in every derivative.  A root of a sum, a norm, comes back in
its own derivative too.  Such parts become definitions, unless the loss has them as its own; the
loss itself stays as it is written, and results are folded into the names as into any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from sympy import Add, Expr, Mul, Pow, Rational, exp, log

from derive.index import (
    Binder,
    Condition,
    Entry,
    Index,
    Tensor,
    Total,
    free_indices,
    kinds,
    order,
    substitute,
    walk,
)
from derive.loss import Definition, Loss

SHARES = ("p", "q", "s", "w", "u", "v")
ROOTS = ("r", "d", "c", "h")
MOST = 4  # where there are more, names do not help
PLACE = 1 << 62  # the numbers of indices that stand for any


@dataclass(frozen=True)
class Part:
    """An expression that derivatives repeat, with its free indices, and names to choose from."""

    body: Expr
    indices: tuple[Index, ...]
    names: tuple[str, ...]


@lru_cache(maxsize=64)
def with_names(loss: Loss) -> Loss:
    """The loss with a definition for each share and root that it has no name for."""
    own = {_pattern(definition.body) for definition in loss.definitions}
    growing = frozenset(d.name for d in loss.definitions if _grows(d.body, frozenset()))
    places: dict[Expr, tuple[Part, str]] = {}
    for definition in loss.definitions:
        for part in _parts(definition.body, growing):
            pattern = _pattern(part.body)
            if pattern not in own:
                places.setdefault(pattern, (part, definition.name))
    if not places or len(places) > MOST:
        return loss
    named: dict[str, list[Definition]] = {}
    for part, before in places.values():
        named.setdefault(before, []).append(_coined(loss, part, named))
    every = (one for d in loss.definitions for one in (*named.get(d.name, ()), d))
    return replace(loss, definitions=tuple(every))


def _coined(loss: Loss, part: Part, named: dict[str, list[Definition]]) -> Definition:
    """The definition of a part, under a name and with letters that the loss leaves free."""
    taken = {one.name for those in named.values() for one in those}
    taken |= {letter for letters in loss.letters.values() for letter in letters}
    name = loss.unused_name(*(name for name in part.names if name not in taken))
    axes = tuple(index.axis for index in part.indices)
    letters = loss.pick_letters(axes, frozenset((name,)))
    entry = Tensor(name, axes)[tuple(map(Index, letters, axes))]
    here = dict(zip(part.indices, entry.indices, strict=True))
    return Definition(entry, substitute(part.body, here), coined=True)


def _pattern(expr: Expr) -> Expr:
    """The expression with its free indices numbered in the order in which they stand."""
    here = {i: Index("", i.axis, PLACE + n) for n, i in enumerate(_free_in_order(expr))}
    pattern: Expr = substitute(expr, here)
    return pattern


def _free_in_order(expr: Expr) -> tuple[Index, ...]:
    free = free_indices(expr)
    return tuple(dict.fromkeys(node for node in walk(expr) if node in free))


def _grows(term: Expr, growing: frozenset[str]) -> bool:
    """Whether a product changes by a multiple of itself: an exponential is a factor."""
    return any(
        isinstance(factor, exp) or (isinstance(factor, Entry) and factor.tensor.name in growing)
        for factor in _factors(term)
    )


def _parts(body: Expr, growing: frozenset[str]) -> Iterator[Part]:
    """The shares and the roots of a definition, in the order in which they are met."""
    above: dict[Expr, list[Expr]] = {}
    for node, over in _met(body):
        if isinstance(node, Pow) and node.exp.is_Rational and not node.exp.is_Integer:
            root = Pow(node.base, Rational(1, node.exp.q))
            if Total in kinds(node.base) and root != body and exp not in kinds(node.base):
                yield Part(root, _free_in_order(root), ROOTS)
        else:
            base = (node.base if isinstance(node, Pow) else node).primitive()[1]
            if base.is_Add or isinstance(base, Total):
                above.setdefault(base, []).append(over)
    for below, numerators in above.items():
        for share in _shares(below, numerators, growing):
            yield Part(share, _free_in_order(share), SHARES)


def _met(node: Expr) -> Iterator[tuple[Expr, Expr]]:
    """The powers, each with what it multiplies, and the sums that a logarithm is taken of."""
    if isinstance(node, Condition) or not kinds(node) & {log, Pow}:
        return
    if isinstance(node, Binder):
        yield from _met(node.open()[1])
        return
    inside = isinstance(node, log)
    factors = _factors(node.args[0] if inside else node)
    powers = [one for one in factors if isinstance(one, Pow) and not one.exp.is_nonnegative]
    over = Mul(*(one for one in factors if one not in powers))
    yield from ((one, over) for one in powers)
    if inside:
        yield from ((one, one) for one in factors if one.is_Add or isinstance(one, Total))
    for one in factors if inside or node.is_Mul else node.args:
        yield from (found for found in _met(one) if found[0] not in powers)


def _shares(below: Expr, numerators: list[Expr], growing: frozenset[str]) -> Iterator[Expr]:
    """The shares of the terms of a sum with an exponential; of two, one tells the other."""
    every = Add.make_args(below)
    terms = [term for term in every if _grows(_opened(term), growing)]
    if not terms or any(term.as_coeff_Mul()[0].is_negative for term in every):
        return
    if any(Total in kinds(term) for term in terms) or len(every) > 2:
        yield from (_opened(term) / below for term in sorted(terms, key=order))
    elif len(terms) == 1 and _is_bare(below, terms[0], numerators):
        yield 1 / below
    else:
        yield min(terms, key=lambda term: (term not in numerators, order(term))) / below


def _is_bare(below: Expr, term: Expr, numerators: list[Expr]) -> bool:
    """Whether 1/D is the share to name: it is there, or D = 1 + exp(-u), for the sigmoid of u."""
    if term in numerators or below not in numerators:
        return term not in numerators
    falls = isinstance(term, exp) and term.args[0].could_extract_minus_sign()
    return falls and bool((below - term).is_number)


def _factors(term: Expr) -> tuple[Expr, ...]:
    factors: tuple[Expr, ...] = Mul.make_args(term)
    return factors


def _opened(term: Expr) -> Expr:
    """What a sum, and the sums in it, add up."""
    for factor in _factors(term):
        if isinstance(factor, Total):
            others = (other for other in _factors(term) if other is not factor)
            return _opened(Mul(factor.open()[1], *others))
    return term
