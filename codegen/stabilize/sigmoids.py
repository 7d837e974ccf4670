"""Rules for differences of logistic functions, which cancel where their arguments are close."""

from __future__ import annotations

from sympy import Add, Expr, S, factor_terms, log, tanh

from codegen.stabilize.local import body_of, powers, rule, without
from derive.functions import erfc, log1mexp, sigmoid, softplus
from derive.index import free_indices
from derive.loss import Loss


def _difference(node: Expr) -> tuple[Expr, Expr, Expr] | None:
    """c, a and b where the node is c (sigmoid(a) - sigmoid(b))."""
    if not node.is_Add or len(node.args) != 2:
        return None
    (c, one), (d, two) = (arg.as_independent(sigmoid, as_Add=False) for arg in node.args)
    if not isinstance(one, sigmoid) or not isinstance(two, sigmoid) or c + d != 0:
        return None
    a, b = one.args[0], two.args[0]
    return (-c, b, a) if c.could_extract_minus_sign() else (c, a, b)


@rule(
    "log of a difference of sigmoids",
    "as a product nothing cancels, and its logarithm is finite in both tails",
)
def log_of_difference(node: Expr, loss: Loss) -> Expr | None:
    """log(sigmoid(a) - sigmoid(b)) = -softplus(-a) - softplus(b) + log(1 - exp(b - a))."""
    found = _difference(node.args[0]) if isinstance(node, log) else None
    if found is None or found[0] != 1:
        return None
    _, a, b = found
    return -softplus(-a) - softplus(b) + log1mexp((b - a).expand())


@rule(
    "log of a difference of names",
    "the names are written out: what is left of their difference keeps its digits",
)
def log_of_names(node: Expr, loss: Loss) -> Expr | None:
    """log(p - q) and log(1 - p - q), where the names stand for logistic or error functions."""
    if not isinstance(node, log) or not node.args[0].is_Add:
        return None
    found = []
    for term in node.args[0].args:
        sign, name = term.as_coeff_Mul()
        body = body_of(name, loss)
        kind = S.One if body is None else body.as_coeff_Mul()[1]
        if not term.is_number and not isinstance(kind, sigmoid | erfc):
            return None
        found.append(term if body is None else sign * body)
    names = sum(1 for term in node.args[0].args if not term.is_number)
    return log(Add(*found)) if names > 1 else None


@rule(
    "slopes over a difference of sigmoids",
    "where the arguments are close both are 0, and in the tails both vanish; the quotient is"
    " between -1 and 1",
)
def slopes_over_difference(node: Expr, loss: Loss) -> Expr | None:
    """(sigmoid'(a) - sigmoid'(b))/(sigmoid(a) - sigmoid(b)) = sigmoid(-a) - sigmoid(b)."""
    for base, power in powers(node) if node.is_Mul else ():
        found = _difference(base) if power == -1 else None
        if found is None:
            continue
        c, a, b = found
        slopes = sigmoid(a) * sigmoid(-a), sigmoid(b) * sigmoid(-b)
        for bracket in (f for f in node.args if f.is_Add and len(f.args) == 2):
            for first, second in (bracket.args, bracket.args[::-1]):
                d = first / slopes[0]
                if second == -d * slopes[1] and not d.has(sigmoid):
                    kept = without(node, bracket, 1 / base)
                    return kept * d / c * (sigmoid(-a) - sigmoid(b))
    return None


@rule(
    "difference of sigmoids",
    "where the arguments are close the digits of their difference are kept by tanh",
)
def difference(node: Expr, loss: Loss) -> Expr | None:
    """sigmoid(a) - sigmoid(b) = tanh((a-b)/2) (sigmoid(a) sigmoid(-b) + sigmoid(-a) sigmoid(b))."""
    found = _difference(node)
    if found is None or free_indices(found[0]) - free_indices(node):
        return None
    c, a, b = found
    both = sigmoid(a) * sigmoid(-b) + sigmoid(-a) * sigmoid(b)
    return c * tanh(factor_terms(((a - b) / 2).expand())) * both


RULES = (log_of_names, log_of_difference, slopes_over_difference, difference)
