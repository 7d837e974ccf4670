"""Rules for square roots of sums of squares, which overflow, and cancel near their start."""

from __future__ import annotations

from sympy import Expr, Mul, Pow, S, sqrt

from codegen.bounds import positive
from codegen.stabilize.local import powers, rule
from derive.functions import absolute, grouped, largest, smallest
from derive.index import Entry, entries
from derive.loss import Loss


def _root_of(term: Expr) -> Expr | None:
    """a where the term is a**2 by its form."""
    if term.is_Rational and term.is_positive:
        root = sqrt(term)
        return root if root.is_Rational else None
    halves = []
    for factor in Mul.make_args(term):
        base, power = factor.as_base_exp()
        if not power.is_Integer or power % 2:
            return None
        halves.append(base ** (power // 2))
    return Mul(*halves)


@rule(
    "root less its start",
    "where the rest is small, the root is near c and the difference cancels; the quotient does not",
    holds="c > 0",
)
def root_difference(node: Expr, loss: Loss) -> Expr | None:
    """sqrt(c^2 + u) - c = u/(sqrt(c^2 + u) + c)."""
    for root in node.args if node.is_Add else ():
        if not isinstance(root, Pow) or root.exp != S.Half or not root.base.is_Add:
            continue
        for start in root.base.args:
            c = _root_of(start)
            if c is not None and -c in node.args and positive(c, loss):
                return node - root + c + (root.base - start) / (root + c)
    return None


@rule(
    "hypotenuse",
    "the larger side is taken out of the root, so that no square overflows",
    holds="one of the sides is > 0",
)
def hypotenuse(node: Expr, loss: Loss) -> Expr | None:
    """sqrt(a^2 + b^2) = h sqrt(1 + (l/h)^2), with h and l the larger and the smaller of them."""
    if not isinstance(node, Pow) or (2 * node.exp) not in (1, -1) or not node.base.is_Add:
        return None
    sides = [_root_of(term) for term in node.base.args]
    if len(sides) != 2 or None in sides or any(isinstance(s, smallest) for s in _bases(node)):
        return None
    if not any(positive(side, loss) for side in sides):
        return None
    one, two = (side if positive(side, loss) else absolute(side) for side in sides)
    long, short = largest(one, two), smallest(one, two)
    return (long * sqrt(1 + (short / long) ** 2)) ** (2 * node.exp)


def _bases(node: Expr) -> list[Expr]:
    """What is squared below the root."""
    return [base for term in node.base.args for base, _ in powers(term)]


@rule(
    "square over its root",
    "x^2 overflows where the quotient does not",
)
def halved_square(node: Expr, loss: Loss) -> Expr | None:
    """x^2/y = x (x/y), where y grows with x."""
    if not node.is_Mul:
        return None
    found = list(powers(node))
    below = [(base, power) for base, power in found if power == -1 and base.is_Add]
    for base, power in found:
        if power != 2 or not isinstance(base, Entry):
            continue
        for other, _ in below:
            if base in entries(other) and other.has(largest):
                return node * other / base**2 * base * grouped(base / other)
    return None


RULES = (root_difference, hypotenuse, halved_square)
