"""Rules for exp(u) - 1, log(1 - exp(u)) and powers less 1, which cancel where u is small."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Add, Expr, Integer, Mul, Pow, S, exp, log, tanh

from codegen.bounds import is_unit, nonnegative, positive
from codegen.stabilize.complement import complement_of
from codegen.stabilize.local import body_of, powers, rule, split_exp
from derive.functions import (
    absolute,
    erfc,
    expm1,
    expm1mx,
    grouped,
    log1mexp,
    log1p,
    log1pmx,
    sigmoid,
)
from derive.index import Choice, Condition
from derive.loss import Loss


def _with_opposite(node: Expr) -> Iterator[tuple[Expr, Expr, Expr, Expr]]:
    """Each way to read the sum as c f - c + the rest: c, f, -c and the rest."""
    for arg in node.args if node.is_Add else ():
        for factor in Mul.make_args(arg):
            scale = Mul(*(f for f in Mul.make_args(arg) if f != factor))
            if not factor.is_number and -scale in node.args:
                yield scale, factor, -scale, Add(*(x for x in node.args if x not in (arg, -scale)))


MOST_POWER = 8


@rule(
    "exponential less 1 and its argument",
    "both of the terms of first order cancel, where the argument is small",
)
def exp_less_line(node: Expr, loss: Loss) -> Expr | None:
    """c exp(u) - c u - c = c (exp(u) - 1 - u), as one function."""
    for scale, top, _, rest in _with_opposite(node):
        if isinstance(top, exp):
            line = (-scale * top.args[0]).expand()
            others = Add.make_args(rest.expand())
            if all(term in others for term in Add.make_args(line)):
                return scale * expm1mx(top.args[0]) + rest.expand() - line
    return None


@rule(
    "logarithm of 1 and its argument",
    "the logarithm is about its argument, where that is small, and their difference cancels",
)
def log_less_line(node: Expr, loss: Loss) -> Expr | None:
    """c log(1 + u) - c u = c log1pmx(u)."""
    for arg in node.args if node.is_Add else ():
        for factor in Mul.make_args(arg):
            inside = factor.args[0] - 1 if isinstance(factor, log) else None
            if inside is None or not factor.args[0].is_Add or 1 not in factor.args[0].args:
                continue
            scale = arg / factor
            for line in (-scale * inside, (-scale * inside).expand()):
                others = node.expand(deep=False) if line.is_Add else node
                if all(term in others.args for term in Add.make_args(line)):
                    return others - arg - line + scale * log1pmx(inside)
    return None


@rule("exponential less 1", "where the exponent is small, what is left of 1 keeps its digits")
def exp_less_one(node: Expr, loss: Loss) -> Expr | None:
    """c exp(u) - c = c expm1(u)."""
    for scale, top, _, rest in _with_opposite(node):
        if isinstance(top, exp):
            return scale * expm1(top.args[0]) + rest
    return None


def exp_less_one_of(node: Expr) -> tuple[int, Expr] | None:
    """The sign s and u, where the node is s (exp(u) - 1)."""
    if isinstance(node, expm1):
        return 1, node.args[0]
    if node.is_Add and len(node.args) == 2:
        for sign in (1, -1):
            top = sign * node + 1
            if isinstance(top, exp):
                return sign, top.args[0]
    return None


@rule("exponential again", "1 is added and taken away")
def exp_again(node: Expr, loss: Loss) -> Expr | None:
    """c expm1(u) + c = c exp(u), and so for a name of it."""
    for arg in node.args if node.is_Add else ():
        scale, name = arg.as_coeff_Mul()
        sign, top = (body_of(name, loss) or name).as_coeff_Mul()
        found = exp_less_one_of(top)
        if found is not None and scale * sign * found[0] in node.args:
            number = scale * sign * found[0]
            return node - arg - number + number * exp(found[1])
    return None


@rule(
    "log of 1 less an exponential",
    "it has a form for exponents near 0, and one for those far below",
    holds="the exponent is < 0",
    source="Maechler (2012), Accurately computing log(1 - exp(-|a|))",
)
def log_less_exp(node: Expr, loss: Loss) -> Expr | None:
    """log((1 - exp u)^n c) = n log1mexp(u) + log(c)."""
    if not isinstance(node, log):
        return None
    inside = body_of(node.args[0], loss) or node.args[0]
    for base, n in powers(inside):
        found = exp_less_one_of(base)
        if found is not None and n.is_Integer:
            sign, u = found
            rest = (-sign) ** n * inside / base**n
            if rest == 1 or nonnegative(rest, loss):
                return n * _log_left(u) + log(rest)
    return None


def _log_left(u: Expr) -> Expr:
    """log(1 - exp(u)); of u = -exp(v) it is v, where exp(v) is too small for a float above 0."""
    c, v = split_exp(u)
    if c != -1 or v is None:
        return log1mexp(u)
    return Choice(Condition("==", exp(v), Integer(0)), v, log1mexp(u))


@rule(
    "whole power less 1",
    "the powers of the base near 1 are added up; what the base is away from 1 is a factor",
)
def whole_power_less_one(node: Expr, loss: Loss) -> Expr | None:
    """c (1 + u)^n - c = c u (1 + (1 + u) + ... + (1 + u)^(n - 1)), for a whole n."""
    for scale, power, _, rest in _with_opposite(node):
        base, n = power.args if isinstance(power, Pow) else (node, S.Zero)
        whole = n.is_Integer and 1 < n <= MOST_POWER and base.is_Add and 1 in base.args
        if whole and complement_of(base, loss) is None:
            return scale * (base - 1) * Add(*(base**k for k in range(n))) + rest
    return None


@rule(
    "power less 1",
    "where the base is near 1 its logarithm keeps what the power loses",
    holds="the base is >= 0",
)
def power_less_one(node: Expr, loss: Loss) -> Expr | None:
    """c b^n - c = c expm1(n log b); where that is large, the difference itself."""
    for scale, power, _, rest in _with_opposite(node):
        if not isinstance(power, Pow) or power.exp == -1:
            continue
        base, n = power.args
        if complement_of(base, loss) is not None:
            return scale * expm1(n * log(base)) + rest
        if is_unit(base, loss) and positive(n, loss):
            return scale * expm1(n * log(base)) + rest  # which is below 0
        if not n.is_Integer and nonnegative(base, loss) and not _has_root(base, n):
            exponent = n * log(base)
            far = grouped(power) - 1
            small = Condition("<", absolute(exponent), Integer(1))
            return scale * Choice(small, expm1(exponent), far) + rest
    return None


def _has_root(base: Expr, n: Expr) -> bool:
    """Whether the power less 1 has a quotient: sqrt(1 + u) - 1 = u/(sqrt(1 + u) + 1)."""
    return bool(n == S.Half and base.is_Add and 1 in base.args)


@rule(
    "log of a complement",
    "where the share is small, 1 less it is near 1 and only log(1 - p) as one function keeps it",
)
def log_of_complement(node: Expr, loss: Loss) -> Expr | None:
    """log(1 - p) by log1p where p < 1/2, else of the sum of the other shares."""
    if not isinstance(node, log) or not node.args[0].is_Add or len(node.args[0].args) != 2:
        return None
    inside = node.args[0]
    share = 1 - inside
    left = complement_of(share, loss)
    if 1 not in inside.args or left is None or _has_rule(left):
        return None
    return Choice(Condition("<", share, S.Half), log1p(-share), log(grouped(left)))


def _has_rule(left: Expr) -> bool:
    """Whether the logarithm of what is left of 1 has a rule of its own."""
    own = isinstance(left.as_coeff_Mul()[1], sigmoid | exp | erfc)
    return own or isinstance(-left, expm1)


@rule("quotient of exponentials", "exp(u) overflows in both; their quotient is between -1 and 1")
def to_tanh(node: Expr, loss: Loss) -> Expr | None:
    """(exp(u) - 1)/(exp(u) + 1) = (exp(u) - 1) sigmoid(-u) = tanh(u/2)."""
    found = list(powers(node)) if node.is_Mul else []
    for top, power in found:
        exponential = exp_less_one_of(top)
        if exponential is None or power != 1:
            continue
        sign, u = exponential
        for other, n in found:
            if isinstance(other, sigmoid) and n == 1 and (other.args[0] + u).expand() == 0:
                return sign * node / (top * other) * tanh(u / 2)
    return None


@rule(
    "log of a mixture with 1",
    "where the mixture is near 1, what is taken from it keeps its digits",
)
def log_of_mixture(node: Expr, loss: Loss) -> Expr | None:
    """log(p + (1 - p) v) = log(1 - (1 - p)(1 - v)), for v = exp(u), u < 0."""
    if not isinstance(node, log) or not node.args[0].is_Add or len(node.args[0].args) != 2:
        return None
    for one, two in (node.args[0].args, node.args[0].args[::-1]):
        left = complement_of(one, loss)
        _, u = split_exp(two)
        for share in (left, 1 - one):
            if share is None or u is None or two != share * exp(u):
                continue
            if nonnegative(-u, loss):
                lost = -share * expm1(u)
                near, far = log1p(-lost), log(grouped(node.args[0]))
                return Choice(Condition("<", lost, S.Half), near, far)
    return None


RULES = (
    exp_again,
    exp_less_line,
    log_less_line,
    log_of_mixture,
    log_of_complement,
    exp_less_one,
    log_less_exp,
    whole_power_less_one,
    power_less_one,
    to_tanh,
)
