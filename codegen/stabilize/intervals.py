"""Rules for what a normal distribution has in an interval: a difference of two error functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sympy import Add, Expr, Integer, Mul, S, erf, exp, log

from codegen.stabilize.local import body_of, powers, rule, split_exp, without
from derive.functions import erfc, erfcx, grouped
from derive.index import Choice, Condition
from derive.loss import Loss

Ends = tuple[Expr, Expr]


def _interval(node: Expr, loss: Loss) -> tuple[Expr, Ends] | None:
    """c, l and u where the node is c (erf(u) - erf(l)), also as erfc(l) - erfc(u) or in names."""
    if not node.is_Add or len(node.args) != 2:
        return None
    found: list[tuple[Expr, Expr]] = []
    for term in node.args:
        sign, name = term.as_coeff_Mul()
        whole = sign * (body_of(name, loss) or name)
        number, function = whole.as_coeff_Mul()
        if not isinstance(function, erf | erfc):
            return None
        found.append((-number if isinstance(function, erfc) else number, function.args[0]))
    (c, x), (d, y) = found
    if c + d != 0:
        return None
    return (c, (y, x)) if c.is_positive else (d, (x, y))


def _sides(ends: Ends) -> Iterator[tuple[Condition | None, Expr, Expr]]:
    """Where the interval is, and e and v with erf(u) - erf(l) = exp(e) v there.

    Above 0 it is exp(-l^2) (erfcx(l) - exp(l^2 - u^2) erfcx(u)), and so below it.
    """
    lower, upper = ends
    left = exp(_gap(ends))  # exp(l^2 - u^2)
    yield Condition(">", lower, Integer(0)), -(lower**2), erfcx(lower) - left * erfcx(upper)
    right = exp(-_gap(ends))
    yield Condition("<", upper, Integer(0)), -(upper**2), erfcx(-upper) - right * erfcx(-lower)
    yield None, S.Zero, erf(upper) - erf(lower)


def _gap(ends: Ends) -> Expr:
    """l^2 - u^2 as a product, in which nothing cancels but l - u."""
    lower, upper = ends
    gap: Expr = (lower - upper).expand() * (lower + upper)
    return gap


def _by_side(ends: Ends, of: Callable[[Expr, Expr], Expr]) -> Expr:
    """What `of` makes of e and v, in the order of the sides."""
    (above, e, v), (below, f, w), (_, g, x) = _sides(ends)
    assert above is not None
    assert below is not None
    return Choice(above, of(e, v), Choice(below, of(f, w), of(g, x)))


@rule(
    "log of a difference of error functions",
    "in a tail both are near 1, or vanish; with what they share taken out, what is left does not",
    holds="the interval is not empty",
)
def log_of_interval(node: Expr, loss: Loss) -> Expr | None:
    """log(c (erf(u) - erf(l))) = log c + e + log v, with e and v by the side of 0."""
    found = _interval(node.args[0], loss) if isinstance(node, log) else None
    if found is None:
        return None
    c, ends = found
    value = _by_side(ends, lambda e, v: e + log(grouped(v)))
    return value if c == 1 else value + log(c)


@rule(
    "densities over a difference of error functions",
    "in a tail all of them vanish; their quotient does not",
    holds="the interval is not empty",
)
def over_interval(node: Expr, loss: Loss) -> Expr | None:
    """(a exp(w) + b exp(x))/(erf(u) - erf(l)) = (a exp(w - e) + b exp(x - e))/v."""
    for base, power in powers(node) if node.is_Mul else ():
        found = _interval(base, loss) if power == -1 else None
        if found is None:
            continue
        c, ends = found
        rest = without(node, 1 / base)
        sums = [f for f in Mul.make_args(rest) if f.is_Add and f.has(exp)]
        above = sums[0] if sums else rest
        terms = [split_exp(term) for term in Add.make_args(above)]
        if all(w is not None for _, w in terms):
            kept = without(rest, above) if sums else S.One
            return kept / c * _over([(a, w) for a, w in terms if w is not None], ends)
    return None


def _over(terms: list[tuple[Expr, Expr]], ends: Ends) -> Expr:
    """The sum of a exp(w) over erf(u) - erf(l)."""

    def quotient(e: Expr, v: Expr) -> Expr:
        return Add(*(a * exp(_less(w, e, ends)) for a, w in terms)) / grouped(v)

    return _by_side(ends, quotient)


def _less(w: Expr, e: Expr, ends: Ends) -> Expr:
    """w - e; of the squares of the two ends as a product."""
    lower, upper = ends
    for mine, other, gap in ((lower, upper, _gap(ends)), (upper, lower, -_gap(ends))):
        if e == -(mine**2) and (w + other**2).expand() == 0:
            return gap
    left: Expr = (w - e).expand() if e != 0 else w
    return left


RULES = (log_of_interval, over_interval)
