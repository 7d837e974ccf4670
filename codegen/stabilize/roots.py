"""Rules for sums and differences of squares, which overflow, and cancel."""

from __future__ import annotations

from sympy import Add, Expr, Mul, Pow, S, exp, log, sqrt

from codegen.bounds import bounded, is_fixed, nonnegative, positive
from codegen.stabilize.local import powers, rule, split_exp, without
from derive.functions import absolute, grouped, largest, smallest
from derive.index import Entry, entries
from derive.loss import Loss


def _root_of(term: Expr, loss: Loss | None = None) -> Expr | None:
    """a where the term is a**2 by its form; with the loss also that of what is > 0 itself."""
    if term.is_Rational and term.is_positive:
        root = sqrt(term)
        return root if root.is_Rational else None
    halves = []
    for factor in Mul.make_args(term):
        base, power = (factor, S.One) if isinstance(factor, exp) else factor.as_base_exp()
        if factor.is_Rational and factor.is_positive and sqrt(factor).is_Rational:
            halves.append(sqrt(factor))
        elif power.is_Integer and power % 2 == 0:
            halves.append(base ** (power // 2))
        elif isinstance(base, exp) and power == 1:
            halves.append(exp(base.args[0] / 2))
        elif loss is not None and power.is_Integer and nonnegative(base, loss):
            halves.append(sqrt(factor))
        else:
            return None
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
    if not isinstance(node, Pow) or node.exp.is_Integer or not node.base.is_Add:
        return None
    sides = _long_and_short(node.base, loss)
    if sides is None:
        return None
    long, short = sides
    return (long * sqrt(1 + (short / long) ** 2)) ** (2 * node.exp)


@rule(
    "difference of squares",
    "where the two are near each other their squares lose the digits of the difference",
)
def two_squares(node: Expr, loss: Loss) -> Expr | None:
    """a^2 - b^2 = (a - b)(a + b), below a root."""
    base = node.base if isinstance(node, Pow) and not node.exp.is_Integer else None
    if base is None or not base.is_Add or len(base.args) != 2:
        return None
    for one, two in (base.args, base.args[::-1]):
        a, b = _root_of(one), _root_of(-two)
        if a is not None and b is not None:
            return Pow((a - b) * (a + b), node.exp)
    return None


@rule(
    "log of a sum of squares",
    "the larger side is taken out of the logarithm, so that no square overflows",
    holds="one of the sides is > 0",
)
def log_of_squares(node: Expr, loss: Loss) -> Expr | None:
    """log(a^2 + b^2) = 2 log h + log(1 + (l/h)^2), with h the larger and l the smaller of them."""
    if not isinstance(node, log) or not node.args[0].is_Add:
        return None
    sides = _long_and_short(node.args[0], loss)
    if sides is None:
        return None
    long, short = sides
    return 2 * log(long) + log(1 + (short / long) ** 2)


def _long_and_short(base: Expr, loss: Loss) -> tuple[Expr, Expr] | None:
    """The larger and the smaller of a and b where the sum is a^2 + b^2, one of them above 0."""
    sides = [_root_of(term, loss) for term in base.args]
    if len(sides) != 2 or None in sides or not any(map(_is_square, base.args)):
        return None
    if any(isinstance(s, smallest) for s in _bases(base)):
        return None
    if not any(positive(side, loss) for side in sides):
        return None
    one, two = (side if positive(side, loss) else absolute(side) for side in sides)
    return largest(one, two), smallest(one, two)


@rule(
    "quotient by a sum of squares",
    "the larger side is taken out below, and meets the numerator before any square overflows",
    holds="one of the sides is > 0",
)
def over_squares(node: Expr, loss: Loss) -> Expr | None:
    """a^n c/(a^2 + b^2) = (a/h)^n h^(n-2) c/(1 + (l/h)^2), n = 1 or 2, h >= l as above."""
    if not node.is_Mul:
        return None
    for base, power in powers(node):
        sides = _long_and_short(base, loss) if base.is_Add and power == -1 else None
        if sides is None:
            continue
        long, short = sides
        for root in filter(None, (_root_of(term, loss) for term in base.args)):
            for scale in _scales(root, loss):
                side = root / scale
                times = _times(side, node * base)
                if times:
                    rest = node * base / side**times * (scale / long) ** -times * long**-2
                    return rest * grouped(root / long) ** times / (1 + (short / long) ** 2)
    return None


def _scales(root: Expr, loss: Loss) -> tuple[Expr, ...]:
    """Factors of a root that its product may lack: those of numbers and consts, all that is > 0."""
    above = [f for f in Mul.make_args(root) if positive(f, loss)]
    return Mul(*(f for f in above if is_fixed(f, loss))), Mul(*above)


def _times(root: Expr, product: Expr) -> int:
    """How many times, at most 2, the product has the root as a factor."""
    if root.is_number:
        return 0
    for times in (2, 1) if root.has(exp) else (1,):  # else a complement is to see the squares
        left, bases = product / root**times, [base for base, _ in powers(root)]
        if not any(power.is_negative for base, power in powers(left) if base in bases):
            return times
    return 0


@rule(
    "square of a difference",
    "written out its terms cancel where the two are near each other",
)
def perfect_square(node: Expr, loss: Loss) -> Expr | None:
    """a^2 - 2 a b + b^2 = (a - b)^2."""
    if not node.is_Add or len(node.args) < 3:
        return None
    squares = [(term, root) for term in node.args if (root := _root_of(term)) is not None]
    for at, (one, a) in enumerate(squares):
        for two, b in squares[at + 1 :]:
            for c in (-b, b):
                mixed = 2 * a * c
                if mixed in node.args and not (a.is_number or b.is_number):
                    kept = (term for term in node.args if term not in (one, two, mixed))
                    return Add((a + c) ** 2, *kept)
    return None


def _is_square(term: Expr) -> bool:
    """Whether the term has a square by its form, or an exponential."""
    return any(isinstance(b, exp) or (n.is_Integer and n % 2 == 0) for b, n in powers(term))


def _bases(whole: Expr) -> list[Expr]:
    """What is squared in a sum."""
    return [base for term in whole.args for base, _ in powers(term)]


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


@rule(
    "square times an exponential",
    "one overflows where the other vanishes; their roots do so later, and meet before",
)
def square_and_exp(node: Expr, loss: Loss) -> Expr | None:
    """x^2 exp(v) = (x exp(v/2))^2."""
    cofactor, v = split_exp(node) if node.is_Mul else (node, None)
    if v is None:
        return None
    for base, power in powers(cofactor):
        if power == 2 and not base.has(exp) and not bounded(base, loss):
            return without(cofactor, base**2) * grouped(base * exp(v / 2)) ** 2
    return None


RULES = (
    square_and_exp,
    perfect_square,
    root_difference,
    two_squares,
    hypotenuse,
    halved_square,
    log_of_squares,
    over_squares,
)
