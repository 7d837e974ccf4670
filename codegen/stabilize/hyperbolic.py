"""Rules for hyperbolic functions, which overflow where their quotients and logarithms do not."""

from __future__ import annotations

from sympy import Add, Expr, Integer, Rational, cosh, exp, log, sinh, tanh

from codegen.stabilize.local import powers, rule
from derive.functions import absolute, log1p, sigmoid
from derive.index import Choice, Condition
from derive.loss import Loss


@rule(
    "hyperbolic tangent",
    "sinh and cosh overflow together; their quotient stays between -1 and 1",
)
def to_tanh(node: Expr, loss: Loss) -> Expr | None:
    """sinh(x) / cosh(x) = tanh(x)."""
    below = [base for base, power in powers(node) if isinstance(base, cosh) and power == -1]
    above = [base for base, power in powers(node) if isinstance(base, sinh) and power == 1]
    for base in below:
        x = base.args[0]
        if sinh(x) in above:
            return node * base / sinh(x) * tanh(x)
    return None


@rule(
    "log of cosh",
    "cosh overflows where its logarithm is near |x| - log 2; near 0 it is 1 plus little",
)
def log_cosh(node: Expr, loss: Loss) -> Expr | None:
    """log cosh x = log(1 + sinh(x)^2)/2 = |x| + log(1 + exp(-2|x|)) - log 2."""
    if not isinstance(node, log) or not isinstance(node.args[0], cosh):
        return None
    x = node.args[0].args[0]
    size = absolute(x)
    near = Rational(1, 2) * log1p(sinh(x) ** 2)
    far = Add(size, log(1 + exp(-2 * size)), -log(2))
    return Choice(Condition("<", size, Integer(1)), near, far)


@rule(
    "log of the slope of tanh",
    "near 0 the slope is 1 less little; in the tails it vanishes, and its logarithm does not",
)
def log_slope(node: Expr, loss: Loss) -> Expr | None:
    """log(1 - tanh(x)^2) = -2 log cosh(x)."""
    square = 1 - node.args[0] if isinstance(node, log) else None
    if square is None or not square.is_Pow or square.exp != 2 or not isinstance(square.base, tanh):
        return None
    return -2 * log(cosh(square.base.args[0]))


@rule(
    "slope of tanh",
    "where tanh is near 1 or -1 what is left of 1 keeps its digits as a product of two sigmoids",
)
def tanh_slope(node: Expr, loss: Loss) -> Expr | None:
    """1 - tanh(x)^2 = 4 sigmoid(2 x) sigmoid(-2 x)."""
    if not node.is_Add:
        return None
    for arg in node.args:
        number, share = arg.as_independent(tanh, as_Add=False)
        square = share.is_Pow and isinstance(share.base, tanh) and share.exp == 2
        if square and number.is_number and -number in node.args:
            x = share.base.args[0]
            rest = [other for other in node.args if other not in (arg, -number)]
            return Add(*rest, -4 * number * sigmoid(2 * x) * sigmoid(-2 * x))
    return None


RULES = (to_tanh, log_slope, log_cosh, tanh_slope)
