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

from sympy import Add, Expr, Function, Pow

from derive.derivation import Rule
from derive.index import (
    Entry,
    Index,
    Share,
    dangling,
    free_indices,
    nodes,
    order,
    rebuild,
    substitute,
    tensors,
    walk,
)
from derive.loss import Definition, Loss
from derive.normal import NormalForm, Undecided, signs
from derive.normal.hide import level_by_level, levels, unveiled, veiled
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
from derive.rules.branches import gathered
from derive.rules.implied import implied
from derive.rules.known import has_domains, near, sums_given
from derive.rules.polish import polished
from derive.rules.registry import register
from derive.rules.shorten import factored, length, shortness, weight
from derive.rules.spelling import spell

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


def unfolded(loss: Loss) -> NormalForm:
    """The normal form with every definition unfolded."""
    return near(loss, frozenset())


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
    for base, power, value in implied(form, definition):
        yield Solved(definition, base, power, value)


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
    outer, inner = veiled(expr)
    folded = to_expr(fold_poly(form, form(outer), solved))
    return unveiled(_spelled(folded, form, outer), inner)


def _factor(expr: Expr, loss: Loss) -> Expr:
    form = shallow(loss)
    outer, inner = veiled(expr)
    return unveiled(_collected(outer, form(outer), form), inner)


def _collected(expr: Expr, poly: Poly, form: NormalForm) -> Expr:
    """The shorter of the expression multiplied out and factored, and itself tidied."""
    found = _spelled(factored(poly), form, expr), polished(expr)
    return min(found, key=shortness)


def _spelled(short: Expr, form: NormalForm, before: Expr) -> Expr:
    """Functions with their arguments as they were written, where that is shorter."""
    spelling: dict[Expr, Expr] = {}
    for node in sorted(nodes(before), key=order):
        if isinstance(node, Function | Pow) and not dangling(node):
            inner = node.base if isinstance(node, Pow) else node
            normal = form.expr(inner)
            if isinstance(normal, Function | Add) and length(inner) < length(normal):
                spelling.setdefault(normal, inner)
    return substitute(short, spelling)


@lru_cache(maxsize=1 << 10)
def _gather(expr: Expr, loss: Loss) -> Expr:
    outer, inner = veiled(expr)
    return unveiled(gathered(outer, shallow(loss)), inner)


def _known_sums(expr: Expr, loss: Loss) -> Expr:
    """Replace each sum whose value the definitions fix, such as sum_i p_i = 1."""
    return sums_given(expr, loss)[0]


def hypotheses_used(expr: Expr, loss: Loss) -> tuple[str, ...]:
    """The hypotheses that say something of an expression, after those on its sums."""
    if not has_domains(loss):
        return ()
    given, used = sums_given(expr, loss, True)
    form = assuming(loss)
    for part in levels(given):
        form(part)
    return tuple(sorted(form.used | used))


def _assume(expr: Expr, loss: Loss, hypotheses: tuple[str, ...]) -> Expr:
    if not hypotheses:
        return expr
    form = assuming(loss, frozenset(hypotheses))

    def known(part: Expr) -> Expr:
        form.used.clear()
        poly = form(part)
        if form.used:
            return _spelled(factored(poly), form, part)
        return _collected(part, poly, form)

    return level_by_level(sums_given(expr, loss, frozenset(hypotheses))[0], known)


fold = register(Rule("fold", "written in terms of a name that the loss defines", _fold))
factor = register(Rule("factor", "common factors and sums are collected", _factor))
gather = register(Rule("gather the cases", "one choice instead of several", _gather))
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
            written = spell.apply(expr, loss=loss)
            better = shortness(written) < shortness(expr)
            return [*done, Shorter(spell, (("loss", loss),), written)] if better else done
        done += step
        expr = done[-1].after


def _best(expr: Expr, loss: Loss, into: tuple[str, ...]) -> list[Shorter] | None:
    try:
        options = list(_options(expr, loss, into))
    except Undecided:
        return None
    best = min(options, key=lambda option: weight(option[-1].after if option else expr))
    return best if best and shortness(best[-1].after) < shortness(expr) else None


def _options(expr: Expr, loss: Loss, into: tuple[str, ...]) -> Iterator[list[Shorter]]:
    """The expression factored, and folded into each name in each way, then factored."""
    form = shallow(loss)
    outer, inner = veiled(expr)
    poly = form(outer)
    yield _with_factor(expr, [], poly, loss)
    yield _with_gather(expr, [], loss)
    names = tensors(outer)
    if len(poly) > LONGEST_FOLD:
        return
    for name in into:
        for solved in solutions(form, loss.defined[name]):
            if tensors(solved.atom) <= names:
                folded = fold_poly(form, poly, solved)
                if folded != poly:
                    bindings = (("loss", loss), ("solved", solved))
                    here = _spelled(to_expr(folded), form, outer)
                    start = [Shorter(fold, bindings, unveiled(here, inner))]
                    yield _with_factor(expr, start, folded, loss)


def _with_factor(expr: Expr, before: list[Shorter], poly: Poly, loss: Loss) -> list[Shorter]:
    here = before[-1].after if before else expr
    plain = veiled(here)[0] == here
    short = _collected(here, poly, shallow(loss)) if plain else _factor(here, loss)
    if shortness(short) < shortness(here):
        before = [*before, Shorter(factor, (("loss", loss),), short)]
    return _with_gather(expr, before, loss)


def _with_gather(expr: Expr, before: list[Shorter], loss: Loss) -> list[Shorter]:
    here = before[-1].after if before else expr
    short = gather.apply(here, loss=loss)
    return before if short == here else [*before, Shorter(gather, (("loss", loss),), short)]


__all__ = ["Shorter", "Solved", "assume", "factor", "fold", "known_sums", "shorten_steps"]
