"""Folding: writing an expression in terms of a defined name again.

A definition v[i] = c m g^e + rest, with g an atom that stands in no other term, is solved for
g^e = (v[i] - rest) / (c m).  Replacing g^e by that wherever it occurs, for any index, writes
the expression in terms of v: with p[i] = exp(a[i])/S every exp(a[j]) becomes p[j] S, and S
cancels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

from sympy import Expr, Function

from derive.derivation import Rule
from derive.index import (
    Entry,
    Index,
    Share,
    Total,
    dangling,
    free_indices,
    kinds,
    nodes,
    order,
    rebuild,
    substitute,
    tensors,
    walk,
)
from derive.loss import Definition, Loss
from derive.normal import NormalForm, Undecided, signs
from derive.normal.poly import (
    Exponent,
    Poly,
    add_to,
    atom,
    constant,
    mono_key,
    raise_mono,
    ratio,
    to_expr,
)
from derive.rules.registry import register
from derive.rules.shorten import factored, length, shortness

LONGEST_FOLD = 60


@dataclass(frozen=True)
class Solved:
    """A definition solved for an atom to a power: atom^exponent = value."""

    definition: Definition
    atom: Expr
    exponent: Exponent
    value: Expr


@lru_cache(maxsize=8)
def shallow(loss: Loss) -> NormalForm:
    """The normal form in the user's own names and functions."""
    return NormalForm(loss, frozenset(loss.defined), shallow=True)


@lru_cache(maxsize=8)
def unfolded(loss: Loss) -> NormalForm:
    """The normal form with every definition unfolded."""
    return NormalForm(loss)


def assuming(loss: Loss, hypotheses: bool | frozenset[str] = True) -> NormalForm:
    """The shallow form that uses hypotheses; a new one each time, so that `used` is its own."""
    return NormalForm(loss, frozenset(loss.defined), assume=hypotheses, shallow=True)


def solutions(form: NormalForm, definition: Definition) -> Iterator[Solved]:
    """Every way to solve a definition for one of its atoms."""
    body = form(definition.body)
    for mono in sorted(body, key=mono_key):
        for base, power in sorted(mono, key=lambda item: mono_key(frozenset((item,)))):
            if base.is_number or not set(definition.entry.indices) <= free_indices(base):
                continue
            if any(base in dict(other) for other in body if other != mono):
                continue
            others = mono - {(base, power)}
            if not all(e < 0 or signs.positive(form, (b, e)) for b, e in others):
                continue
            rest = {other: -value for other, value in body.items() if other != mono}
            add_to(rest, atom(definition.entry))
            front = {raise_mono(others, -1): ratio(1, body[mono])}
            yield Solved(definition, base, power, to_expr(form.mul(rest, front)))


def fold_poly(form: NormalForm, poly: Poly, solved: Solved) -> Poly:
    """Replace the solved atom throughout a polynomial, inside its atoms too."""
    result: Poly = {}
    for mono, value in poly.items():
        term = constant(1)
        for base, power in mono:
            term = form.mul(term, _fold_atom(form, base, power, solved))
        add_to(result, term, value)
    return result


def _fold_atom(form: NormalForm, base: Expr, power: Exponent, solved: Solved) -> Poly:
    times = ratio(power, solved.exponent)
    here = _match(solved, base)
    if here is not None and times == int(times):
        value = form(substitute(solved.value, here))
        return form.power(value, int(times))
    if not tensors(solved.atom) <= tensors(base) or isinstance(base, Entry | Share):
        return atom(base, power)
    if solved.value.has(base):
        return atom(base, power)

    def inside(arg: Any) -> Any:
        if not isinstance(arg, Expr) or isinstance(arg, Index):
            return arg
        return to_expr(fold_poly(form, form(arg), solved))

    inner = rebuild(base, inside)
    return atom(base, power) if inner == base else form.power(form(inner), power)


def _match(solved: Solved, base: Expr) -> dict[Expr, Expr] | None:
    """The indices at which the solved atom is `base`, if there are any."""
    wild = solved.definition.entry.indices
    if base == solved.atom:
        return {}
    if type(base) is not type(solved.atom) or not wild:
        return None
    candidates = sorted(free_indices(base), key=lambda index: index.uid) + [
        node for node in walk(base) if isinstance(node, Entry) and node.tensor.label
    ]
    for chosen in product(candidates, repeat=len(wild)):
        here = dict(zip(wild, chosen, strict=True))
        if substitute(solved.atom, here) == base:
            return here
    return None


def _fold(expr: Expr, loss: Loss, solved: Solved) -> Expr:
    form = shallow(loss)
    return to_expr(fold_poly(form, form(expr), solved))


def _factor(expr: Expr, loss: Loss) -> Expr:
    form = shallow(loss)
    return _spelled(factored(form(expr)), form, expr)


def _spelled(short: Expr, form: NormalForm, before: Expr) -> Expr:
    """Functions with their arguments as they were written, where that is shorter."""
    spelling: dict[Expr, Expr] = {}
    for node in sorted(nodes(before), key=order):
        if isinstance(node, Function) and not dangling(node):
            normal = form.expr(node)
            if isinstance(normal, Function) and length(node) < length(normal):
                spelling.setdefault(normal, node)
    return substitute(short, spelling)


def _known_sums(expr: Expr, loss: Loss) -> Expr:
    """Replace each sum whose value the definitions fix, such as sum_i p_i = 1."""
    return _sums_given(expr, unfolded(loss))


def hypotheses_used(expr: Expr, loss: Loss) -> tuple[str, ...]:
    """The hypotheses that say something of an expression, after those on its sums."""
    sums = NormalForm(loss, assume=True)
    given = _sums_given(expr, sums)
    form = assuming(loss)
    form(given)
    return tuple(sorted(form.used | (sums.used if given != expr else set())))


def _sums_given(expr: Expr, form: NormalForm) -> Expr:
    """Replace each sum that is a number in the normal form."""

    def visit(node: Any) -> Any:
        if Total not in kinds(node):
            return node
        node = rebuild(node, visit)
        if not isinstance(node, Total):
            return node
        try:
            poly = form(node)
        except Undecided:
            return node
        return to_expr(poly) if not poly or set(poly) == {frozenset()} else node

    return visit(expr)


def _assume(expr: Expr, loss: Loss, hypotheses: tuple[str, ...]) -> Expr:
    expr = _sums_given(expr, NormalForm(loss, assume=frozenset(hypotheses)))
    form = assuming(loss, frozenset(hypotheses))
    poly = form(expr)
    return _spelled(factored(poly), form, expr) if hypotheses else expr


fold = register(Rule("fold", "written in terms of a name that the loss defines", _fold))
factor = register(Rule("factor", "common factors and sums are collected", _factor))
known_sums = register(
    Rule("known sum", "by the definitions this sum is a number", _known_sums, "as the definitions")
)
assume = register(Rule("use the hypotheses", "what is known of the inputs", _assume, "as assumed"))


@dataclass(frozen=True)
class Shorter:
    """One improvement: the rule, its bindings, what it gave."""

    rule: Rule
    bindings: tuple[tuple[str, Any], ...]
    after: Expr


def shorten_steps(expr: Expr, loss: Loss, into: tuple[str, ...]) -> list[Shorter]:
    """Improve an expression until no fold (into one of the names) or factoring shortens it."""
    done: list[Shorter] = []
    while True:
        after = _known_sums(expr, loss)
        if after != expr:
            done.append(Shorter(known_sums, (("loss", loss),), after))
            expr = after
        step = _best(expr, loss, into)
        if step is None:
            return done
        done += step
        expr = done[-1].after


def _best(expr: Expr, loss: Loss, into: tuple[str, ...]) -> list[Shorter] | None:
    try:
        options = list(_options(expr, loss, into))
    except Undecided:
        return None
    best = min(options, key=lambda option: shortness(option[-1].after if option else expr))
    return best if best and shortness(best[-1].after) < shortness(expr) else None


def _options(expr: Expr, loss: Loss, into: tuple[str, ...]) -> Iterator[list[Shorter]]:
    """The expression factored, and folded into each name in each way, then factored."""
    form = shallow(loss)
    poly = form(expr)
    yield _with_factor(expr, [], poly, loss)
    names = tensors(expr)
    if len(poly) > LONGEST_FOLD:
        return
    for name in into:
        for solved in solutions(form, loss.defined[name]):
            if tensors(solved.atom) <= names:
                folded = fold_poly(form, poly, solved)
                if folded != poly:
                    bindings = (("loss", loss), ("solved", solved))
                    start = [Shorter(fold, bindings, to_expr(folded))]
                    yield _with_factor(expr, start, folded, loss)


def _with_factor(expr: Expr, before: list[Shorter], poly: Poly, loss: Loss) -> list[Shorter]:
    here = before[-1].after if before else expr
    short = _spelled(factored(poly), shallow(loss), here)
    if shortness(short) < shortness(here):
        return [*before, Shorter(factor, (("loss", loss),), short)]
    return before


__all__ = ["Shorter", "Solved", "assume", "factor", "fold", "known_sums", "shorten_steps"]
