"""Rules for logarithms: the log of a product of positive things is a sum of logs."""

from __future__ import annotations

from sympy import Add, Expr, Mul, Pow, exp, expand_mul, factor_terms, log

from codegen.bounds import nonnegative
from codegen.stabilize.local import body_of, rule, split_exp, without
from derive.functions import expm1mx, log1pmx, sigmoid
from derive.index import Product, Total, entries, total
from derive.loss import Loss

ACTS = (exp, sigmoid, Product, Pow, Mul)


@rule("log of an exponential", "the logarithm undoes the exponential, which may overflow")
def log_of_exp(node: Expr, loss: Loss) -> Expr | None:
    """log(exp x) = x; SymPy does so by itself only where it sees that x is real."""
    if isinstance(node, log) and isinstance(node.args[0], exp):
        exponent: Expr = node.args[0].args[0]
        return exponent
    return None


@rule(
    "log of a named value",
    "the name is written out, so that the logarithm can act on what it stands for",
    holds="the named value is >= 0",
)
def log_of_name(node: Expr, loss: Loss) -> Expr | None:
    """log p_i = log(body of p at i)."""
    if not isinstance(node, log):
        return None
    body = body_of(node.args[0], loss)
    while body is not None and (inner := body_of(body, loss)) is not None:
        body = inner
    if body is None or not nonnegative(body, loss):
        return None
    sum_of_exponentials = isinstance(body, Total) and body.args[1].has(exp)
    return log(body) if isinstance(body, ACTS) or sum_of_exponentials else None


@rule(
    "log of a product",
    "the logarithm of a product is the sum of the logarithms, which does not overflow",
    holds="every factor is >= 0",
)
def log_of_product(node: Expr, loss: Loss) -> Expr | None:
    """log(u v) = log u + log v, and log(u/v) = log u - log v."""
    if not isinstance(node, log) or not node.args[0].is_Mul:
        return None
    factors = node.args[0].args
    if not all(nonnegative(factor, loss) for factor in factors):
        return None
    return Add(*(log(factor) for factor in factors))


@rule(
    "log of a power",
    "the logarithm turns a power into a factor",
    holds="the base is >= 0",
)
def log_of_power(node: Expr, loss: Loss) -> Expr | None:
    """log(u^n) = n log u."""
    if not isinstance(node, log) or not isinstance(node.args[0], Pow):
        return None
    base, exponent = node.args[0].args
    return exponent * log(base) if nonnegative(base, loss) else None


@rule(
    "log of a product over an axis",
    "the logarithm of a product is the sum of the logarithms, which does not overflow",
    holds="every factor is >= 0",
)
def log_of_long_product(node: Expr, loss: Loss) -> Expr | None:
    """log(prod_i u_i) = sum_i log u_i."""
    if not isinstance(node, log) or not isinstance(node.args[0], Product):
        return None
    index, body, guard = node.args[0].opened()
    return total(index, log(body), guard) if nonnegative(body, loss) else None


@rule("product of exponentials", "exponents add, so that huge factors cancel before exp is taken")
def product_of_exps(node: Expr, loss: Loss) -> Expr | None:
    """exp(u) exp(v) = exp(u + v)."""
    if not node.is_Mul:
        return None
    found = [factor for factor in node.args if isinstance(factor, exp)]
    if len(found) < 2:
        return None
    rest = [factor for factor in node.args if not isinstance(factor, exp)]
    return Mul(*rest, exp(Add(*(factor.args[0] for factor in found))))


@rule(
    "one exponential a term",
    "factors that grow and shrink together are one exponential, before either overflows",
)
def spread_exp(node: Expr, loss: Loss) -> Expr | None:
    """exp(u) (c exp(v) + d) = c exp(u + v) + d exp(u), where u and v depend on the same entry."""
    cofactor, own = split_exp(node)
    if own is None or not node.is_Mul:
        return None
    for bracket in Mul.make_args(cofactor):
        terms = bracket.args if bracket.is_Add else ()
        inside = [split_exp(_opened(term, loss)) for term in terms]
        if not any(v is not None and entries(v) & entries(own) for _, v in inside):
            terms = Add.make_args(expand_mul(bracket)) if terms else ()
            inside = [split_exp(_opened(term, loss)) for term in terms]
            inside = inside if any(v == -own for _, v in inside) else []
        if any(v is not None and entries(v) & entries(own) for _, v in inside):
            new = (c * exp(_collected(own + v) if v is not None else own) for c, v in inside)
            return without(cofactor, bracket) * Add(*new)
    return None


def _opened(term: Expr, loss: Loss) -> Expr:
    """The term with the names among its factors that stand for an exponential written out."""
    bodies = {factor: body_of(factor, loss) for factor in Mul.make_args(term)}
    return Mul(*(b if isinstance(b, exp) else factor for factor, b in bodies.items()))


def _collected(exponent: Expr) -> Expr:
    """The exponent with what its terms share taken out."""
    plain = exponent.expand()
    longer = len(Add.make_args(plain)) > len(Add.make_args(exponent))
    collected: Expr = exponent if longer else factor_terms(plain)
    return collected


@rule(
    "power of an exponential",
    "the exponential has an exponent of its own, which meets others before it overflows",
    holds="the other factors are >= 0",
)
def power_of_exp(node: Expr, loss: Loss) -> Expr | None:
    """(c exp(u))^n = c^n exp(n u)."""
    if not isinstance(node, Pow) or not node.base.is_Mul or node.exp.is_Integer:
        return None
    cofactor, exponent = split_exp(node.base)
    if exponent is None or not nonnegative(cofactor, loss):
        return None
    return cofactor**node.exp * exp(node.exp * exponent)


@rule("terms that cancel", "the name is written out, and what cancels is not computed")
def cancel(node: Expr, loss: Loss) -> Expr | None:
    """c v + u, where the definition of v has terms of -u/c."""
    for arg in node.args if node.is_Add else ():
        scale, name = arg.as_coeff_Mul()
        body = body_of(name, loss)
        if body is not None:
            body = body.xreplace({f: f.first_order() for f in body.atoms(expm1mx, log1pmx)})
            shorter = Add(node - arg, *(scale * term for term in Add.make_args(body)))
            if len(Add.make_args(shorter)) < len(node.args):
                return shorter
    return None


RULES = (
    cancel,
    log_of_exp,
    log_of_name,
    log_of_product,
    log_of_power,
    log_of_long_product,
    power_of_exp,
    product_of_exps,
    spread_exp,
)
