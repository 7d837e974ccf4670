"""Rules for the divergence of two softmaxes: where they are close, the first order cancels."""

from __future__ import annotations

from sympy import Add, Expr, Integer, Mul, Pow, exp, factor_terms, log

from codegen.stabilize.local import body_of, peak_of, rule, without
from derive.functions import absolute, expm1, expm1mx, log1p
from derive.index import (
    TRUE,
    Choice,
    Condition,
    Entry,
    Index,
    Maximum,
    Total,
    substitute,
    total,
)
from derive.loss import Loss

CLOSE = Integer(8)  # beyond, exp makes more of the rounding of c than the direct form loses


def _exponent(entry: Expr, index: Index, loss: Loss) -> Expr | None:
    """f at the index, where the entry names the softmax exp(f)/sum exp(f) over its last index."""
    body = body_of(entry, loss)
    if body is None or not body.is_Mul or not isinstance(entry, Entry) or len(body.args) != 2:
        return None
    top = next((arg for arg in body.args if isinstance(arg, exp)), None)
    below = next((arg.base for arg in body.args if isinstance(arg, Pow) and arg.exp == -1), None)
    if top is None or not isinstance(below, Total) or entry.indices[-1] != index:
        return None
    inner, inside, guard = below.opened()
    if guard != TRUE or substitute(inside, {inner: index}) != top:
        return None
    return Add(*(arg for arg in Add.make_args(top.args[0]) if not isinstance(-arg, Maximum)))


@rule(
    "divergence of two softmaxes",
    "the two log-sum-exps, an offset of all classes, and with c of mean 0 the terms of the first"
    " order, cancel exactly; where the two are close only terms of one sign are left",
)
def softmaxes(node: Expr, loss: Loss) -> Expr | None:
    """sum q log(q/p) = log(1 + sum q (exp(c) - 1 - c)), c = f_p - f_q less its mean under q."""
    if not isinstance(node, Total):
        return None
    index, body, guard = node.opened()
    for factor in Mul.make_args(body):
        pair = quotient(factor)
        if pair is None or guard != TRUE or body != pair[0] * factor:
            continue
        f_q, f_p = (_exponent(entry, index, loss) for entry in pair)
        if f_q is None or f_p is None:
            continue
        q, gap = pair[0], _gap(f_p, f_q, index)
        c = gap - total(index, q * gap)
        near = log1p(total(index, q * expm1mx(c)))
        widest = peak_of(absolute(c), index, TRUE)
        return Choice(Condition("<", widest, CLOSE), near, _apart(node))
    return None


@rule(
    "symmetric divergence of two softmaxes",
    "where the two are close their difference is the share times what its quotient is away from 1,"
    " and each term is >= 0",
)
def symmetric(node: Expr, loss: Loss) -> Expr | None:
    """sum (p - q) log(p/q) = sum q c (exp(c) - 1), c = log(p/q) as for the divergence."""
    if not isinstance(node, Total):
        return None
    index, body, guard = node.opened()
    for factor in Mul.make_args(body):
        pair = quotient(factor)
        if pair is None or guard != TRUE or body != (pair[0] - pair[1]) * factor:
            continue
        (p, q), (f_p, f_q) = pair, (_exponent(entry, index, loss) for entry in pair)
        if f_p is None or f_q is None:
            continue
        close, ratio = _ratio(q, f_p, f_q, index)
        far = total(index, (p - q) * (log(p) - log(q)))
        return Choice(close, total(index, q * ratio * expm1(ratio)), far)
    return None


def _ratio(q: Expr, f_p: Expr, f_q: Expr, index: Index) -> tuple[Condition, Expr]:
    """Whether two softmaxes are close, and the log of p/q where they are."""
    gap = _gap(f_p, f_q, index)
    c = gap - total(index, q * gap)
    close = Condition("<", peak_of(absolute(c), index, TRUE), CLOSE)
    return close, c - log1p(total(index, q * expm1mx(c)))


def log_ratio(p: Expr, q: Expr, loss: Loss) -> tuple[Condition, Expr] | None:
    """Whether two names of softmaxes over the same index are close, and log(p/q) where so."""
    places = [entry.indices[-1] if isinstance(entry, Entry) else None for entry in (p, q)]
    if places[0] != places[1] or not isinstance(places[0], Index):
        return None
    index = places[0]
    f_p, f_q = (_exponent(entry, index, loss) for entry in (p, q))
    return None if f_p is None or f_q is None else _ratio(q, f_p, f_q, index)


@rule(
    "log of a sum of shares",
    "the exponentials of the shares and those that they are shares of meet, without an offset",
    holds="the weights are 0 or 1",
)
def of_shares(node: Expr, loss: Loss) -> Expr | None:
    """log sum_k y_k p_k = log sum_k y_k exp(f_k) - log sum_k exp(f_k), for a softmax p."""
    if not isinstance(node, log) or not isinstance(node.args[0], Total):
        return None
    index, body, guard = node.args[0].opened()
    for share in Mul.make_args(body):
        f = _exponent(share, index, loss) if isinstance(share, Entry) else None
        weight = without(body, share)
        if f is not None and _is_mask(weight, loss):
            return log(total(index, weight * exp(f), guard)) - log(total(index, exp(f)))
    return None


def _is_mask(weight: Expr, loss: Loss) -> bool:
    """Whether the weight is 1, or y or 1 - y for a binary y."""
    entry = next((e for e in (weight, 1 - weight) if isinstance(e, Entry)), None)
    declared = loss.declared.get(entry.tensor.name) if entry is not None else None
    return weight == 1 or (declared is not None and declared.domain.kind == "binary")


def _gap(f_p: Expr, f_q: Expr, index: Index) -> Expr:
    """f_p - f_q, or where they are far apart that without a common offset of either."""
    gap = factor_terms(f_p - f_q)
    own = (f_p - peak_of(f_p, index, TRUE)) - (f_q - peak_of(f_q, index, TRUE))
    return Choice(Condition("<", peak_of(absolute(gap), index, TRUE), CLOSE), gap, own)


def _apart(node: Total) -> Expr:
    """sum q log q - q log p."""
    index, body, _ = node.opened()
    factor = next(f for f in Mul.make_args(body) if isinstance(f, log))
    pair = quotient(factor)
    assert pair is not None
    q, p = pair
    return total(index, q * (log(q) - log(p)))


def quotient(node: Expr) -> tuple[Expr, Expr] | None:
    """u and v where the node is log(u/v) and both are names."""
    if not isinstance(node, log) or not node.args[0].is_Mul or len(node.args[0].args) != 2:
        return None
    above = [arg for arg in node.args[0].args if isinstance(arg, Entry)]
    below = [arg.base for arg in node.args[0].args if isinstance(arg, Pow) and arg.exp == -1]
    return (above[0], below[0]) if len(above) == len(below) == 1 else None


RULES = (softmaxes, symmetric, of_shares)
