"""The rules of differentiation, applied to every derivative still to be taken (`Diff`)."""

from __future__ import annotations

from collections.abc import Callable

from sympy import Expr, Function, Mul, Pow, S, exp, log

from derive.derivation import Rule
from derive.index import (
    Choice,
    Delta,
    Diff,
    Entry,
    Maximum,
    Minimum,
    Product,
    Share,
    Total,
    bind,
    kinds,
    nodes,
    rebuild,
    tensors,
    total,
)
from derive.rules.registry import register

Local = Callable[[Expr, Entry], Expr | None]


def d(body: Expr, variable: Entry) -> Expr:
    """The derivative of `body`, still to be taken; 0 at once where nothing varies."""
    return Diff(body, variable) if variable.tensor in tensors(body) else S.Zero


def calculus(name: str, reason: str, holds: str = "always") -> Callable[[Local], Rule]:
    """Make a rule of a function that rewrites one derivative, or answers None."""

    def decorate(local: Local) -> Rule:
        def everywhere(expr: Expr) -> Expr:
            waiting = (node for node in nodes(expr) if isinstance(node, Diff))
            if all(local(*node.args) is None for node in waiting):
                return expr

            def visit(node: Expr) -> Expr:
                if isinstance(node, Diff):
                    found = local(*node.args)
                    return node if found is None else found
                return rebuild(node, visit) if Diff in kinds(node) else node

            return visit(expr)

        return register(Rule(name, reason, everywhere, holds, "calculus"))

    return decorate


@calculus("constant", "it does not depend on the variable")
def constant(body: Expr, variable: Entry) -> Expr | None:
    return S.Zero if variable.tensor not in tensors(body) else None


@calculus("independent entries", "entries of one tensor vary independently: 1 if equal, else 0")
def independent(body: Expr, variable: Entry) -> Expr | None:
    if not isinstance(body, Entry) or body.tensor != variable.tensor:
        return None
    pairs = zip(body.indices, variable.indices, strict=True)
    return Mul(*(Delta(i, j) for i, j in pairs))


@calculus("linearity", "the derivative is linear: sums and constant factors pass through")
def linearity(body: Expr, variable: Entry) -> Expr | None:
    if body.is_Add:
        return body.func(*(_linear_term(arg, variable) for arg in body.args))
    term = _linear_term(body, variable)
    return None if term == Diff(body, variable) else term


def _linear_term(body: Expr, variable: Entry) -> Expr:
    """Constant factors, signs and numbers in front of the derivative."""
    if not body.is_Mul:
        return d(body, variable)
    varying = [arg for arg in body.args if variable.tensor in tensors(arg)]
    fixed = [arg for arg in body.args if variable.tensor not in tensors(arg)]
    return Mul(*fixed, d(Mul(*varying), variable)) if varying else S.Zero


@calculus("sum over an axis", "the derivative of a sum is the sum of the derivatives")
def sum_over_axis(body: Expr, variable: Entry) -> Expr | None:
    if not isinstance(body, Total):
        return None
    index, inner, guard = body.open()
    return total(index, linearity.apply(d(inner, variable)), guard)


@calculus("quotient rule", "(u/v)' = u'/v - u v'/v^2", holds="v is not 0")
def quotient(body: Expr, variable: Entry) -> Expr | None:
    if not body.is_Mul:
        return None
    below = [arg for arg in body.args if arg.is_Pow and arg.exp == -1]
    denominator = Mul(*(arg.base for arg in below))
    numerator = Mul(*(arg for arg in body.args if arg not in below))
    if variable.tensor not in tensors(denominator) or variable.tensor not in tensors(numerator):
        return None
    return (
        d(numerator, variable) / denominator - numerator * d(denominator, variable) / denominator**2
    )


@calculus("product rule", "(u v)' = u' v + u v'")
def product(body: Expr, variable: Entry) -> Expr | None:
    if not body.is_Mul:
        return None
    factors = body.args
    return sum(
        (
            Mul(*factors[:k], d(factor, variable), *factors[k + 1 :])
            for k, factor in enumerate(factors)
        ),
        S.Zero,
    )


@calculus("power rule", "(u^c)' = c u^(c - 1) u'", holds="u > 0, or c is a whole number")
def power(body: Expr, variable: Entry) -> Expr | None:
    if not body.is_Pow or isinstance(body, exp) or variable.tensor in tensors(body.exp):
        return None
    base, exponent = body.base, body.exp
    return exponent * Pow(base, exponent - 1) * d(base, variable)


@calculus("general power rule", "(u^v)' = u^v (v' log u + v u'/u)", holds="u > 0")
def general_power(body: Expr, variable: Entry) -> Expr | None:
    if not body.is_Pow or isinstance(body, exp):
        return None
    base, exponent = body.base, body.exp
    change = d(exponent, variable) * log(base) + exponent * d(base, variable) / base
    return body * change


@calculus("chain rule for functions", "f(u)' = f'(u) u'", holds="f is differentiable at u")
def function(body: Expr, variable: Entry) -> Expr | None:
    if not isinstance(body, Function):
        return None
    return sum(
        (body.fdiff(k) * d(arg, variable) for k, arg in enumerate(body.args, start=1)), S.Zero
    )


@calculus("derivative of a choice", "each branch is differentiated where it holds", "off the jump")
def choice(body: Expr, variable: Entry) -> Expr | None:
    if not isinstance(body, Choice):
        return None
    condition, value, otherwise = body.args
    return Choice(condition, d(value, variable), d(otherwise, variable))


@calculus(
    "derivative of an extremum",
    "it moves as the entries that attain it, weighted by shares that sum to 1",
)
def extremum(body: Expr, variable: Entry) -> Expr | None:
    if not isinstance(body, Maximum | Minimum):
        return None
    index, inner, guard = body.open()
    return total(index, Share(body, index) * d(inner, variable), guard)


@calculus("derivative of a product", "(prod u)' = prod u sum u'/u", holds="no factor is 0")
def product_over_axis(body: Expr, variable: Entry) -> Expr | None:
    if not isinstance(body, Product):
        return None
    index, inner, guard = body.open()
    return bind(Product, index, inner, guard) * total(index, d(inner, variable) / inner, guard)


@calculus(
    "derivative of a share",
    "which entry is meant or attains an extremum does not change near by",
    holds="off the ties",
)
def share(body: Expr, variable: Entry) -> Expr | None:
    return S.Zero if isinstance(body, Share | Delta) else None


TABLE: tuple[Rule, ...] = (
    constant,
    independent,
    linearity,
    sum_over_axis,
    quotient,
    product,
    power,
    general_power,
    function,
    choice,
    extremum,
    product_over_axis,
    share,
)
