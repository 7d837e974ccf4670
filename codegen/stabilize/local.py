"""Rules that rewrite one node, applied at every node of an expression."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from sympy import Basic, Expr, Mul, Pow, exp

from derive.derivation import Rule, known
from derive.index import Entry, Index, Maximum, anywhere, bind, rebuild
from derive.loss import Loss

Local = Callable[[Expr, Loss], Expr | None]


def rule(
    name: str, reason: str, holds: str = "always", source: str = ""
) -> Callable[[Local], Rule]:
    """Make a rule of a function that rewrites one node, or returns None where it has no say."""

    def decorate(local: Local) -> Rule:
        @lru_cache(maxsize=8)
        def asked(loss: Loss) -> dict[Basic, Expr | None]:
            """What it said of each node: from one step to the next, most are the same."""
            return {}

        def apply(expr: Expr, loss: Loss) -> Expr:
            said = asked(loss)

            def changed(node: Basic) -> Expr | None:
                if node not in said:
                    said[node] = local(node, loss) if isinstance(node, Expr) else None
                return said[node]

            def visit(node: Basic) -> Basic:
                node = rebuild(node, visit)
                found = changed(node)
                return node if found is None else found

            if not anywhere(expr, lambda node: changed(node) is not None):
                return expr
            return visit(expr)

        return known(Rule(name, reason, apply, holds, source))

    return decorate


def body_of(node: Expr, loss: Loss) -> Expr | None:
    """The body of a named definition at this entry; None for anything else."""
    if isinstance(node, Entry) and node.tensor.name in loss.defined:
        return loss.defined[node.tensor.name].at(node)
    return None


def powers(expr: Expr) -> Iterator[tuple[Expr, Expr]]:
    """The factors of a product, as base and exponent; an exponential is a factor of its own."""
    for factor in Mul.make_args(expr):
        if isinstance(factor, Pow):
            yield factor.base, factor.exp
        else:
            yield factor, Mul()


def without(product: Expr, *factors: Expr) -> Expr:
    """The product of the other factors; a quotient would spread its sign over a bracket."""
    return Mul(*(factor for factor in Mul.make_args(product) if factor not in factors))


def split_exp(expr: Expr) -> tuple[Expr, Expr | None]:
    """`expr` as cofactor * exp(exponent); the exponent is None where there is no exponential."""
    exponents = [factor.args[0] for factor in Mul.make_args(expr) if isinstance(factor, exp)]
    rest = [factor for factor in Mul.make_args(expr) if not isinstance(factor, exp)]
    total: Expr | None = sum(exponents[1:], exponents[0]) if exponents else None
    return Mul(*rest), total


def peak_of(exponent: Expr, index: Index, guard: Basic) -> Expr:
    """The maximum of `exponent` over the index."""
    return bind(Maximum, index, exponent, guard)
