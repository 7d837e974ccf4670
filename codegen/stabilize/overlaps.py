"""Rules for sums of products of two distributions, which are near 1 where these are alike."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Add, Expr, Mul, S, factor_terms, log

from codegen.stabilize.complement import complement_of
from codegen.stabilize.divergence import log_ratio
from codegen.stabilize.local import body_of, rule
from derive.functions import absolute, expm1, expm1mx, grouped, log1p
from derive.index import TRUE, Choice, Condition, Entry, Total, total
from derive.loss import Loss


def _is_distribution(entry: Expr, loss: Loss) -> bool:
    """Whether the entries over the last index are to have sum 1: as declared, or a softmax."""
    if not isinstance(entry, Entry):
        return False
    declared = loss.declared.get(entry.tensor.name)
    if declared is not None:
        return declared.domain.kind == "simplex"
    body = body_of(entry, loss)
    return body is not None and body.is_Mul and complement_of(body, loss) is not None


def _overlap(node: Expr, loss: Loss) -> Expr | None:
    """sum_i w_i - 1 without cancellation, where the terms are products of powers of shares.

    A softmax has sum 1; of a target nothing is assumed, and the sum less 1 is a term of its own.
    With c = log(q/p) of two softmaxes, sum p (exp(c) - 1) = 0 takes the first order with it.
    """
    if not isinstance(node, Total):
        return None
    index, body, guard = node.opened()
    factors = list(_factors(body))
    if guard != TRUE or not all(_is_distribution(base, loss) for base, _ in factors):
        return None
    if not all(base.indices[-1] == index for base, _ in factors):
        return None
    order = Add(*(n for _, n in factors)).expand()
    share = _given_first(factors, loss)
    whole = _is_given(share, loss) and (share, 1) in factors  # sum_i y_i w_i
    if (order == 1) != (len(factors) > 1) and not (whole and len(factors) > 1):
        return None
    rest = {share: -S.One}
    for base, n in factors:
        rest[base] = rest.get(base, S.Zero) + n
    exponent = factor_terms(Add(*(n * log(base) for base, n in rest.items())))
    lost = total(index, share * expm1(exponent))
    others = [base for base in rest if base != share]
    close = log_ratio(others[0], share, loss) if order == 1 and len(others) == 1 else None
    if close is not None:
        n, c = rest[others[0]], close[1]
        lost = Choice(close[0], total(index, share * (expm1mx(n * c) - n * expm1mx(c))), lost)
    return lost + grouped(total(index, share) - 1) if _is_given(share, loss) else lost


def _factors(body: Expr) -> Iterator[tuple[Expr, Expr]]:
    """Bases and powers; those of a power of a product one by one: shares are never below 0."""
    for factor in Mul.make_args(body):
        base, n = factor.as_base_exp()
        yield from ((part, n) for part in Mul.make_args(base))


def _is_given(share: Entry, loss: Loss) -> bool:
    return share.tensor.name in loss.declared


def _given_first(factors: list[tuple[Expr, Expr]], loss: Loss) -> Expr:
    """The distribution to weigh with: a target, whose zeros say that a term is 0."""
    bases = sorted((base for base, _ in factors), key=str)
    given = [base for base in bases if _is_given(base, loss)]
    return (given or bases)[0]


@rule(
    "overlap of distributions",
    "the shares have sum 1; with each term less its share what is small is small in every term",
)
def less_one(node: Expr, loss: Loss) -> Expr | None:
    """c sum_i p_i^a q_i^(1-a) - c = c sum_i p_i (exp((1-a) (log q_i - log p_i)) - 1)."""
    for arg, scale, found in _terms(node, loss):
        return Add(*(x for x in node.args if x not in (arg, -scale)), scale * found)
    return None


def _terms(node: Expr, loss: Loss) -> Iterator[tuple[Expr, Expr, Expr]]:
    for arg in node.args if node.is_Add else ():
        for factor in Mul.make_args(arg):
            found = _overlap(factor, loss)
            if found is not None and -arg / factor in node.args:
                yield arg, arg / factor, found


@rule(
    "log of an overlap of distributions",
    "near 1 what is taken from it counts",
)
def log_of_overlap(node: Expr, loss: Loss) -> Expr | None:
    """log sum_i w_i = log(1 + sum_i (w_i - p_i)), where the sum is near 1."""
    lost = _overlap(node.args[0], loss) if isinstance(node, log) else None
    if lost is None:
        return None
    near = Condition("<", absolute(lost), S.Half)
    return Choice(near, log1p(lost), log(grouped(node.args[0])))


RULES = (less_one, log_of_overlap)
