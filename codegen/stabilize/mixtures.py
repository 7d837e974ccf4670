"""Rules for divergences from a mixture of distributions, whose terms of first order add up to 0."""

from __future__ import annotations

from sympy import Add, Expr, Integer, Mul, Pow, Rational, log

from codegen.bounds import nonnegative
from codegen.stabilize.divergence import quotient
from codegen.stabilize.local import body_of, rule
from derive.functions import absolute, grouped, log1p, log1pmx
from derive.index import (
    TRUE,
    Choice,
    Condition,
    Delta,
    Entry,
    Index,
    Total,
    free_indices,
    substitute,
    total,
)
from derive.loss import Loss

NEAR = Rational(3, 8)  # with equal weights, 1/2 would be a tie wherever another part is 0


def _mixture(entry: Expr, loss: Loss) -> list[tuple[Expr, Expr]]:
    """Weights and entries where the name is c_1 w_1 + c_2 w_2 + ..., with weights of sum 1."""
    body = body_of(entry, loss)
    parts = []
    for term in Add.make_args(body) if body is not None else ():
        for part in Mul.make_args(term):
            entry_of = isinstance(part, Entry) and part.indices and nonnegative(part, loss)
            if entry_of or isinstance(part, Delta):
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
    return total(index, _pieces(parts, mixed))


def _pieces(parts: list[tuple[Expr, Expr]], mixed: Expr) -> Expr:
    """sum_j c_j (w_j log(w_j/m) - w_j + m), each term >= 0; what was added has sum 0."""
    pieces = []
    for weight, part in parts:
        gap = mixed - part
        near, far = -part * log1pmx(gap / part), gap + part * log(grouped(part / mixed))
        pieces.append(weight * _near(part, mixed, near, far))
    return Add(*pieces)


@rule(
    "divergences from a mixture with a class",
    "the terms of the first order at the class add up to 0; with each less its own, nothing"
    " cancels, and the other classes have the part of the class in no term",
    holds="the weights of the mixture have sum 1",
)
def from_mixture_with_class(node: Expr, loss: Loss) -> Expr | None:
    """-c_1 log m_t + sum_j c_j sum_i w_j log(w_j/m) with m = c_1 delta_t + sum_j c_j w_j.

    At t as for a mixture of numbers; elsewhere the logarithms are of w_j/(sum_j c_j w_j).
    """
    terms = list(Add.make_args(node))
    at_class = [(term, found) for term in terms if (found := _log_at_class(term)) is not None]
    if len(at_class) != 1 or len(terms) < 2:
        return None
    own, (first, there) = at_class[0]
    *row, label = there.indices
    others = [d for term in terms if term != own and (d := _divergence(term, loss)) is not None]
    if len(others) != len(terms) - 1:
        return None
    index = others[0][0]
    mixed = Entry(there.tensor, *row, index)
    here = [(c, substitute(w, {i: index}), substitute(m, {i: index})) for i, c, w, m in others]
    given = [(first, Delta(label, index)), *((c, w) for c, w, _ in here)]
    same = sorted(given, key=str) == sorted(_mixture(mixed, loss), key=str)
    if not same or any(m != mixed for *_, m in here):
        return None
    at_label = [(c, substitute(w, {index: label})) for c, w in given]
    away = Condition("!=", index, label)
    return _pieces(at_label, there) + _without_class(given[1:], index, away)


def _without_class(parts: list[tuple[Expr, Expr]], index: Index, away: Condition) -> Expr:
    """sum_j c_j sum_i w_j log(w_j/m) over the classes that one part of m has no share of."""
    if len(parts) > 1:
        rest = Add(*(c * w for c, w in parts))
        return total(index, Add(*(c * w * log(grouped(w / rest)) for c, w in parts)), away)
    ((c, w),) = parts
    return -c * (log1p(c - 1) if c.is_Add else log(c)) * total(index, w, away)


def _divergence(term: Expr, loss: Loss) -> tuple[Index, Expr, Expr, Expr] | None:
    """The index, c, w and m where the term is c times sum_i w log(w/m), or times a name of it."""
    for factor in Mul.make_args(term):
        inside = body_of(factor, loss) or factor
        if not isinstance(inside, Total):
            continue
        index, body, guard = inside.open()
        for log_ratio in Mul.make_args(body):
            last = log_ratio.args[2] if isinstance(log_ratio, Choice) else log_ratio
            pair = quotient(last.xreplace({g: g.meaning() for g in last.atoms(grouped)}))
            if pair is not None and guard == TRUE and body == pair[0] * log_ratio:
                return index, term / factor, *pair
    return None


def _log_at_class(term: Expr) -> tuple[Expr, Entry] | None:
    """c and m_t where the term is -c log m_t, t a class label."""
    for factor in Mul.make_args(term):
        if not isinstance(factor, log):
            continue
        inside, sign = factor.args[0], -1
        if isinstance(inside, Pow) and inside.exp == -1:
            inside, sign = inside.base, 1
        labels = isinstance(inside, Entry) and inside.indices
        if labels and isinstance(inside.indices[-1], Entry):
            return sign * term / factor, inside
    return None


@rule(
    "log of a share of a mixture",
    "where the mixture is near its part, the quotient is near 1 and its distance from 1 counts",
    holds="the weights of the mixture have sum 1",
)
def share_of_mixture(node: Expr, loss: Loss) -> Expr | None:
    """log(w/m) = -log(1 + (m - w)/w)."""
    pair = quotient(node)
    if pair is None:
        return None
    parts = _mixture(pair[1], loss)
    if pair[0] not in [part for _, part in parts]:
        return None
    near = -log1p((pair[1] - pair[0]) / pair[0])
    return _near(*pair, near, log(grouped(pair[0] / pair[1])))


RULES = (from_mixture, from_mixture_with_class, share_of_mixture)
