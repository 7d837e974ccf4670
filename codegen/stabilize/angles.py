"""Rules for angles: quotients of sines that are 0/0 at both ends are polynomials of the cosine."""

from __future__ import annotations

from sympy import Add, Expr, Integer, Mul, acos, asin, chebyshevu_poly, cos, sin, sqrt

from codegen.stabilize.local import body_of, powers, rule
from derive.index import Choice
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


@rule(
    "angle and an inverse",
    "the cosine of an arc cosine is its argument, and rounding the angle is spared",
)
def sum_of_angles(node: Expr, loss: Loss) -> Expr | None:
    """cos(acos c + m) = c cos m - sqrt((1 - c)(1 + c)) sin m, and so for sin and asin."""
    if not isinstance(node, cos | sin):
        return None
    for term in Add.make_args(node.args[0]):
        sign, name = term.as_coeff_Mul()
        angle = body_of(name, loss) or name
        if abs(sign) == 1 and isinstance(angle, acos | asin):
            x = angle.args[0]
            root = sqrt((1 - x) * (1 + x))
            c, s = (x, root) if isinstance(angle, acos) else (root, x)
            cos_m, sin_m = _of_offset(node.args[0] - term)
            if isinstance(node, cos):
                return c * cos_m - sign * s * sin_m
            return sign * s * cos_m + c * sin_m
    return None


def _of_offset(m: Expr) -> tuple[Expr, Expr]:
    """cos m and sin m, of each side of a choice."""
    if not isinstance(m, Choice):
        return cos(m), sin(m)
    condition, *sides = m.args
    (one, one_sin), (two, two_sin) = map(_of_offset, sides)
    return Choice(condition, one, two), Choice(condition, one_sin, two_sin)


def _cosine(x: Expr, loss: Loss) -> Expr:
    body = body_of(x, loss) or x
    return body.args[0] if isinstance(body, acos) else cos(x)


RULES = (multiple_angle, sum_of_angles)
