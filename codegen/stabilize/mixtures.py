"""Rules for divergences from a mixture of distributions, whose terms of first order add up to 0."""

from __future__ import annotations

from sympy import Add, Expr, Integer, Mul, Pow, Rational, log

from codegen.bounds import nonnegative, vanishes
from codegen.stabilize.divergence import log_ratio, quotient
from codegen.stabilize.local import body_of, powers, rule, without
from derive.functions import absolute, expm1, grouped, log1p, log1pmx
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


def _mixture(mixed: Expr, loss: Loss) -> list[tuple[Expr, Expr]]:
    """Weights and entries where this is c_1 w_1 + c_2 w_2 + ..., with weights of sum 1."""
    body = body_of(mixed, loss) or mixed
    parts = []
    for term in Add.make_args(body):
        for part in Mul.make_args(term):
            entry_of = isinstance(part, Entry) and part.indices and nonnegative(part, loss)
            if entry_of or isinstance(part, Delta):
                parts.append((term / part, part))
    whole = sum((weight for weight, _ in parts), Integer(0)).expand()
    same = len(parts) == len(Add.make_args(body)) > 1
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
    found = [_divergence(part, loss) for term in Add.make_args(node) for part in _sums(term)]
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
    return total(index, _pieces(parts, mixed, loss))


def _sums(term: Expr) -> list[Expr]:
    """The term, or where it is a sum of several things that of each."""
    for factor in Mul.make_args(term):
        if isinstance(factor, Total) and factor.args[1].is_Add:
            index, body, guard = factor.opened()
            rest = without(term, factor)
            return [rest * total(index, part, guard) for part in Add.make_args(body)]
    return [term]


def _pieces(parts: list[tuple[Expr, Expr]], mixed: Expr, loss: Loss) -> Expr:
    """sum_j c_j (w_j log(w_j/m) - w_j + m), each term >= 0; what was added has sum 0."""
    pieces = []
    for weight, part in parts:
        gap = mixed - part
        near, far = -part * log1pmx(gap / part), gap + part * log(grouped(part / mixed))
        piece = _near(part, mixed, near, far)
        close = _excess(part, parts, loss)
        if close is not None:
            piece = Choice(close[0], -part * log1pmx(close[1]), piece)
        pieces.append(weight * piece)
    return Add(*pieces)


def _excess(
    part: Expr, parts: list[tuple[Expr, Expr]], loss: Loss
) -> tuple[Condition, Expr] | None:
    """Whether the two parts are close softmaxes, and where so (m - w)/w = c (exp(log(v/w)) - 1)."""
    others = [(weight, other) for weight, other in parts if other != part]
    if len(parts) != 2 or len(others) != 1:
        return None
    ((weight, other),) = others
    first, second = sorted((part, other), key=str)
    found = log_ratio(first, second, loss)  # the same for both parts
    if found is None:
        return None
    close, ratio = found
    return close, weight * expm1(ratio if other == first else -ratio)


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
    return _pieces(at_label, there, loss) + _without_class(given[1:], index, away)


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
        index, body, guard = inside.opened()
        for ratio in Mul.make_args(body):
            last = ratio.args[2] if isinstance(ratio, Choice) else ratio
            pair = _share(last.xreplace({g: g.meaning() for g in last.atoms(grouped)}))
            if pair is not None and guard == TRUE and body == pair[0] * ratio:
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
    pair = _share(node)
    if pair is None:
        return None
    parts = _mixture(pair[1], loss)
    if pair[0] not in [part for _, part in parts]:
        return None
    near = -log1p((pair[1] - pair[0]) / pair[0])
    value = _near(*pair, near, log(grouped(pair[0] / pair[1])))
    close = _excess(pair[0], parts, loss)
    return value if close is None else Choice(close[0], -log1p(close[1]), value)


def _share(node: Expr) -> tuple[Expr, Expr] | None:
    """w and m where the node is log(w/m), w a name and m a name, or a sum of names."""
    named = quotient(node)
    if named is not None or not isinstance(node, log):
        return named
    above = [arg for arg in Mul.make_args(node.args[0]) if isinstance(arg, Entry)]
    below = [b for b, n in powers(node.args[0]) if b.is_Add and n == -1]
    if len(above) != 1 or len(below) != 1:
        return None
    number = without(node.args[0], above[0], 1 / below[0])
    return (above[0], (below[0] / number).expand()) if number.is_number else None


@rule(
    "log of a share of a sum",
    "where the part is most of the sum, the quotient is near 1 and the others are what counts",
    holds="the part and the others are > 0",
)
def share_of_sum(node: Expr, loss: Loss) -> Expr | None:
    """log(w/(c w + v)) = -log(c) - log(1 + v/(c w)), for a name w of a share."""
    if not isinstance(node, log):
        return None
    above = [arg for arg in Mul.make_args(node.args[0]) if isinstance(arg, Entry)]
    below = [b for b, n in powers(node.args[0]) if b.is_Add and n == -1]
    if len(above) != 1 or len(below) != 1 or not vanishes(above[0], loss):
        return None
    own = [term for term in below[0].args if above[0] in Mul.make_args(term)]
    if len(own) != 1 or not without(own[0], above[0]).is_number:
        return None
    rest, number = below[0] - own[0], without(node.args[0], above[0], 1 / below[0])
    if not number.is_positive or not all(nonnegative(part, loss) for part in (own[0], rest)):
        return None
    near = log(number * above[0] / own[0]) - log1p(rest / own[0])
    return Choice(Condition("<", rest, own[0]), near, log(grouped(node.args[0])))


RULES = (from_mixture, from_mixture_with_class, share_of_mixture, share_of_sum)
