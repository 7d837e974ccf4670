"""Rules for quotients and products of exponentials that overflow, or vanish, together."""

from __future__ import annotations

from sympy import Add, Expr, Integer, Mul, S, exp

from codegen.bounds import nonnegative
from codegen.stabilize.local import body_of, powers, rule, split_exp, without
from codegen.stabilize.near_one import exp_less_one_of
from derive.functions import expm1, grouped, sigmoid
from derive.index import Choice, Condition, entries
from derive.loss import Loss


@rule(
    "sum over an exponential less 1",
    "the exponential overflows in both; its quotient with itself is 1",
)
def term_by_term(node: Expr, loss: Loss) -> Expr | None:
    """(a expm1(u) + b)/expm1(u) = a + b/expm1(u)."""
    for base, power in powers(node) if node.is_Mul else ():
        if power != -1 or exp_less_one_of((body_of(base, loss) or base).as_coeff_Mul()[1]) is None:
            continue
        for bracket in node.args:
            whole = [t for t in Add.make_args(bracket) if base in Mul.make_args(t)]
            if whole and bracket.is_Add:
                rest = Add(*(t for t in bracket.args if t not in whole))
                kept = without(node, 1 / base, bracket)
                return kept * Add(*(t / base for t in whole), rest / base)
    return None


@rule(
    "exponential over itself less 1",
    "both overflow where the exponent is large; their quotient has the opposite exponent",
    holds="the exponent is >= 0",
)
def over_itself_less_one(node: Expr, loss: Loss) -> Expr | None:
    """exp(x)/(exp(x) - 1) = 1/(1 - exp(-x))."""
    w = split_exp(node)[1] if node.is_Mul else None
    for base, power in powers(node) if w is not None else ():
        found = exp_less_one_of(base) if power == -1 else None
        if found is None or not nonnegative(found[1], loss):
            continue
        rest = (w - found[1]).expand()
        if len(Add.make_args(rest)) < len(Add.make_args(w)) or rest == 0:
            return without(node, exp(w), 1 / base) * exp(rest) * -found[0] / expm1(-found[1])
    return None


@rule(
    "quotient of two exponentials that vanish",
    "an exponential is never 0, but where it is too small for a float both are, and their"
    " quotient has a limit",
)
def vanishing(node: Expr, loss: Loss) -> Expr | None:
    """exp(w)/(exp(c exp(v)) - 1); where exp(v) is no float above 0, its limit exp(w - v)/c."""
    w = split_exp(node)[1] if node.is_Mul else None
    for base, power in powers(node) if w is not None and not isinstance(w, grouped) else ():
        sign, below = (body_of(base, loss) or base).as_coeff_Mul()
        found = exp_less_one_of(below) if power == -1 else None
        c, v = split_exp(found[1]) if found is not None else (S.Zero, None)
        if found is not None and v is not None and abs(c) == 1 and entries(v) & entries(w):
            limit = exp((w - v).expand()) / (c * found[0] * sign)
            gone = Condition("==", exp(v), Integer(0))
            return without(node, exp(w), 1 / base) * Choice(gone, limit, exp(grouped(w)) / base)
    return None


@rule(
    "exponential beside one that decays faster",
    "where the exponential overflows the other factor is 0, and the product has the limit 0",
)
def decaying(node: Expr, loss: Loss) -> Expr | None:
    """exp(w) sigmoid(-c exp(w) - u), and 0 where exp(w) is beyond the floats, or 0."""
    cofactor, w = split_exp(node) if node.is_Mul else (node, None)
    for factor in Mul.make_args(cofactor) if w is not None else ():
        if isinstance(factor, sigmoid) and not isinstance(w, grouped):
            own = [split_exp(term) for term in Add.make_args(factor.args[0])]
            if any(v == w and c.is_number and c.is_negative for c, v in own):
                gone = Condition("==", exp(w), 2 * exp(w))
                return Choice(gone, S.Zero, cofactor * exp(grouped(w)))
    return None


RULES = (term_by_term, over_itself_less_one, vanishing, decaying)
