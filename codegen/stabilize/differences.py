"""Rules that put back what rounding takes from a difference, and from a sum less one of its terms.

What is put back is 0 as a number, and the rounding error as it is computed (Knuth's two-sum).
"""

from __future__ import annotations

from sympy import Expr, Integer, Rational, exp

from codegen.bounds import is_weight
from codegen.stabilize.local import rule
from derive.functions import grouped, sigmoid, softplus
from derive.index import TRUE, Choice, Condition, Entry, Total, substitute, total
from derive.loss import Loss

HALF = Rational(1, 2)


def _sides(node: Expr) -> tuple[Expr, Expr] | None:
    """The two terms of a sum of two names, each with a sign at most."""
    if not node.is_Add or len(node.args) != 2:
        return None
    parts = [term.as_coeff_Mul() for term in node.args]
    if any(abs(sign) != 1 or not isinstance(name, Entry) for sign, name in parts):
        return None
    (one, two) = node.args
    return one, two


def _lost(one: Expr, two: Expr) -> tuple[Expr, Expr]:
    """The rounded sum of two numbers, and what rounding took from it."""
    whole = grouped(one + two)
    second = grouped(whole - one)
    first = grouped(whole - second)
    rest = grouped(one - first) + grouped(two - second)
    return whole, Choice(Condition(">", rest, Integer(-1)), rest, Integer(0))  # NaN gives 0


@rule(
    "rounding put back",
    "where the two sides are far larger than 1, the rounding of their difference costs digits of"
    " the result; the first derivative puts them back",
    source="Knuth, The Art of Computer Programming, section 4.2.2",
)
def put_back(node: Expr, loss: Loss) -> Expr | None:
    """f(u + v) = f(d) + r f'(d), with d the rounded sum and r = u + v - d."""
    if not isinstance(node, exp | sigmoid | softplus):
        return None
    sides = _sides(node.args[0])
    if sides is None:
        return None
    d, r = _lost(*sides)
    if isinstance(node, exp):
        return exp(d) * (1 + r)
    value = sigmoid(d)
    if isinstance(node, softplus):
        return softplus(d) + r * value
    return grouped(value + r * value - r * value * value)


@rule(
    "sum less a large term",
    "a term above 1/2 is taken from the sum of such terms, of which it may be the only one, and"
    " the small ones are added to what is left",
)
def all_but_one(node: Expr, loss: Loss) -> Expr | None:
    """sum_k y_k - y_i = sum of the small ones + (sum of the large ones - y_i), for a large y_i."""
    if not node.is_Add or len(node.args) != 2:
        return None
    for whole, other in (node.args, node.args[::-1]):
        sign, sum_of = whole.as_coeff_Mul()
        if abs(sign) != 1 or not isinstance(sum_of, Total) or not isinstance(-sign * other, Entry):
            continue
        index, body, guard = sum_of.opened()
        one = -sign * other
        if guard != TRUE or not isinstance(body, Entry) or not is_weight(body, loss):
            continue
        if one not in [substitute(body, {index: place}) for place in one.indices]:
            continue
        large = Condition(">", body, HALF)
        small = total(index, Choice(large, Integer(0), body))
        heavy = total(index, Choice(large, body, Integer(0)))
        apart = small + grouped(heavy - one)
        return sign * Choice(Condition(">", one, HALF), apart, grouped(small + heavy) - one)
    return None


OPTIONAL = (put_back, all_but_one)
