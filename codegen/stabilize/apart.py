"""Rules for 1, or one exponential, and sums of exponentials apart from it."""

from __future__ import annotations

from sympy import Add, Expr, Mul, S, exp, log

from codegen.bounds import positive
from codegen.stabilize.local import powers, rule, split_exp
from derive.functions import sigmoid, softplus
from derive.index import TRUE, Total
from derive.loss import Loss


def _own_and_sums(node: Expr, loss: Loss) -> tuple[Expr, Expr] | None:
    """v and u where the node is exp(v) + u, and u a product of sums of exponentials; 1 is exp(0).

    Other factors of u are > 0.
    """
    for arg in node.args if node.is_Add else ():
        rest, (cofactor, v) = node - arg, split_exp(arg)
        if cofactor == 1 and not rest.is_Add and _has_sums(rest, loss):
            return S.Zero if v is None else v, rest
    return None


def _has_sums(product: Expr, loss: Loss) -> bool:
    sums = [f for f in Mul.make_args(product) if isinstance(f, Total) and f.args[1].has(exp)]
    held = all(split_exp(f.open()[1])[1] is not None for f in sums)
    return bool(sums) and held and all(positive(f, loss) for f in Mul.make_args(product))


@rule(
    "one and a sum of exponentials",
    "the sum by its logarithm cannot overflow; of one and it, softplus is the logarithm",
)
def log_of_own_and_sums(node: Expr, loss: Loss) -> Expr | None:
    """log(1 + u) = softplus(log u), and log(exp(v) + u) = v + softplus(log(u) - v)."""
    found = _own_and_sums(node.args[0], loss) if isinstance(node, log) else None
    return None if found is None else found[0] + softplus(log(found[1]) - found[0])


@rule(
    "share of one and a sum of exponentials",
    "the sum by its logarithm cannot overflow, nor what is divided by it",
)
def share_of_own_and_sums(node: Expr, loss: Loss) -> Expr | None:
    """w/(exp(v) + u) = w exp(-v) sigmoid(v - log u); w/u sigmoid(log(u) - v) if w has another exp.

    So w/(1 + u) = w sigmoid(-log u).
    """
    for base, power in powers(node):
        found = _own_and_sums(base, loss) if power.is_Integer and power.is_negative else None
        if found is not None:
            v, u = found
            share = exp(power * v) * sigmoid(v - log(u)) ** -power
            return _other_way(share * (node / base**power), loss) or share * (node / base**power)
    return _other_way(node, loss)


def _other_way(node: Expr, loss: Loss) -> Expr | None:
    """With an exponential left that is not exp(-n v), the powers of u below it.

    A sum over some of an axis may be over none of it, and is not divided by.
    """
    for base, n in powers(node) if node.is_Mul else ():
        found = _sums_in_share(base, loss) if n.is_Integer and n.is_positive else None
        if found is None or any(part.args[2] != TRUE for part in found[1].atoms(Total)):
            continue
        v, u = found
        rest, own = split_exp(node / base**n)
        left = S.Zero if own is None else own
        if left.expand() != 0 or rest.has(exp):
            return rest * exp(left + n * v) * u**-n * sigmoid(log(u) - v) ** n
    return None


def _sums_in_share(base: Expr, loss: Loss) -> tuple[Expr, Expr] | None:
    """v and u where the base is sigmoid(v - log u), and u a product of sums of exponentials."""
    for term in Add.make_args(base.args[0]) if isinstance(base, sigmoid) else ():
        if isinstance(-term, log) and _has_sums((-term).args[0], loss):
            return base.args[0] - term, (-term).args[0]
    return None


RULES = (log_of_own_and_sums, share_of_own_and_sums)
