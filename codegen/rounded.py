"""A kernel in rounded arithmetic that is the same on every machine.

+ - * / and square roots are those of IEEE doubles, sums go from first to last, and every
elementary function is rounded correctly: what is measured here is the form of a kernel, not the
library that some target takes its exp from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
import sympy
from sympy import Basic, Expr, Integer, Mul, Pow, Rational, exp, log

from codegen import rounding
from codegen.kernel import (
    Contract,
    Kernel,
    Map,
    Reduce,
    Statement,
    corrected,
    leading,
    product_lost,
    sum_lost,
    weighted,
)
from codegen.rounding import BALLS, rounded
from derive import functions
from derive.errors import KernelError
from derive.index import Axis, Choice, Condition, Delta, Entry, Index, order

Array = Any
Arrays = Mapping[str, Any]
COMPARE: Mapping[str, Callable[..., Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
}
DIRECT: Mapping[type, Callable[..., Any]] = {
    functions.absolute: np.abs,
    functions.signum: np.sign,
    functions.relu: lambda x: np.where(x > 0, x, np.where(np.isnan(x), x, 0.0)),
    functions.step: lambda x: np.where(np.isnan(x), x, np.where(x > 0, 1.0, 0.0)),
    functions.largest: np.maximum,
    functions.smallest: np.minimum,
    weighted: lambda w, x: np.where(w == 0, 0.0, w * x),
    corrected: lambda x, e: np.where(np.isfinite(e), x + e, x),
    leading: lambda x, s: (s + x) - s,
    sum_lost: lambda *x: _each(rounding.sum_lost, *x),
    product_lost: lambda *x: _each(rounding.product_lost, *x),
}
FOLDS: Mapping[str, Callable[..., Any]] = {
    "sum": np.add,
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}
EMPTY: Mapping[str, float] = {"sum": 0.0, "prod": 1.0, "max": -np.inf, "min": np.inf}
FUNCTION, QUOTIENT = 8, 4  # what an elementary function, and a quotient or a root, count as
COMPOSED: Mapping[type, int] = {
    functions.sigmoid: FUNCTION + QUOTIENT,
    functions.softplus: 2 * FUNCTION,
    product_lost: 8,  # one fused multiply-add where there is one, 17 operations where not
    sum_lost: 6,
    leading: 2,
    corrected: 3,
}


@dataclass(frozen=True)
class Rounded:
    """A kernel, called as those that targets generate are."""

    kernel: Kernel

    def __call__(self, **arguments: Any) -> tuple[Array, dict[str, Array]]:
        known = {name: np.asarray(value) for name, value in arguments.items()}
        sizes = _sizes(self.kernel, known)
        with np.errstate(all="ignore"):
            for statement in self.kernel.statements:
                known[statement.name] = value(statement, known, sizes)
        found = {key: known[entry.tensor.name] for key, entry in self.kernel.outputs}
        return found.pop(""), found


def _sizes(kernel: Kernel, arrays: Arrays) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for given in kernel.inputs:
        shape = arrays[given.name].shape
        sizes |= {axis.name: n for axis, n in zip(given.tensor.axes, shape, strict=True)}
    return sizes


def value(
    statement: Statement,
    known: Arrays,
    sizes: Mapping[str, int],
    starts: Mapping[str, int] | None = None,
) -> Array:
    """The array that a statement defines.

    `starts` has the number of the first entry of an axis that is part of a longer one.
    """
    grid = (*statement.indices, *statement.over)
    shape = tuple(sizes[index.axis.name] for index in grid)
    places = np.ogrid[tuple(slice(size) for size in shape)] if grid else []
    at = Elements(known, sizes, dict(zip(grid, places, strict=True)), starts or {})
    if isinstance(statement, Contract):
        terms = [at(operand) for operand in statement.operands]
        inside = np.broadcast_to(reduce(np.multiply, terms), shape)
        return _folded("sum", inside, len(statement.over))
    inside = np.broadcast_to(at(statement.expr), shape)
    if isinstance(statement, Map):
        return np.array(inside)
    if statement.op == "argmax":
        first = (starts or {}).get(statement.over[0].axis.name, 0)
        return first + np.argmax(inside, axis=-1) if shape[-1] else np.zeros(shape[:-1], int)
    return _folded(statement.op, inside, len(statement.over))


def _folded(op: str, inside: Array, axes: int) -> Array:
    """The last axes combined one element after the other."""
    kept = inside.shape[: inside.ndim - axes]
    flat = inside.reshape(*kept, math.prod(inside.shape[inside.ndim - axes :]))
    parts = [flat[..., k] for k in range(flat.shape[-1])]
    return reduce(FOLDS[op], parts) if parts else np.full(kept, EMPTY[op])


@dataclass(frozen=True)
class Elements:
    """Expressions over the grid of a statement, term by term as the targets write them."""

    known: Arrays
    sizes: Mapping[str, int]
    places: Mapping[Index, Array]
    starts: Mapping[str, int] = field(default_factory=dict)

    def __call__(self, expr: Basic) -> Array:
        if isinstance(expr, Entry):
            whole = self.known[expr.tensor.name]
            return whole[tuple(map(self._place, expr.indices))] if expr.indices else whole
        if isinstance(expr, Index):
            return self.places[expr] + self.starts.get(expr.axis.name, 0)
        if isinstance(expr, Axis):
            return np.float64(self.sizes[expr.name])
        if isinstance(expr, Delta):
            one, other = (self._number(i) for i in expr.args)
            return np.where(np.equal(one, other), 1.0, 0.0)
        if isinstance(expr, Choice):
            condition, value, otherwise = expr.args
            return np.where(self.test(condition), self(value), self(otherwise))
        if expr.is_number:
            return np.float64(expr)
        if expr.is_Add:
            return self._add(expr)
        if expr.is_Mul:
            return self._product(expr)
        if isinstance(expr, Pow):
            return self._power(expr)
        return self._call(type(expr), expr.args)

    def test(self, condition: Condition) -> Array:
        if condition.op == "true":
            return np.True_
        if condition.op in ("and", "or"):
            return reduce(COMPARE[condition.op], [self.test(x) for x in condition.operands])
        if condition.op == "not":
            return np.logical_not(self.test(condition.operands[0]))
        return COMPARE[condition.op](*(self._side(side) for side in condition.operands))

    def _side(self, side: Basic) -> Array:
        label = isinstance(side, Entry) and side.tensor.label is not None
        return self._number(side) if label or isinstance(side, Index) else self(side)

    def _number(self, index: Basic) -> Array:
        return int(index) if isinstance(index, Integer) else self(index)

    def _place(self, index: Basic) -> Array:
        return self.places[index] if isinstance(index, Index) else self._number(index)

    def _add(self, expr: Expr) -> Array:
        terms = sorted(expr.args, key=lambda term: (_negative(term), order(term)))
        grown = [term for term in terms if isinstance(term, exp)]
        if -1 in terms and grown:
            terms = [term for term in terms if term not in (-1, grown[0])]
            return sum(map(self, terms), self._call(functions.expm1, grown[0].args))
        return reduce(np.add, map(self, terms))

    def _product(self, expr: Expr) -> Array:
        number, rest = expr.as_coeff_Mul()
        above, below = halves(rest)
        if isinstance(number, Rational):
            above = [Integer(number.p), *above] if number.p != 1 or not above else above
            below = [Integer(number.q), *below] if number.q != 1 else below
        else:
            above = [number, *above]
        value = reduce(np.multiply, map(self, above))
        return value / reduce(np.multiply, map(self, below)) if below else value

    def _power(self, expr: Expr) -> Array:
        base, exponent = expr.args
        if exponent.is_number and exponent.is_negative:
            return 1.0 / self(base**-exponent)
        if exponent == Rational(1, 2):
            return np.sqrt(self(base))
        if isinstance(exponent, Integer) and exponent <= 4:
            return reduce(np.multiply, [self(base)] * int(exponent))
        return self._call(Pow, (base, exponent))

    def _call(self, kind: type, args: Sequence[Expr]) -> Array:
        if kind is log and args[0].is_Add and 1 in args[0].args:
            kind, args = functions.log1p, (args[0] - 1,)
        values = [self(arg) for arg in args]
        if kind in DIRECT:
            return DIRECT[kind](*values)
        if kind not in BALLS:
            raise KernelError(f"rounded arithmetic has no {kind.__name__}")
        return _each(lambda *x: rounded(kind, *x), *values)


def _each(function: Callable[..., float], *values: Array) -> Array:
    each = np.frompyfunc(lambda *x: function(*map(float, x)), len(values), 1)
    return np.asarray(each(*values), dtype=np.float64)


def _negative(term: Expr) -> bool:
    return bool(term.as_coeff_Mul()[0] < 0)


def halves(expr: Expr) -> tuple[list[Expr], list[Expr]]:
    """The factors above and below the line, in the order in which they are multiplied."""
    above, below = [], []
    for factor in sorted(Mul.make_args(expr), key=order):
        if isinstance(factor, Pow) and factor.exp.is_number and factor.exp.is_negative:
            below.append(factor.base**-factor.exp)
        elif factor != 1:
            above.append(factor)
    return above, below


def cost(kernel: Kernel, sizes: Mapping[str, int]) -> int:
    """Operations of a call; some count for more than one."""
    whole = 0
    for statement in kernel.statements:
        trees = statement.operands if isinstance(statement, Contract) else (statement.expr,)
        once = sum(map(_operations, trees)) + (0 if isinstance(statement, Map) else 1)
        if isinstance(statement, Reduce | Contract):
            once += len(trees) - 1
        for index in (*statement.indices, *statement.over):
            once *= sizes.get(index.axis.name, 3)
        whole += once
    return whole


def _operations(expr: Basic) -> int:
    if (
        isinstance(expr, Entry | Index)
        or not expr.args
        or (isinstance(expr, Expr) and expr.is_number)
    ):
        return 0
    if isinstance(expr, Mul):
        above, below = halves(expr)
        above = [factor for factor in above if factor != -1]
        own = max(len(above) - 1, 0) + max(len(below) - 1, 0) + (QUOTIENT if below else 0)
        return own + sum(map(_operations, [*above, *below]))
    return _own(expr) + sum(map(_operations, expr.args))


def _own(expr: Basic) -> int:
    """What one node costs, its arguments apart."""
    if isinstance(expr, Pow):
        base = QUOTIENT if expr.exp.is_number and expr.exp.is_negative else 0
        if abs(expr.exp) == Rational(1, 2):
            return QUOTIENT + base
        whole = isinstance(expr.exp, Integer) and abs(expr.exp) <= 4
        return base + (abs(int(expr.exp)) - 1 if whole else 2 * FUNCTION)
    if isinstance(expr, sympy.Add):
        return len(expr.args) - 1
    if type(expr) in COMPOSED:
        return COMPOSED[type(expr)]
    simple = isinstance(expr, Choice | Delta | Condition) or type(expr) in DIRECT
    return 1 if simple else FUNCTION
