"""Rules for sums of exponentials over an axis: shift by the maximum, and keep what is left."""

from __future__ import annotations

from sympy import Add, Expr, Integer, Mul, S, exp, log

from codegen.bounds import is_shifted, nonnegative, positive
from codegen.stabilize.local import body_of, peak_of, powers, rule, split_exp
from derive.functions import grouped, log1p
from derive.index import (
    Choice,
    Condition,
    Entry,
    Index,
    Maximum,
    Total,
    entries,
    substitute,
    tensors,
    total,
)
from derive.loss import Loss


@rule(
    "write out the exponentials",
    "the name stands for exponentials, which have to be seen to be kept from overflowing",
)
def expose(node: Expr, loss: Loss) -> Expr | None:
    """A name whose definition is an exponential, or a sum of them, gives way to it."""
    body = body_of(node, loss)
    if body is None:
        return None
    if isinstance(body, Entry):
        return expose_entry(body, loss)
    return body if _is_exponential(body, loss) else None


def expose_entry(entry: Entry, loss: Loss) -> Expr | None:
    """What a name stands for, if that is an exponential."""
    body = body_of(entry, loss)
    return body if body is not None and _is_exponential(body, loss) else None


def _is_exponential(body: Expr, loss: Loss) -> bool:
    if body.is_Add:
        return all(split_exp(arg)[1] is not None or arg.is_number for arg in body.args)
    inside = body.args[1] if isinstance(body, Total) else body
    cofactor, exponent = split_exp(inside)
    if exponent is None or nonnegative(-exponent, loss):  # below 1 it cannot overflow
        return False
    return bool(cofactor.is_number) or (positive(cofactor, loss) and _is_given(cofactor, loss))


def _is_given(cofactor: Expr, loss: Loss) -> bool:
    """Whether the factor beside an exponential is made of targets, consts and params alone."""
    if cofactor.has(exp):
        return False
    found = [loss.declared.get(tensor.name) for tensor in tensors(cofactor)]
    return all(d is not None and d.role in ("target", "const", "param") for d in found)


def _sum_of_exps(node: Expr) -> tuple[Expr, Expr] | None:
    """For sum_k c_k exp(f_k), not yet shifted: the same sum shifted, and the maximum of f.

    So too for a sum of sums, over both axes.
    """
    if not isinstance(node, Total):
        return None
    index, body, guard = node.opened()
    if isinstance(body, Total):
        return _sum_of_sums(index, body, guard)
    cofactor, exponent = split_exp(body)
    if exponent is None or is_shifted(exponent, index) or not exponent.has(index):
        return None
    peak = peak_of(exponent, index, guard)
    return total(index, cofactor * exp(exponent - peak), guard), peak


def _sum_of_sums(outer: Index, body: Total, guard: Condition) -> tuple[Expr, Expr] | None:
    inner, inside, allowed = body.opened()
    cofactor, exponent = split_exp(inside)
    if exponent is None or exponent.has(Maximum) or not exponent.has(outer, inner):
        return None
    peak = peak_of(peak_of(exponent, inner, allowed), outer, guard)
    within = total(inner, cofactor * exp(exponent - peak), allowed)
    return total(outer, within, guard), peak


@rule(
    "shift by the maximum",
    "numerator and denominator are multiplied by exp(-max), after which no exponent is above 0"
    " and nothing overflows",
    source="Blanchard, Higham and Higham (2021)",
)
def shift_quotient(node: Expr, loss: Loss) -> Expr | None:
    """exp(a_i) / sum_k exp(a_k) = exp(a_i - m) / sum_k exp(a_k - m), with m = max_k a_k."""
    factors = list(powers(node))
    if not any(isinstance(base, Total) and exponent.is_negative for base, exponent in factors):
        return None
    kept: list[Expr] = []
    exponent_sum: Expr = S.Zero
    changed = False
    for base, power in factors:
        found = _sum_of_exps(base)
        if found is not None:
            base, peak = found
            exponent_sum += power * peak
            changed = True
        if isinstance(base, exp) and power == 1:
            exponent_sum += base.args[0]
        else:
            kept.append(base**power)
    return Mul(*kept, exp(exponent_sum)) if changed else None


@rule(
    "positive weights into the exponentials",
    "the largest term is that of weight and exponential together",
    holds="the weights are > 0",
)
def weights_into_exps(node: Expr, loss: Loss) -> Expr | None:
    """log sum_k c_k exp(f_k) = log sum_k exp(f_k + log c_k)."""
    if not isinstance(node, log) or not isinstance(node.args[0], Total):
        return None
    index, body, guard = node.args[0].opened()
    weight, exponent = split_exp(body)
    if exponent is None or not weight.has(index) or not positive(weight, loss):
        return None
    # In a bracket: SymPy takes the exponential of a logarithm back.
    return log(total(index, exp(exponent + grouped(log(weight))), guard))


@rule(
    "log-sum-exp",
    "the largest term is taken out of the sum, after which no exponent is above 0"
    " and nothing overflows",
    source="Blanchard, Higham and Higham (2021)",
)
def log_sum_exp(node: Expr, loss: Loss) -> Expr | None:
    """log sum_k c_k exp(f_k) = m + log sum_k c_k exp(f_k - m), with m = max_k f_k."""
    found = _sum_of_exps(node.args[0]) if isinstance(node, log) else None
    return None if found is None else found[1] + log(found[0])


@rule(
    "one and the rest",
    "the largest term is exp(0) = 1; with it apart, log(1 + rest) keeps a small rest",
)
def peel_largest(node: Expr, loss: Loss) -> Expr | None:
    """log sum_k exp(f_k - m) = log(1 + rest), where rest is the sum without one largest term."""
    if not isinstance(node, log) or not isinstance(node.args[0], Total):
        return None
    rest = rest_of_sum(node.args[0])
    return None if rest is None else log1p(rest)


@rule(
    "term to its maximum",
    "the difference of the largest logit and one of them is taken before anything is added to it",
)
def to_its_maximum(node: Expr, loss: Loss) -> Expr | None:
    """c (max f + w) - c f_t = c (max f - f_t + w), for a factor c that is no number."""
    for arg in node.args if node.is_Add else ():
        for bracket in Mul.make_args(arg):
            peaks = [x for x in Add.make_args(bracket) if isinstance(x, Maximum)]
            if not bracket.is_Add or len(peaks) != 1 or arg == bracket:
                continue
            inner, body, _ = peaks[0].opened()
            for other in node.args:
                labels = [x for x in entries(other) if x.tensor.label == inner.axis]
                for place in sorted(labels, key=str):
                    there, c = substitute(body, {inner: place}), arg / bracket
                    if (other / c + there).expand() == 0:
                        return node - arg - other + c * (bracket - there)
    return None


def rest_of_sum(node: Expr) -> Expr | None:
    """For sum_k exp(f_k - m) with m = max f: the same sum without one term that is 1.

    1 is taken from each term at the maximum, and the ties beyond one are counted: nothing
    cancels, and NaN stays NaN.
    """
    index, body, guard = node.opened()
    if not isinstance(body, exp) or not is_shifted(body.args[0], index):
        return None
    inner, _, allowed = peak_in(body.args[0]).opened()
    if substitute(allowed, {inner: index}) != guard:
        return None
    tied = is_largest(node, index)
    one = Choice(tied, Integer(1), Integer(0))
    return grouped(total(index, one, guard) - 1) + total(index, body - one, guard)


def peak_in(exponent: Expr) -> Expr:
    """The maximum that a shifted exponent subtracts."""
    return next(-arg for arg in Add.make_args(exponent) if isinstance(-arg, Maximum))


def is_largest(node: Expr, at: Expr) -> Condition:
    """Whether the exponent of a shifted sum is at its maximum there."""
    index, body, _ = node.opened()
    exponent = substitute(body.args[0], {index: at})
    peak = peak_in(exponent)
    return Condition("==", exponent + peak, peak)


@rule(
    "take an exponential out of a sum",
    "it is the same for every term; outside it can meet the exponential that it cancels",
)
def release(node: Expr, loss: Loss) -> Expr | None:
    """sum_i c_i exp(u) = exp(u) sum_i c_i, where u does not depend on i."""
    if not isinstance(node, Total):
        return None
    index, body, guard = node.opened()
    _, exponent = split_exp(body)
    if exponent is None or exponent.has(index):
        return None
    return exp(exponent) * total(index, split_exp(body)[0], guard)


@rule(
    "take an exponential into a sum",
    "it meets the exponentials of the sum, after which none of them overflows",
)
def absorb(node: Expr, loss: Loss) -> Expr | None:
    """exp(-m) sum_i c_i exp(f_i) = sum_i c_i exp(f_i - m), and the same for a sum of such sums."""
    if not node.is_Mul:
        return None
    cofactor, exponent = split_exp(node)
    if exponent is None:
        return None
    shift = any(isinstance(-arg, Maximum) for arg in Add.make_args(exponent))
    for factor in Mul.make_args(cofactor):
        if not shift and not _meets(factor, exponent):
            continue
        taken = _times_exp(factor, exponent)
        if taken is not None:
            return Mul(*(taken if other == factor else other for other in Mul.make_args(cofactor)))
    return None


def _meets(factor: Expr, exponent: Expr) -> bool:
    """Whether the terms of a sum, which has exponentials, depend on what the exponent does.

    What was taken out of a sum as its maximum stays outside.
    """
    mine = factor.args[1] if isinstance(factor, Total) else S.Zero
    if exponent.has(Maximum) or mine.has(Maximum):
        return False
    return bool(split_exp(mine)[1]) and bool(entries(mine) & entries(exponent))


def _times_exp(expr: Expr, exponent: Expr) -> Expr | None:
    """exp(exponent) * expr with every exponential merged; None where a term has none."""
    if expr.is_Add:
        terms = [_times_exp(term, exponent) for term in expr.args]
        return None if None in terms else Add(*terms)
    if isinstance(expr, Choice):
        condition, *sides = expr.args
        each = [side if side == 0 else _times_exp(side, exponent) for side in sides]
        return None if None in each else Choice(condition, *each)
    if isinstance(expr, Total):
        index, body, guard = expr.opened()
        inside = _times_exp(body, exponent)
        return None if inside is None else total(index, inside, guard)
    cofactor, own = split_exp(expr)
    if own is not None:
        return cofactor * exp(own + exponent)
    for factor in Mul.make_args(expr) if expr.is_Mul else ():
        taken = _times_exp(factor, exponent)
        if taken is not None:
            return expr / factor * taken
    return None


RULES = (
    shift_quotient,
    log_sum_exp,
    peel_largest,
    to_its_maximum,
    release,
    absorb,
)
