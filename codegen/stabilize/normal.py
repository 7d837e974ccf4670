"""Rules for the normal distribution function, erfc(-x/sqrt(2))/2, and its tails."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Add, Expr, Integer, Mul, S, erf, exp, log

from codegen.bounds import nonnegative
from codegen.stabilize.local import body_of, powers, rule, split_exp, without
from derive.functions import erfc, erfcx, log1p
from derive.index import Choice, Condition, Entry, entries
from derive.loss import Loss


@rule(
    "complementary error function",
    "where erf is near 1, what is left of 1 is a function of its own, which keeps its digits",
)
def to_erfc(node: Expr, loss: Loss) -> Expr | None:
    """c + c erf(x) = c erfc(-x), and c - c erf(x) = c erfc(x)."""
    for arg in node.args if node.is_Add else ():
        for factor in Mul.make_args(arg):
            if not isinstance(factor, erf):
                continue
            scale, x = without(arg, factor), factor.args[0]
            for one, left in ((scale, scale * erfc(-x)), (-scale, -scale * erfc(x))):
                if one in node.args:
                    return Add(*(other for other in node.args if other not in (arg, one)), left)
    return None


def erfc_of(expr: Expr, loss: Loss) -> tuple[Expr, Expr] | None:
    """c and x where the expression, or what it is a name of, is c erfc(x), with no other in c."""
    inside = body_of(expr, loss)
    inside = expr if inside is None else inside
    found = [factor for factor in Mul.make_args(inside) if isinstance(factor, erfc)]
    return (without(inside, *found), found[0].args[0]) if len(found) == 1 else None


@rule(
    "log of the normal distribution function",
    "in the lower tail the scaled function does not vanish; in the upper tail the value is near 1,"
    " and what is left of 1 counts",
)
def log_of_erfc(node: Expr, loss: Loss) -> Expr | None:
    """log(erfc(x)/2) = log(erfcx(x)/2) - x^2, or log(1 - erfc(-x)/2) for x < 0."""
    found = erfc_of(node.args[0], loss) if isinstance(node, log) else None
    if found is None or not nonnegative(found[0], loss):
        return None
    (scale, x), square = found, _square(found[1], loss)
    number, rest = scale.as_coeff_Mul()
    if number == S.Half:
        below, near = Integer(0), log1p(-exp(-square) * erfcx(-x) / 2)
    else:
        below, number, near, rest = S.Half, S.One, log1p(-erf(x)), scale
    value = Choice(Condition("<", x, below), near, log(number * erfcx(x)) - square)
    return value if rest == 1 else value + log(rest)


def _below(node: Expr, loss: Loss) -> Iterator[tuple[Expr, Expr, Expr]]:
    """Each factor of the product that is 1/(c erfc(x)), with c and x."""
    for base, power in powers(node) if node.is_Mul else ():
        found = erfc_of(base, loss) if power == -1 else None
        if found is not None:
            yield base, *found


@rule(
    "density over the normal distribution function",
    "in the lower tail both vanish; their quotient grows with the argument",
)
def hazard(node: Expr, loss: Loss) -> Expr | None:
    """exp(-x^2)/erfc(x) = 1/erfcx(x), or e/(2 - e erfcx(-x)) with e = exp(-x^2) for x < 0."""
    for base, scale, x in _below(node, loss):
        cofactor, exponent = split_exp(node)
        left = None if exponent is None else _left(exponent, x, loss)
        if left is not None:
            rest = without(cofactor, 1 / base)
            density = exp(-_square(x, loss))
            above = density / (2 - density * erfcx(-x))
            quotient = Choice(Condition("<", x, Integer(0)), above, 1 / erfcx(x))
            return rest * exp(left) / scale * quotient
    return None


def _left(exponent: Expr, x: Expr, loss: Loss) -> Expr | None:
    """The exponent and x^2, where the second cancels terms of the first."""
    left = (exponent + _square(x, loss)).expand()
    shorter = left == 0 or len(Add.make_args(left)) < len(Add.make_args(exponent))
    return left if shorter else None


def _square(x: Expr, loss: Loss) -> Expr:
    """x^2; that of a sign is 1."""
    signs = {e**2: S.One for e in entries(x) if _is_sign(e, loss)}
    square: Expr = (x**2).xreplace(signs)
    return square


def _is_sign(entry: Entry, loss: Loss) -> bool:
    declaration = loss.declared.get(entry.tensor.name)
    return declaration is not None and declaration.domain.kind == "sign"


@rule(
    "quotients by tails apart",
    "each tail meets its own density, and no tail is divided by itself where both vanish",
)
def tails_apart(node: Expr, loss: Loss) -> Expr | None:
    """(a P + b)/P = a + b/P, and exp(w) (a/P + b) = a exp(w)/P + b exp(w), for a tail P."""
    below = [base for base, *_ in _below(node, loss)]
    cofactor, own = split_exp(node) if node.is_Mul else (node, None)
    for bracket in node.args if node.is_Mul else ():
        if not bracket.is_Add:
            continue
        rest = without(node, bracket)
        shared = [b for b in below if any(b in Mul.make_args(term) for term in bracket.args)]
        tails = [x for term in bracket.args for *_, x in _below(term, loss)]
        meets = own is not None and any(_left(own, x, loss) is not None for x in tails)
        if shared:
            over = Mul(*(1 / base for base in shared))
            return without(rest, *(1 / base for base in shared)) * Add(
                *(term * over for term in bracket.args)
            )
        if meets:
            rest = without(cofactor, bracket)
            return rest * Add(*(term * exp(own) for term in bracket.args))
    return None


RULES = (to_erfc, log_of_erfc)
LAST = (tails_apart, hazard)  # after what is left of 1 is known
