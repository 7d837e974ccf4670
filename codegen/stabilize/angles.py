"""Rules for angles: quotients of sines that are 0/0 at both ends are polynomials of the cosine."""

from __future__ import annotations

from sympy import Add, Expr, Integer, Mul, S, acos, asin, chebyshevu_poly, cos, sin, sqrt

from codegen.bounds import is_fixed
from codegen.stabilize.local import body_of, powers, rule, without
from derive.functions import absolute, grouped, largest, smallest
from derive.index import TRUE, Choice, Condition, Index, Total, free_indices, total
from derive.loss import Loss

MOST = 16
Pair = tuple[Expr, Expr]


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


@rule("versed sine", "where the angle is small, the cosine is near 1 and what is left of 1 counts")
def versed_sine(node: Expr, loss: Loss) -> Expr | None:
    """c - c cos(x) = 2 c sin(x/2)^2."""
    for arg in node.args if node.is_Add else ():
        for factor in Mul.make_args(arg):
            scale = without(arg, factor)
            if isinstance(factor, cos) and is_fixed(scale, loss) and -scale in node.args:
                return node - arg + scale - 2 * scale * sin(factor.args[0] / 2) ** 2
    return None


@rule(
    "versed sine of two vectors",
    "where the vectors are nearly parallel their cosine is near 1; their difference, less what is"
    " along them, keeps the digits",
)
def between_vectors(node: Expr, loss: Loss) -> Expr | None:
    """1 - u.v/(|u| |v|) = (|u - v|^2 - (|u| - |v|)^2)/(2 |u| |v|), for norms of like size.

    Where one norm is over twice the other, it is |u/|u| - v/|v||^2/2.
    """
    for arg in node.args if node.is_Add else ():
        for product in Mul.make_args(arg):
            found = _norms(product, without(arg, product), loss)
            if found is None or -found[0] not in node.args:
                continue
            scale, index, pair, (n, m) = found
            u, v = (grouped(x) if x.is_Add else x for x in pair)
            gap = _gap(*pair, index)
            apart = total(index, gap**2)
            along = total(index, gap * (u + v)) / (n + m)
            near = (apart - along**2) / (2 * n * m)
            far = total(index, (u / n - v / m) ** 2) / 2
            like = Condition("<", largest(n, m), 2 * smallest(n, m))
            return node - arg + scale - scale * Choice(like, near, far)
    return None


def _gap(u: Expr, v: Expr, index: Index) -> Expr:
    """u - v; where both are numbers less their means, the difference of the numbers if small."""
    if not u.is_Add or not v.is_Add:
        return u - v
    terms = Add.make_args(u - v)
    own = grouped(Add(*(term for term in terms if term.has(index))))
    means = grouped(Add(*(term for term in terms if not term.has(index))))
    near = Condition("<", absolute(own), absolute(u))
    return Choice(near, own + means, grouped(u) - grouped(v))


def _norms(product: Expr, rest: Expr, loss: Loss) -> tuple[Expr, Index, Pair, Pair] | None:
    """c, i, u and v, |u| and |v| where the node is c sum_i u_i v_i/(|u| |v|)."""
    if not isinstance(product, Total):
        return None
    index, body, guard = product.opened()
    parts = Mul.make_args(body)
    if guard != TRUE or len(parts) != 2 or not all(part.has(index) for part in parts):
        return None
    left = rest
    norms: list[Expr] = []
    for vector in parts:
        squares = total(index, vector**2)
        for base, n in powers(left):
            whole = body_of(base, loss) or base
            if n == -1 and whole == sqrt(squares):
                left, norms = without(left, 1 / base), [*norms, base]
                break
            if n == -S.Half and squares in Mul.make_args(whole):
                others = without(whole, squares)
                left = without(left, base**n) * others**n
                norms = [*norms, sqrt(squares)]
                break
    if len(norms) != 2 or free_indices(left).intersection([index]):
        return None
    one, two = norms
    return left, index, (parts[0], parts[1]), (one, two)


RULES = (multiple_angle, sum_of_angles, versed_sine, between_vectors)
