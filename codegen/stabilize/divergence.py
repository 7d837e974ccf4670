"""Rules for divergences of distributions: where two are close, terms of the first order cancel."""

from __future__ import annotations

from sympy import Add, Expr, Integer, Mul, Pow, Rational, exp, factor_terms, log

from codegen.bounds import nonnegative
from codegen.stabilize.local import body_of, peak_of, rule
from derive.functions import absolute, expm1mx, grouped, log1p, log1pmx
from derive.index import (
    TRUE,
    Choice,
    Condition,
    Entry,
    Index,
    Maximum,
    Total,
    free_indices,
    substitute,
    total,
)
from derive.loss import Loss

NEAR = Rational(3, 8)  # with equal weights, 1/2 would be a tie wherever another part is 0


def _exponent(entry: Expr, index: Index, loss: Loss) -> Expr | None:
    """f at the index, where the entry names the softmax exp(f)/sum exp(f) over its last index."""
    body = body_of(entry, loss)
    if body is None or not body.is_Mul or not isinstance(entry, Entry) or len(body.args) != 2:
        return None
    top = next((arg for arg in body.args if isinstance(arg, exp)), None)
    below = next((arg.base for arg in body.args if isinstance(arg, Pow) and arg.exp == -1), None)
    if top is None or not isinstance(below, Total) or entry.indices[-1] != index:
        return None
    inner, inside, guard = below.open()
    if guard != TRUE or substitute(inside, {inner: index}) != top:
        return None
    return Add(*(arg for arg in Add.make_args(top.args[0]) if not isinstance(-arg, Maximum)))


@rule(
    "divergence of two softmaxes",
    "the two log-sum-exps, and with c of mean 0 the terms of the first order, cancel exactly;"
    " where the two are close only terms of one sign are left",
)
def softmaxes(node: Expr, loss: Loss) -> Expr | None:
    """sum q log(q/p) = log(1 + sum q (exp(c) - 1 - c)), c = f_p - f_q less its mean under q."""
    if not isinstance(node, Total):
        return None
    index, body, guard = node.open()
    for factor in Mul.make_args(body):
        pair = _quotient(factor)
        if pair is None or guard != TRUE or body != pair[0] * factor:
            continue
        f_q, f_p = (_exponent(entry, index, loss) for entry in pair)
        if f_q is None or f_p is None:
            continue
        q, gap = pair[0], factor_terms(f_p - f_q)
        c = gap - total(index, q * gap)
        near = log1p(total(index, q * expm1mx(c)))
        widest = peak_of(absolute(gap), index, TRUE)
        return Choice(Condition("<", widest, Integer(1)), near, _apart(node))
    return None


def _apart(node: Total) -> Expr:
    """sum q log q - q log p."""
    index, body, _ = node.open()
    factor = next(f for f in Mul.make_args(body) if isinstance(f, log))
    pair = _quotient(factor)
    assert pair is not None
    q, p = pair
    return total(index, q * (log(q) - log(p)))


def _quotient(node: Expr) -> tuple[Expr, Expr] | None:
    """u and v where the node is log(u/v) and both are names."""
    if not isinstance(node, log) or not node.args[0].is_Mul or len(node.args[0].args) != 2:
        return None
    above = [arg for arg in node.args[0].args if isinstance(arg, Entry)]
    below = [arg.base for arg in node.args[0].args if isinstance(arg, Pow) and arg.exp == -1]
    return (above[0], below[0]) if len(above) == len(below) == 1 else None


def _mixture(entry: Expr, loss: Loss) -> list[tuple[Expr, Expr]]:
    """Weights and entries where the name is c_1 w_1 + c_2 w_2 + ..., with weights of sum 1."""
    body = body_of(entry, loss)
    parts = []
    for term in Add.make_args(body) if body is not None else ():
        for part in Mul.make_args(term):
            if isinstance(part, Entry) and part.indices and nonnegative(part, loss):
                parts.append((term / part, part))
    whole = sum((weight for weight, _ in parts), Integer(0)).expand()
    same = body is not None and len(parts) == len(Add.make_args(body)) > 1
    plain = all(not free_indices(weight) for weight, _ in parts)
    return parts if same and plain and whole == 1 else []


def _near(part: Expr, mixed: Expr, near: Expr, far: Expr) -> Expr:
    """One form where a part is near its mixture, another one elsewhere."""
    return Choice(Condition("<", absolute(mixed - part), NEAR * part), near, far)


@rule(
    "divergences from a mixture",
    "the terms of the first order add up to 0; with each less its own, nothing cancels",
    holds="the weights of the mixture have sum 1",
)
def from_mixture(node: Expr, loss: Loss) -> Expr | None:
    """sum_j c_j sum_i w_j log(w_j/m) = -sum c_j w_j (log(1 + x_j) - x_j), x_j = (m - w_j)/w_j."""
    found = [_divergence(term, loss) for term in Add.make_args(node)]
    if len(found) < 2 or None in found:
        return None
    terms = [item for item in found if item is not None]
    index, _, _, mixed = terms[0]
    here = [
        (weight, substitute(w, {i: index}), substitute(m, {i: index})) for i, weight, w, m in terms
    ]
    parts = _mixture(mixed, loss)
    if sorted(((c, w) for c, w, _ in here), key=str) != sorted(parts, key=str):
        return None
    if any(m != mixed for _, _, m in here):
        return None
    pieces = []
    for weight, part in parts:
        gap = mixed - part
        near, far = -part * log1pmx(gap / part), gap + part * log(grouped(part / mixed))
        pieces.append(weight * _near(part, mixed, near, far))
    return total(index, Add(*pieces))


def _divergence(term: Expr, loss: Loss) -> tuple[Index, Expr, Expr, Expr] | None:
    """The index, c, w and m where the term is c times sum_i w log(w/m), or times a name of it."""
    for factor in Mul.make_args(term):
        inside = body_of(factor, loss) or factor
        if not isinstance(inside, Total):
            continue
        index, body, guard = inside.open()
        for log_ratio in Mul.make_args(body):
            last = log_ratio.args[2] if isinstance(log_ratio, Choice) else log_ratio
            pair = _quotient(last.xreplace({g: g.meaning() for g in last.atoms(grouped)}))
            if pair is not None and guard == TRUE and body == pair[0] * log_ratio:
                return index, term / factor, *pair
    return None


@rule(
    "log of a share of a mixture",
    "where the mixture is near its part, the quotient is near 1 and its distance from 1 counts",
    holds="the weights of the mixture have sum 1",
)
def share_of_mixture(node: Expr, loss: Loss) -> Expr | None:
    """log(w/m) = -log(1 + (m - w)/w)."""
    pair = _quotient(node)
    if pair is None:
        return None
    parts = _mixture(pair[1], loss)
    if pair[0] not in [part for _, part in parts]:
        return None
    near = -log1p((pair[1] - pair[0]) / pair[0])
    return _near(*pair, near, log(grouped(pair[0] / pair[1])))


RULES = (softmaxes, from_mixture, share_of_mixture)
