"""Rules for sums of exponentials over some of an axis: those of a label, or of a mask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sympy import Add, Expr, Integer, Mul, S, exp, log

from codegen.stabilize.local import rule, split_exp, without
from derive.functions import grouped, softplus
from derive.index import TRUE, Condition, Entry, Index, Maximum, Total, entries, substitute, total
from derive.loss import Loss
from derive.rules.compare import negated


def _is_binary(expr: Expr, loss: Loss) -> bool:
    declared = loss.declared.get(expr.tensor.name) if isinstance(expr, Entry) else None
    return declared is not None and declared.domain.kind == "binary"


def conjuncts(guard: Condition) -> tuple[Condition, ...]:
    """The conditions that all have to hold."""
    if guard == TRUE:
        return ()
    return guard.operands if guard.op == "and" else (guard,)


def both(*conditions: Condition) -> Condition:
    """Whether all of them hold."""
    parts = dict.fromkeys(part for c in conditions for part in conjuncts(c))
    every = tuple(parts)
    return TRUE if not every else every[0] if len(every) == 1 else Condition("and", *every)


def _mask(factor: Expr, index: Index, loss: Loss) -> tuple[Expr, Condition] | None:
    """The sign of a factor that is y or 1 - y, for a binary y, and where it is not 0."""
    for sign in (1, -1):
        for value, entry in ((1, sign * factor), (0, 1 - sign * factor)):
            if _is_binary(entry, loss) and entry.has(index):
                return Integer(sign), Condition("==", entry, Integer(value))
    return None


@rule(
    "binary weight as a guard",
    "the terms of weight 0 leave the sum, so that the largest of the others can be taken out of it",
    holds="the weight is 0 or 1",
)
def mask_to_guard(node: Expr, loss: Loss) -> Expr | None:
    """sum_k y_k c_k exp(f_k) = the sum of c_k exp(f_k) over the k with y_k = 1."""
    if not isinstance(node, Total):
        return None
    index, body, guard = node.opened()
    inner = [f for f in Mul.make_args(body) if isinstance(f, Total) and f.args[1].has(exp)]
    exponent = split_exp(body)[1]
    if not inner and (exponent is None or not exponent.has(index) or exponent.has(Maximum)):
        return None
    for factor in Mul.make_args(body):
        mask = _mask(factor, index, loss)
        if mask is not None:
            sign, holds = mask
            return sign * total(index, without(body, factor), both(guard, holds))
    return None


@rule(
    "sum of products as a product of sums",
    "each sum has a largest term of its own, and the logarithm takes them apart",
)
def separate(node: Expr, loss: Loss) -> Expr | None:
    """sum_i sum_j exp(f_i + g_j) = (sum_i exp f_i)(sum_j exp g_j), each over a part of its axis."""
    if not isinstance(node, Total):
        return None
    outer, body, guard = node.opened()
    sums = [factor for factor in Mul.make_args(body) if isinstance(factor, Total)]
    if len(sums) != 1:
        return None
    inner, inside, allowed = sums[0].opened()
    cofactor, exponent = split_exp(without(body, sums[0]) * inside)
    if exponent is None or exponent.has(Maximum):
        return None
    factors = _apart(Mul.make_args(cofactor), outer, inner)
    terms = _apart(Add.make_args(exponent.expand()), outer, inner)
    guards = _apart((*conjuncts(guard), *conjuncts(allowed)), outer, inner)
    if factors is None or terms is None or guards is None:
        return None
    (c, d), (f, g), (a, b) = factors, terms, guards
    first = total(outer, Mul(*c) * exp(Add(*f)), both(*a))
    return first * total(inner, Mul(*d) * exp(Add(*g)), both(*b))


def _apart(parts: Iterable[Any], outer: Index, inner: Index) -> tuple[list[Any], list[Any]] | None:
    """The parts that depend on the outer index or on none, and those on the inner one."""
    own: list[Any] = []
    others: list[Any] = []
    for part in parts:
        if part.has(outer) and part.has(inner):
            return None
        (others if part.has(inner) else own).append(part)
    return own, others


@rule(
    "sum less the part of a mask",
    "what is left is the sum over the others, of which the part may be nearly all",
    holds="the mask is 0 or 1",
)
def less_part(node: Expr, loss: Loss) -> Expr | None:
    """c sum_k f_k - c times the sum over y_k = 1 is c times the sum over y_k = 0."""
    found = [
        (arg, without(arg, part), part)
        for arg in (node.args if node.is_Add else ())
        for part in Mul.make_args(arg)
        if isinstance(part, Total) and part.args[1].has(exp)
    ]
    parts = [item for item in found if item[2].args[2].op == "=="]
    for whole, c, all_of in found if parts else ():
        index, body, guard = all_of.opened()
        for part, d, some in parts if guard == TRUE else ():
            if c != -d:
                continue
            inner, inside, holds = some.opened()
            here = [substitute(x, {inner: index}) for x in (inside, holds)]
            entry, value = here[1].operands if here[1].op == "==" else (S.Zero, S.Zero)
            same = inner.axis == index.axis and here[0] == body
            if same and _is_binary(entry, loss) and value in (0, 1):
                left = Condition("==", entry, 1 - value)
                return node - whole - part + c * total(index, body, left)
    return None


@rule(
    "log of a sum over a part of it",
    "where the part is nearly all, the others are what counts, and softplus keeps them",
)
def log_over_part(node: Expr, loss: Loss) -> Expr | None:
    """c log S - c log A = c softplus(log(S - A) - log A), S a sum of exponentials, A a part."""
    found = [
        (arg, without(arg, factor), factor.args[0])
        for arg in (node.args if node.is_Add else ())
        for factor in Mul.make_args(arg)
        if isinstance(factor, log) and isinstance(factor.args[0], Total)
    ]
    parts = [item for item in found if item[2].args[2] != TRUE]
    for whole, c, all_of in found if parts else ():
        index, body, guard = all_of.opened()
        exponent = split_exp(body)[1]
        if guard != TRUE or exponent is None or exponent.has(Maximum):
            continue
        for part, d, some in parts:
            inner, inside, holds = some.opened()
            here = [substitute(x, {inner: index}) for x in (inside, holds)]
            left = _opposite(here[1], loss)
            if c == -d and inner.axis == index.axis and here[0] == body and left is not None:
                share = softplus(log(total(index, body, left)) - log(some))
                return node - whole - part + c * share
    return None


def _opposite(guard: Condition, loss: Loss) -> Condition | None:
    """Where the guard does not hold."""
    entry, value = guard.operands if guard.op == "==" else (S.Zero, S.Zero)
    if _is_binary(entry, loss) and value in (0, 1):
        return Condition("==", entry, 1 - value)
    return negated(guard)


def member(node: Expr, part: Total, loss: Loss) -> Condition | None:
    """Where the sum has a term, if a factor of the product is 0 elsewhere: it is not over none."""
    index, _, guard = part.opened()
    weights = [factor for factor in Mul.make_args(node) if not factor.has(exp)]
    places = {i for i in node.atoms(Index) if i.axis == index.axis and not i.is_bound}
    places |= {e for e in entries(node) if e.tensor.label == index.axis}
    for place in sorted(places, key=str):
        here = substitute(guard, {index: place})
        if _allows(here, Mul(*weights), loss):
            return here
    return None


def _allows(guard: Condition, weight: Expr, loss: Loss) -> bool:
    """Whether the weight is 0 wherever the condition fails: y = 1 or y = 0, for a binary y."""
    for part in conjuncts(guard):
        entry, value = part.operands if part.op == "==" else (S.Zero, S.Zero)
        if not _is_binary(entry, loss) or value not in (0, 1):
            return False
        if weight.xreplace({entry: 1 - value}) != 0:
            return False
    return True


@rule(
    "difference of two maxima",
    "an offset of all of them cancels before anything is added to it",
)
def maxima_apart(node: Expr, loss: Loss) -> Expr | None:
    """max over A of f - max over B of f, in a bracket of its own."""
    peaks = [arg for arg in node.args if isinstance(arg, Maximum)] if node.is_Add else []
    others = [-arg for arg in node.args if isinstance(-arg, Maximum)] if peaks else []
    for one in peaks:
        for two in others:
            if one.args[1].xreplace({one.args[0]: two.args[0]}) == two.args[1]:
                rest = node - one + two
                return rest + grouped(one - two) if rest != 0 else None
    return None


RULES = (mask_to_guard, less_part, log_over_part, separate)
LAST = (maxima_apart,)
