"""Rules for two exponentials: the logistic function and softplus, and how they are evaluated."""

from __future__ import annotations

from functools import reduce

from sympy import Add, Expr, Integer, Mul, Pow, S, cosh, exp, log, tanh

from codegen.bounds import positive
from codegen.stabilize import odds
from codegen.stabilize.local import powers, rule, split_exp, without
from derive.functions import absolute, largest, sigmoid, softplus
from derive.index import Choice, Condition, order
from derive.loss import Loss


def _two_exponents(node: Expr, loss: Loss) -> tuple[Expr, Expr] | None:
    """u and v where the node is exp(u) + exp(v); c > 0 counts as exp(log c)."""
    if not node.is_Add or len(node.args) != 2 or not node.has(exp):
        return None
    found: list[Expr] = []
    for arg in node.args:
        cofactor, exponent = split_exp(arg)
        if not positive(cofactor, loss) or (exponent is not None and cofactor.has(exp)):
            return None
        found.append(log(cofactor) + (S.Zero if exponent is None else exponent))
    if not any(split_exp(arg)[1] is not None for arg in node.args):
        return None
    plain = split_exp(node.args[0])[1] is None or split_exp(node.args[1])[1] is not None
    u, v = found if plain else reversed(found)
    return u, v


@rule(
    "quotient of a difference and a sum of exponentials",
    "both overflow; the quotient stays between -1 and 1",
)
def quotient_of_exps(node: Expr, loss: Loss) -> Expr | None:
    """(exp u - exp v)/(exp u + exp v) = tanh((u - v)/2)."""
    for base, power in powers(node):
        pair = _two_exponents(base, loss) if power == -1 else None
        if pair is None:
            continue
        one, two = base.args
        for sign, above in ((1, one - two), (-1, two - one)):
            if above in node.args:
                return sign * without(node, above, 1 / base) * tanh(_half(one, two))
    return None


def _half(one: Expr, two: Expr) -> Expr:
    """(u - v)/2 where these are exp(u) and exp(v)."""
    exponents = []
    for term in (one, two):
        cofactor, exponent = split_exp(term)
        exponents.append(log(cofactor) + (S.Zero if exponent is None else exponent))
    return (exponents[0] - exponents[1]) / 2


@rule(
    "logistic function",
    "numerator and denominator are divided by one exponential; what is left is the logistic"
    " function, which has a form that does not overflow",
)
def to_sigmoid(node: Expr, loss: Loss) -> Expr | None:
    """1/(exp u + exp v) = exp(-u) sigmoid(u - v); so 1/(1 + exp(-x)) = sigmoid(x)."""
    kept: list[Expr] = []
    exponent_sum: Expr = S.Zero
    changed = False
    for base, power in powers(node):
        pair = _two_exponents(base, loss) if power.is_negative else None
        if pair is not None:
            u, v = pair
            kept.append(sigmoid(u - v) ** -power)
            exponent_sum += power * u
            changed = True
        elif isinstance(base, exp) and power == 1:
            exponent_sum += base.args[0]
        else:
            kept.append(base**power)
    return Mul(*kept, exp(exponent_sum)) if changed else None


def _shifted(node: Expr, loss: Loss) -> tuple[Expr, Expr] | None:
    """For a sum of three exponentials or more: the largest exponent, and the sum less it."""
    if not node.is_Add or len(node.args) < 3:
        return None
    terms = [split_exp(arg) for arg in node.args]
    plain = [S.Zero if u is None else u for _, u in terms]
    if any(c.has(exp) or not positive(c, loss) for c, _ in terms) or len(set(plain)) < 3:
        return None
    if any(u.has(largest) for u in plain):
        return None
    peak = reduce(largest, sorted(plain, key=order))
    return peak, Add(*(c * exp(u - peak) for (c, _), u in zip(terms, plain, strict=True)))


@rule(
    "largest of several exponentials",
    "the largest is taken out of the sum, after which no exponent is above 0 and nothing overflows",
)
def log_of_several(node: Expr, loss: Loss) -> Expr | None:
    """log(c exp u + d exp v + ...) = m + log(c exp(u - m) + d exp(v - m) + ...), m the largest."""
    found = _shifted(node.args[0], loss) if isinstance(node, log) else None
    return None if found is None else found[0] + log(found[1])


@rule(
    "quotient by several exponentials",
    "numerator and denominator are divided by the largest, after which nothing overflows",
)
def over_several(node: Expr, loss: Loss) -> Expr | None:
    """w/(c exp u + d exp v + ...) = w exp(-m)/(c exp(u - m) + d exp(v - m) + ...)."""
    for base, power in powers(node):
        found = _shifted(base, loss) if power.is_negative else None
        if found is not None:
            peak, below = found
            terms = Add.make_args((node / base**power).expand())
            above = Add(*(split_exp(t)[0] * exp(_with(t) + power * peak) for t in terms))
            return above * below**power
    return None


def _with(term: Expr) -> Expr:
    exponent = split_exp(term)[1]
    return S.Zero if exponent is None else exponent


@rule("logistic functions of opposite numbers", "they add up to 1")
def opposite(node: Expr, loss: Loss) -> Expr | None:
    """c sigmoid(x) + c sigmoid(-x) = c."""
    for arg in node.args if node.is_Add else ():
        for factor in Mul.make_args(arg):
            if isinstance(factor, sigmoid):
                other = without(arg, factor) * sigmoid(-factor.args[0])
                if other in node.args:
                    return node - arg - other + without(arg, factor)
    return None


@rule(
    "log of a mean of two exponentials",
    "where the two are near each other the mean is near both, and what it is above them counts",
)
def log_of_mean(node: Expr, loss: Loss) -> Expr | None:
    """log((exp u + exp v)/2) = (u + v)/2 + log cosh((u - v)/2)."""
    if not isinstance(node, log) or not node.args[0].is_Add or len(node.args[0].args) != 2:
        return None
    (half, u), (other, v) = map(split_exp, node.args[0].args)
    if half != S.Half or other != S.Half or u is None or v is None:
        return None
    away = (u - v) if u.sort_key() < v.sort_key() else (v - u)
    return ((u + v) / 2).expand() + log(cosh((away / 2).expand()))


@rule(
    "softplus",
    "the logarithm of 1 + exp(x) is softplus, which has a form that does not overflow",
)
def to_softplus(node: Expr, loss: Loss) -> Expr | None:
    """log(exp u + exp v) = u + softplus(v - u); so log(1 + exp x) = softplus(x)."""
    pair = _two_exponents(node.args[0], loss) if isinstance(node, log) else None
    return None if pair is None else pair[0] + softplus(pair[1] - pair[0])


@rule(
    "log of the logistic function",
    "-softplus(-x) keeps its digits where sigmoid(x) is near 0 or 1",
)
def log_of_sigmoid(node: Expr, loss: Loss) -> Expr | None:
    """log sigmoid(x) = -softplus(-x)."""
    if isinstance(node, log) and isinstance(node.args[0], sigmoid):
        return -softplus(-node.args[0].args[0])
    return None


@rule(
    "sigmoid by sign",
    "for x >= 0 it is 1/(1 + exp(-x)); for x < 0 numerator and denominator are multiplied by"
    " exp(x); exp is only taken of numbers <= 0, and cannot overflow",
)
def sigmoid_by_sign(node: Expr, loss: Loss) -> Expr | None:
    """sigmoid(x) = 1/(1 + exp(-x)) where x >= 0, exp(x)/(1 + exp(x)) elsewhere."""
    if not isinstance(node, sigmoid):
        return None
    x = node.args[0]
    rising = Pow(1 + exp(-x), -1)
    return Choice(Condition(">=", x, Integer(0)), rising, exp(x) / (1 + exp(x)))


@rule(
    "softplus without overflow",
    "max(x, 0) is taken out, so that exp is only taken of -|x| and cannot overflow",
)
def softplus_by_size(node: Expr, loss: Loss) -> Expr | None:
    """softplus(x) = max(x, 0) + log(1 + exp(-|x|))."""
    if not isinstance(node, softplus):
        return None
    x = node.args[0]
    size = absolute(-x if x.could_extract_minus_sign() else x)
    return Add(largest(x, Integer(0)), log(1 + exp(-size)))


@rule(
    "softplus of the opposite",
    "a term that softplus takes in does not stand beside it to cancel",
)
def reflected(node: Expr, loss: Loss) -> Expr | None:
    """c softplus(x) - c x = c softplus(-x)."""
    for arg in node.args if node.is_Add else ():
        for factor in Mul.make_args(arg):
            if isinstance(factor, softplus):
                scale, x = arg / factor, factor.args[0]
                line = (-scale * x).expand()
                if all(term in node.args for term in Add.make_args(line)):
                    return node - arg - line + scale * softplus(-x)
    return None


RULES = (
    quotient_of_exps,
    to_sigmoid,
    log_of_several,
    over_several,
    *odds.RULES,
    opposite,
    log_of_mean,
    to_softplus,
    reflected,
    log_of_sigmoid,
)
EMITTED = (sigmoid_by_sign, softplus_by_size)
