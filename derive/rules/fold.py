"""Writing an expression in terms of defined names again, factored, its cases gathered: the
changes that make it shorter, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sympy import Add, Expr, Function, Pow

from derive.derivation import Rule
from derive.index import (
    Choice,
    dangling,
    height,
    kinds,
    nodes,
    order,
    substitute,
    tensors,
)
from derive.loss import Loss
from derive.normal import NormalForm, Undecided
from derive.normal.hide import level_by_level, levels, unveiled, veiled
from derive.normal.poly import (
    Poly,
    to_expr,
)
from derive.rules.angles import addition
from derive.rules.branches import BROKEN
from derive.rules.common import collected
from derive.rules.decimals import decimals
from derive.rules.defined import keeps_domain
from derive.rules.gathered import gathered
from derive.rules.known import has_domains, near, shallow, sums_given
from derive.rules.polish import polished
from derive.rules.registry import register
from derive.rules.shorten import factored, length, shortness, weight
from derive.rules.solved import Solved, fold_literal, fold_poly, solutions
from derive.rules.spelling import spell
from derive.rules.written import as_written

LONGEST_FOLD = 60


def unfolded(loss: Loss) -> NormalForm:
    """The normal form with every definition unfolded."""
    return near(loss, frozenset())


def assuming(loss: Loss, hypotheses: bool | frozenset[str] = True) -> NormalForm:
    """The shallow form that uses hypotheses; a new one each time, so that `used` is its own."""
    return NormalForm(loss, frozenset(loss.defined), assume=hypotheses, shallow=True)


def _fold(expr: Expr, loss: Loss, solved: Solved) -> Expr:
    if solved.literal:
        literal: Expr = fold_literal(expr, solved)
        return literal
    form = shallow(loss)
    outer, inner = (expr, {}) if _is_deep(solved, expr) else veiled(expr)
    folded = to_expr(fold_poly(form, form(outer), solved))
    return unveiled(_spelled(folded, form, outer), inner)


def _is_deep(solved: Solved, expr: Expr) -> bool:
    """Whether what a derivation gave a name has sums in it that are variables here."""
    return bool(solved.definition.coined and height(solved.atom) and veiled(expr)[1])


def _factor(expr: Expr, loss: Loss) -> Expr:
    form = shallow(loss)
    outer, inner = veiled(expr)
    return unveiled(_collected(outer, form(outer), form), inner)


def _collected(expr: Expr, poly: Poly, form: NormalForm) -> Expr:
    """The shortest of the expression multiplied out and factored, itself tidied, and its terms
    collected as they stand."""
    found = [_spelled(factored(poly), form, expr), polished(expr)]
    if expr.is_Add and kinds(expr) & BROKEN:
        found.append(polished(collected(expr)))
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
        if isinstance(part, Choice) and part.args[0].op in ("<", "<=", ">", ">="):
            condition, *values = part.args
            return Choice(condition, *map(known, values))
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
            return [*done, *_as_written(expr, loss)]
        done += step
        expr = done[-1].after


def _as_written(expr: Expr, loss: Loss) -> Iterator[Shorter]:
    """The last touches: angles together; comparisons, logarithms, numbers as the loss has them."""
    for rule in (addition, as_written, spell, decimals):
        written = rule.apply(expr, loss=loss)
        if written != expr:
            yield Shorter(rule, (("loss", loss),), written)
            expr = written


def _best(expr: Expr, loss: Loss, into: tuple[str, ...]) -> list[Shorter] | None:
    try:
        options = [option for option in _options(expr, loss, into) if option]
        shorter = (opt for opt in options if shortness(opt[-1].after) < shortness(expr))
        kept = [opt for opt in shorter if keeps_domain(shallow(loss), expr, opt[-1].after)]
    except Undecided:
        return None
    return min(kept, key=lambda option: weight(option[-1].after), default=None)


def _options(expr: Expr, loss: Loss, into: tuple[str, ...]) -> Iterator[list[Shorter]]:
    """The expression factored, and folded into each name in each way, then factored."""
    form = shallow(loss)
    outer, inner = veiled(expr)
    poly = form(outer)
    yield _with_factor(expr, [], None if inner else poly, loss)
    yield _with_gather(expr, [], loss)
    names = tensors(outer)
    if len(poly) > LONGEST_FOLD:
        return
    for name in into:
        for solved in solutions(form, loss.defined[name]):
            if solved.literal or _is_deep(solved, expr):
                bindings = (("loss", loss), ("solved", solved))
                after = fold.apply(expr, **dict(bindings))
                if after != expr:
                    yield _with_factor(expr, [Shorter(fold, bindings, after)], None, loss)
            elif tensors(solved.atom) <= names:
                folded = fold_poly(form, poly, solved)
                if folded != poly:
                    bindings = (("loss", loss), ("solved", solved))
                    here = _spelled(to_expr(folded), form, outer)
                    start = [Shorter(fold, bindings, unveiled(here, inner))]
                    yield _with_factor(expr, start, None if inner else folded, loss)
    yield _shares(expr, loss, into)


def _shares(expr: Expr, loss: Loss, into: tuple[str, ...]) -> list[Shorter]:
    """Folded into several shares, which one after the other make it longer first."""
    coined = [loss.defined[name] for name in into if loss.defined[name].coined]
    steps: list[Shorter] = []
    for definition in coined if len(coined) > 1 else ():
        for solved in (one for one in solutions(shallow(loss), definition) if one.beside):
            here = steps[-1].after if steps else expr
            bindings = (("loss", loss), ("solved", solved))
            after = fold.apply(here, **dict(bindings))
            if after != here:
                steps.append(Shorter(fold, bindings, after))
    return _with_factor(expr, steps, None, loss) if len(steps) > 1 else []


def _with_factor(expr: Expr, before: list[Shorter], poly: Poly | None, loss: Loss) -> list[Shorter]:
    """The last of the steps factored; `poly` is its normal form where no sum in it is veiled."""
    here = before[-1].after if before else expr
    if poly is not None and veiled(here)[0] == here:
        short = _collected(here, poly, shallow(loss))
    else:
        short = _factor(here, loss)
    if shortness(short) < shortness(here):
        before = [*before, Shorter(factor, (("loss", loss),), short)]
    return _with_gather(expr, before, loss)


def _with_gather(expr: Expr, before: list[Shorter], loss: Loss) -> list[Shorter]:
    here = before[-1].after if before else expr
    short = gather.apply(here, loss=loss)
    return before if short == here else [*before, Shorter(gather, (("loss", loss),), short)]


__all__ = [
    "Shorter",
    "Solved",
    "assume",
    "factor",
    "fold",
    "known_sums",
    "shallow",
    "shorten_steps",
]
