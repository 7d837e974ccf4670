"""Small and large numbers as the loss has them: u + 1e-7 in place of 1 + 10000000 u."""

from __future__ import annotations

from typing import Any

from sympy import Add, Expr, Mul, Number, Pow, Rational, S

from derive.decimals import scientific, width
from derive.derivation import Rule
from derive.index import rebuild, walk
from derive.loss import Loss
from derive.rules.registry import register

FAR = 1000  # how many times one number of a sum is another


def with_decimals(expr: Expr, loss: Loss) -> Expr:
    """The sums among factors divided by one of their numbers, where that is less to write."""
    if not any(_is_small(node) for made in loss.definitions for node in walk(made.body)):
        return expr

    def visit(node: Any) -> Any:
        node = rebuild(node, visit)
        if not (node.is_Mul or node.is_Pow):
            return node
        # A number times a sum alone would be multiplied out.
        return Mul(*(part for factor in Mul.make_args(node) for part in _divided(factor)))

    return min(expr, visit(expr), key=_digits)


def _is_small(node: Any) -> bool:
    return isinstance(node, Rational) and abs(node) < 1 and scientific(abs(node)) is not None


def _divided(factor: Expr) -> tuple[Expr, ...]:
    """(c u)^n as c^n and u^n for the c that leaves the numbers of a sum u the shortest."""
    base, power = factor.as_base_exp()
    if not (isinstance(base, Add) and isinstance(power, Rational)):
        return (factor,)
    terms = [term.as_coeff_Mul() for term in base.args]
    numbers = [abs(number) for number, _ in terms if isinstance(number, Rational)]
    if len(numbers) < len(terms) or max(numbers) < FAR * min(numbers):
        return (factor,)

    def written(scale: Expr) -> tuple[int, int, str]:
        parts = [(abs(number) / scale, rest) for number, rest in terms]
        long = sum(width(number) for number, rest in parts if number != 1 or rest == 1)
        digits = str(scale).rstrip("0")
        return long, len(digits), digits  # at a tie a power of 10

    scale = min((S.One, *numbers), key=written)
    return Pow(scale, power), Pow(Add(*(term / scale for term in base.args)), power)


def _digits(expr: Expr) -> int:
    return sum(
        width(node) if isinstance(node, Rational) else 1
        for node in walk(expr)
        if isinstance(node, Number) and node not in (1, -1)
    )


decimals = register(
    Rule(
        "decimals",
        "a number taken out of a sum leaves the small numbers as the loss has them",
        with_decimals,
    )
)
