"""Rules for angles: quotients of sines that are 0/0 at both ends are polynomials of the cosine."""

from __future__ import annotations

from sympy import Expr, Integer, Mul, acos, chebyshevu_poly, cos, sin

from codegen.stabilize.local import body_of, powers, rule
from derive.loss import Loss

MOST = 16


@rule(
    "sine of a multiple angle",
    "both sines are 0 at the ends of the half turn; their quotient is a polynomial of the cosine,"
    " where nothing cancels",
)
def multiple_angle(node: Expr, loss: Loss) -> Expr | None:
    """sin(n x)/sin(x) = U(cos x), the Chebyshev polynomial of the second kind of degree n - 1."""
    if not node.is_Mul:
        return None
    below = [base for base, power in powers(node) if isinstance(base, sin) and power == -1]
    for one in below:
        x = one.args[0]
        for many in node.args:
            times = many.args[0] / x if isinstance(many, sin) else None
            if isinstance(times, Integer) and 1 < times <= MOST:
                kept = Mul(*(f for f in node.args if f not in (many, 1 / one)))
                return kept * chebyshevu_poly(int(times) - 1, _cosine(x, loss)).factor()
    return None


def _cosine(x: Expr, loss: Loss) -> Expr:
    body = body_of(x, loss) or x
    return body.args[0] if isinstance(body, acos) else cos(x)


RULES = (multiple_angle,)
