"""Rules for an exponential beside a logistic function: odds are probabilities over their rest."""

from __future__ import annotations

from sympy import Add, Expr, Mul, S, exp, log

from codegen.stabilize.local import powers, rule, split_exp, without
from derive.functions import sigmoid
from derive.index import Choice
from derive.loss import Loss


@rule(
    "odds to probability",
    "numerator and denominator share exp(x)",
)
def odds(node: Expr, loss: Loss) -> Expr | None:
    """exp(x) sigmoid(-x)^n = sigmoid(x) sigmoid(-x)^(n-1); c exp(x) counts as exp(x + log c)."""
    if not node.is_Mul:
        return None
    _, x = split_exp(node)
    for base, n in powers(node):
        whole = isinstance(base, sigmoid) and n.is_Integer and n > 0
        rest = (x + base.args[0]).expand() if x is not None and whole else S.One
        if all(
            isinstance(term.as_coeff_Mul()[1], log) or term == 0 for term in Add.make_args(rest)
        ):
            return node * exp(rest - x) / base * sigmoid(-base.args[0])
    return None


@rule(
    "odds to probability in a sum",
    "the exponential of the term and the logistic function are one logistic function, before"
    " either overflows",
)
def odds_in_sum(node: Expr, loss: Loss) -> Expr | None:
    """sigmoid(-x) (c exp(x) + d) = c sigmoid(x) + d sigmoid(-x)."""
    for base, n in powers(node) if node.is_Mul else ():
        if not isinstance(base, sigmoid) or not n.is_Integer or n < 1:
            continue
        for bracket in node.args:
            terms = bracket.args if bracket.is_Add else ()
            new = [_at_odds(term, base.args[0]) for term in terms]
            if any(term is not None for term in new):
                within = (t * base if o is None else o for t, o in zip(terms, new, strict=True))
                return without(node, bracket) / base * Add(*within)
    return None


@rule(
    "exponential into a sum of logistic functions",
    "the exponential meets the logistic function of the opposite number, before either overflows",
)
def into_shares(node: Expr, loss: Loss) -> Expr | None:
    """exp(x) (c sigmoid(-x) + d) = c sigmoid(x) + d exp(x), and so in the sides of a choice."""
    cofactor, x = split_exp(node) if node.is_Mul else (node, None)
    for bracket in Mul.make_args(cofactor) if x is not None else ():
        if bracket.is_Add and any(_meets(term, x) for term in bracket.args):
            return without(cofactor, bracket) * Add(*(_taken(t, x) for t in bracket.args))
    return None


def _meets(term: Expr, x: Expr) -> bool:
    """Whether a logistic function of -x is among the factors."""
    shares = [f for f in Mul.make_args(term) if isinstance(f, sigmoid)]
    return any((share.args[0] + x).expand() == 0 for share in shares)


def _taken(term: Expr, x: Expr) -> Expr:
    """The term times exp(x), which goes into the sides of a choice."""
    for factor in Mul.make_args(term):
        if isinstance(factor, Choice):
            condition, *sides = factor.args
            return without(term, factor) * Choice(condition, *(_taken(s, x) for s in sides))
    return term * exp(x)


def _at_odds(term: Expr, x: Expr) -> Expr | None:
    """c exp(u) sigmoid(x) as c exp(u + x) sigmoid(-x), where exp(u + x) has no exponential."""
    cofactor, u = split_exp(term)
    if u is None:
        return None
    for rest in Add.make_args((u + x).expand()):
        logs = [f for f in Mul.make_args(rest) if isinstance(f, log)]
        if rest != 0 and len(logs) != 1:
            return None
        cofactor *= logs[0].args[0] ** without(rest, logs[0]) if logs else 1
    return cofactor * sigmoid(-x)


RULES = (odds, odds_in_sum, into_shares)
