"""How large the constants of an expression can grow, known before SymPy computes them.

SymPy evaluates constants as soon as it sees them: 9**9**9, exp(10**9*log(2)) or (2*x)**(10**9)
would never end.  Each rule here bounds a node by the bounds of its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from math import floor, log2, log10
from typing import Any

from flint import arb, ctx, fmpq
from sympy import Add, Basic, Expr, Mul, Pow, Rational, S, pi

from derive.index import Binder, Delta, Entry

LIMIT_BITS = 4096
LIMIT_ROOT_BITS = 512
LIMIT_DEPTH = 6
LIMIT_ROOTS = 1 << 15
_PRECISION = 256
_HUGE = 1e300

_BALLS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "mul": lambda x, y: x * y,
    "pow": lambda x, y: x**y,
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
    "tan": lambda x: x.tan(),
    "asin": lambda x: x.asin(),
    "acos": lambda x: x.acos(),
    "atan": lambda x: x.atan(),
    "sinh": lambda x: x.sinh(),
    "cosh": lambda x: x.cosh(),
    "tanh": lambda x: x.tanh(),
    "erf": lambda x: x.erf(),
    "erfc": lambda x: x.erfc(),
    "lgamma": lambda x: x.lgamma() if x > 0 else arb.nan(),
    "digamma": lambda x: x.digamma() if x > 0 else arb.nan(),
    "trigamma": lambda x: arb(2).zeta(x) if x > 0 else arb.nan(),
    "absolute": abs,
    "signum": lambda x: x.sgn(),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "softplus": lambda x: x.exp().log1p(),
    "relu": lambda x: x.max(arb(0)),
    "largest": lambda x, y: x.max(y),
    "smallest": lambda x, y: x.min(y),
}
_EXPONENTIAL = ("exp", "sinh", "cosh", "tanh", "sigmoid", "softplus")


class BadConstant(Exception):
    """A constant beyond the limits or without a value; the two texts word the error."""

    def __init__(self, found: str, expected: str) -> None:
        self.found, self.expected = found, expected
        super().__init__(found)


@dataclass(frozen=True)
class Size:
    """Bounds of an expression.

    `bits` bounds the rational coefficients that can arise when all is unfolded and collected;
    `reach` the magnitude of its literal factors; `logs` the bits inside its logarithms (-1
    without any); `value` is a ball around it where it is constant, and `depth` how deep its
    functions are nested there.
    """

    bits: float = 0.0
    reach: float = 1.0
    logs: float = -1.0
    value: Any = None
    depth: int = 0


SYMBOL = Size()


def number(value: Rational) -> Size:
    """The size of an exact number."""
    with ctx.workprec(_PRECISION):
        ball = arb(fmpq(int(value.p), int(value.q)))
    bits = max(0, (abs(int(value.p)) - 1).bit_length()) + (int(value.q) - 1).bit_length()
    return _checked(Size(float(bits), _reach(ball), -1.0, ball))


def constant_pi() -> Size:
    """The size of pi."""
    with ctx.workprec(_PRECISION):
        return Size(0.0, 3.15, -1.0, arb.pi())


def add(parts: Sequence[Size]) -> Size:
    """The size of a sum."""
    bits = reduce(_log_add, (part.bits for part in parts))
    reach = min(_HUGE, sum(part.reach for part in parts))
    return _checked(Size(bits, reach, _logs(parts), _ball("add", parts), _depth(parts)))


def mul(parts: Sequence[Size]) -> Size:
    """The size of a product."""
    reach = reduce(lambda x, y: min(_HUGE, x * y), (part.reach for part in parts))
    bits = sum(part.bits for part in parts)
    return _checked(Size(bits, reach, _logs(parts), _ball("mul", parts), _depth(parts)))


def power(base: Size, exponent: Size) -> Size:
    """The size of a power."""
    zero = base.value is not None and base.value.is_zero()
    if zero and exponent.value is not None and exponent.value < 0:
        raise BadConstant("a division by zero", "an expression with a real value")
    ball = _ball("pow", (base, exponent))
    whole = exponent.value is not None and exponent.value.is_integer()
    times = max(1.0, exponent.reach) if exponent.value is None else exponent.reach
    if exponent.value is not None and times > LIMIT_BITS:
        raise BadConstant("an exponent that is too large", f"an exponent up to {LIMIT_BITS}")
    if not whole and base.bits > LIMIT_ROOT_BITS:
        expected = f"one of at most {LIMIT_ROOT_BITS} bits"
        raise BadConstant("a broken power of a large constant", expected)
    bits = max(base.bits * times, exponent.bits if not whole else 0.0)
    parts = (base, exponent)
    reach = 2.0 ** min(bits, 990.0)
    return _checked(Size(bits, reach, _logs(parts), ball, _depth(parts) + 1))


def call(name: str, parts: Sequence[Size]) -> Size:
    """The size of a function's value."""
    ball = _ball(name, parts)
    bits, logs = max(part.bits for part in parts), _logs(parts)
    reach = 1.0
    if name == "log":
        logs = max(logs, bits)
    elif name in ("largest", "smallest", "absolute", "relu"):
        reach = max(part.reach for part in parts)
    elif name in _EXPONENTIAL and logs >= 0:
        bits = max(bits, max(1.0, logs) * parts[0].reach)
        reach = 2.0 ** min(bits, 990.0)
    return _checked(Size(bits, reach, logs, ball, _depth(parts) + 1))


def merge(parts: Sequence[Size]) -> Size:
    """The size of a node that is one of its parts, or an extremum or sum of them."""
    return _checked(
        Size(
            max((part.bits for part in parts), default=0.0),
            max((part.reach for part in parts), default=1.0),
            _logs(parts),
        )
    )


def measure(expr: Basic, defined: Mapping[str, Size]) -> Size:
    """The size of an expression already built; `defined` has those of the defined names."""
    if isinstance(expr, Rational):
        return number(expr)
    if expr is pi:
        return constant_pi()
    if isinstance(expr, Entry):
        return defined.get(expr.tensor.name, SYMBOL)
    if isinstance(expr, Delta) or not expr.args:
        return SYMBOL
    parts = [measure(arg, defined) for arg in expr.args]
    if isinstance(expr, Add):
        return add(parts)
    if isinstance(expr, Mul):
        return mul(parts)
    if isinstance(expr, Pow):
        return power(*parts)
    if isinstance(expr, Binder) or type(expr).__name__ not in _BALLS:
        return merge(parts)
    return call(type(expr).__name__, parts)


def fraction(value: Expr, way: int = 0) -> Fraction:
    """A constant as a fraction; one that is irrational to 12 digits and up (way > 0) or down,
    or as close as it is known."""
    if isinstance(value, Rational):
        return Fraction(int(value.p), int(value.q))
    with ctx.workprec(_PRECISION):
        ball = measure(value, {}).value
        mantissa, exponent = ball.mid().man_exp()
        near = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
        if way == 0:
            return near
        digits = 12 - floor(log10(abs(near)))
        end = (way * ball).upper() * arb(10) ** digits
        return way * Fraction(int(end.ceil().unique_fmpz())) / Fraction(10) ** digits


def check_roots(factors: Sequence[Expr], exponent: Expr = S.One) -> None:
    """Refuse a product of roots, or a root of one, whose radicals SymPy would multiply out.

    It gathers 2**(p/q) * 3**(r/s) under one root: integers of about bits times q.
    """
    weight = 0
    for factor in factors:
        for part in Mul.make_args(factor):
            base, power_ = part.as_base_exp()
            power_ = power_ * exponent if isinstance(power_, Rational) else power_
            if isinstance(base, Rational) and isinstance(power_, Rational) and power_.q > 1:
                weight += (int(base.p).bit_length() + int(base.q).bit_length()) * int(power_.q)
    if weight > LIMIT_ROOTS:
        found = "roots of constants that are too large together"
        raise BadConstant(found, "smaller constants or exponents with smaller denominators")


def refine(size: Size, expr: Expr) -> Size:
    """The size of the expression that SymPy made: an exact number is known exactly."""
    if isinstance(expr, Rational):
        return number(expr)
    if size.value is not None and 0 in size.value and not size.value.is_zero():
        found = "a constant too close to zero to be told from it"
        raise BadConstant(found, "zero itself or a clear value")
    return size


def _checked(size: Size) -> Size:
    """Refuse constants beyond the limits, and those without a real value."""
    if size.bits > LIMIT_BITS:
        raise BadConstant("a constant that is too large", f"constants of at most {LIMIT_BITS} bits")
    if size.value is None:
        return size
    if size.value.is_nan():
        raise BadConstant("a constant without a value", "an expression with a real value")
    if not size.value.is_finite() or size.value.abs_upper() > arb(2) ** LIMIT_BITS:
        raise BadConstant("a constant that is too large", f"constants of at most {LIMIT_BITS} bits")
    if 0 not in size.value and size.value.abs_upper() < arb(2) ** -LIMIT_BITS:
        raise BadConstant("a constant that is too small", f"constants of at most {LIMIT_BITS} bits")
    if size.depth > LIMIT_DEPTH:
        found = "a constant nested too deeply"
        raise BadConstant(found, f"constants of at most {LIMIT_DEPTH} levels")
    return replace(size, reach=_reach(size.value))


def _reach(ball: Any) -> float:
    return min(_HUGE, float(ball.abs_upper()))


def _logs(parts: Sequence[Size]) -> float:
    return max((part.logs for part in parts), default=-1.0)


def _depth(parts: Sequence[Size]) -> int:
    """How deep constants are nested in the parts; only those count that are constant."""
    return max((part.depth for part in parts if part.value is not None), default=0)


def _log_add(x: float, y: float) -> float:
    low, high = sorted((x, y))
    return high + log2(1 + 2.0 ** max(low - high, -1000.0))


def _ball(name: str, parts: Sequence[Size]) -> Any:
    """The ball of a constant node, or None where a part is not constant."""
    balls = [part.value for part in parts]
    if any(ball is None for ball in balls):
        return None
    with ctx.workprec(_PRECISION):
        if name in ("add", "mul"):
            return reduce(_BALLS[name], balls)
        return _BALLS[name](*balls)
