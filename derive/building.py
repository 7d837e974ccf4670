"""Building the nodes of an expression, each only after its constants are known to be in bounds."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import sympy
from sympy import Add, Basic, Expr, Mul, Pow, Rational, S, evaluate

from derive import functions
from derive.index import (
    Axis,
    Binder,
    Choice,
    Condition,
    Delta,
    Entry,
    Index,
    Share,
    Tensor,
)
from derive.magnitude import (
    LIMIT_BITS,
    BadConstant,
    Size,
    add,
    call,
    check_roots,
    mul,
    number,
    power,
    refine,
)
from derive.scope import Scope

LIMIT_NODES = 8192
_LIMIT_DIGITS = 1300
_NUMBER = re.compile(r"(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?")
_PLAIN: dict[str, Callable[..., Expr]] = {
    function.__name__: function
    for function in (
        *(sympy.exp, sympy.log, sympy.sin, sympy.cos, sympy.tan, sympy.asin, sympy.acos),
        *(sympy.atan, sympy.sinh, sympy.cosh, sympy.tanh, sympy.erf),
        *(functions.absolute, functions.signum, functions.sigmoid, functions.softplus),
        *(functions.relu, functions.lgamma, functions.digamma, functions.trigamma),
        *(functions.largest, functions.smallest, functions.erfc),
    )
}
_ALLOWED = (
    *(Rational, Add, Mul, Pow, Axis, Tensor, Index, Condition, Entry, Delta, Choice, Share, Binder),
    *(type(S.Pi), type(S.Exp1)),
    *(kind for kind in _PLAIN.values() if isinstance(kind, type)),
)


class Value(NamedTuple):
    """An expression, and the bounds on its constants."""

    expr: Expr
    size: Size


ONE = Value(S.One, number(S.One))
HALF = Value(S.Half, number(S.Half))
MINUS = Value(S.NegativeOne, number(S.NegativeOne))


def make(
    node: ast.AST, scope: Scope, measured: Callable[[], Size], build: Callable[[], Expr]
) -> Value:
    """Build a node once its size is known to be within the limits."""
    try:
        bounds = measured()
        expr = _settle(build(), scope)
        return Value(expr, refine(bounds, expr))
    except BadConstant as error:
        raise scope.text.error(node, error.found, error.expected) from None


def exact(node: ast.AST, written: str, scope: Scope) -> Value | None:
    """The exact rational of a decimal as written, or None where it is not a decimal."""
    match = _NUMBER.fullmatch(written.replace("_", ""))
    if match is None:
        return None
    whole, fraction, exponent = match.groups("")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return Value(S.Zero, number(S.Zero))
    shift = int(exponent[:9] or 0) - len(fraction)
    if len(digits) > _LIMIT_DIGITS or len(exponent) > 8 or abs(shift) > 2 * _LIMIT_DIGITS:
        expected = f"constants of at most {LIMIT_BITS} bits"
        raise scope.text.error(node, "a constant of too many digits", expected)
    above, below = int(digits) * 10 ** max(shift, 0), 10 ** max(-shift, 0)
    value = Rational(above, below)
    return make(node, scope, lambda: number(value), lambda: value)


def combine(
    node: ast.AST,
    parts: Sequence[Value],
    measured: Callable[[Sequence[Size]], Size],
    build: Callable[..., Expr],
    scope: Scope,
) -> Value:
    """A node of values already read."""
    sizes = [part.size for part in parts]
    exprs = [part.expr for part in parts]
    return make(node, scope, lambda: measured(sizes), lambda: _built(build, exprs))


def _built(build: Callable[..., Expr], parts: Sequence[Expr]) -> Expr:
    """A node of parts; one of numbers is a number, also where all else is kept as written."""
    if all(isinstance(part, Rational) for part in parts):
        with evaluate(True):
            return build(*parts)
    return build(*parts)


def plus(node: ast.AST, terms: Sequence[Value], scope: Scope) -> Value:
    """A sum."""
    return combine(node, terms, add, Add, scope)


def times(node: ast.AST, factors: Sequence[Value], scope: Scope) -> Value:
    """A product."""

    def build(*parts: Expr) -> Expr:
        check_roots(parts)
        return Mul(*parts)

    return combine(node, factors, mul, build, scope)


def negate(node: ast.AST, value: Value, scope: Scope) -> Value:
    """A value with the other sign."""
    return times(node, [MINUS, value], scope)


def raise_to(node: ast.AST, base: Value, exponent: Value, scope: Scope) -> Value:
    """A power."""

    def build(base_: Expr, exponent_: Expr) -> Expr:
        if isinstance(exponent_, Rational):
            check_roots([base_], exponent_)
        return Pow(base_, exponent_)

    return combine(node, (base, exponent), lambda sizes: power(*sizes), build, scope)


def apply(node: ast.AST, name: str, arguments: Sequence[Value], scope: Scope) -> Value:
    """A scalar function of values already read."""
    return combine(node, arguments, lambda sizes: call(name, sizes), _PLAIN[name], scope)


def _settle(expr: Expr, scope: Scope) -> Expr:
    """Check what SymPy made: real, of the functions that the language has, and not overgrown."""
    strange: dict[Basic, Basic] = {}
    _count(expr, scope.counted, strange)
    if not strange:
        return expr
    for node in (expr, *strange):
        scope.counted.pop(node, None)
    return _settle(expr.xreplace(strange), scope)


def _count(node: Basic, counted: dict[Basic, int], strange: dict[Basic, Basic]) -> int:
    """How many nodes there are; `strange` collects those to write in the language's functions."""
    if node in counted:
        return counted[node]
    if isinstance(node, sympy.Abs):
        strange[node] = functions.absolute(node.args[0])
    elif isinstance(node, sympy.cot):
        strange[node] = 1 / sympy.tan(node.args[0])
    elif isinstance(node, sympy.sign):
        strange[node] = functions.signum(node.args[0])
    elif not isinstance(node, _ALLOWED):
        raise BadConstant("an expression without a real value", "one that has a real value")
    inside = node.operands if isinstance(node, Condition) else node.args
    total = 1
    if not isinstance(node, Entry | Delta):
        total += sum(_count(arg, counted, strange) for arg in inside)
    if total > LIMIT_NODES:
        raise BadConstant("an expression that grows too large", f"at most {LIMIT_NODES} nodes")
    counted[node] = total
    return total
