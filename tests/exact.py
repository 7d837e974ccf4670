"""Values of expressions in mpmath, entry by entry: slow, plain, and no part of what it checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import mpmath
import sympy
from mpmath import mp

from codegen.kernel import weighted
from derive import functions
from derive.index import (
    Argmax,
    Axis,
    Choice,
    Condition,
    Delta,
    Entry,
    Index,
    Maximum,
    Minimum,
    Product,
    Share,
    Total,
)
from derive.loss import Loss

FUNCTIONS = {
    sympy.exp: mpmath.exp,
    sympy.log: lambda x: mpmath.log(x) if x != 0 else -mp.inf,
    sympy.sin: mpmath.sin,
    sympy.cos: mpmath.cos,
    sympy.tan: mpmath.tan,
    sympy.acos: mpmath.acos,
    sympy.asin: mpmath.asin,
    sympy.atan: mpmath.atan,
    sympy.sinh: mpmath.sinh,
    sympy.cosh: mpmath.cosh,
    sympy.tanh: mpmath.tanh,
    sympy.erf: mpmath.erf,
    functions.erfc: mpmath.erfc,
    functions.erfcx: lambda x: mpmath.exp(x * x) * mpmath.erfc(x),
    functions.lgamma: mpmath.loggamma,
    functions.sigmoid: lambda x: 1 / (1 + mpmath.exp(-x)),
    functions.softplus: lambda x: mpmath.log1p(mpmath.exp(x)),
    functions.log1p: mpmath.log1p,
    functions.expm1: mpmath.expm1,
    functions.log1pmx: lambda x: mpmath.log1p(x) - x,
    functions.expm1mx: lambda x: mpmath.expm1(x) - x,
    functions.log1mexp: lambda x: mpmath.log(-mpmath.expm1(x)),
    functions.grouped: lambda x: x,
    functions.relu: lambda x: max(x, mp.zero),
    functions.step: lambda x: mp.one if x > 0 else mp.zero,
    functions.absolute: abs,
    functions.signum: mpmath.sign,
    functions.largest: max,
    functions.smallest: min,
    weighted: lambda w, x: mp.zero if w == 0 else w * x,
}
TESTS = {
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
}


@dataclass
class Exact:
    """Evaluates the expressions of a loss; `values` holds an array for each declared name."""

    loss: Loss
    sizes: Mapping[str, int]
    values: Mapping[str, Any]
    memo: dict[Any, Any] = field(default_factory=dict)

    def __call__(self, expr: Any, env: Mapping[Index, int] | None = None) -> Any:
        env = env or {}
        if isinstance(expr, Entry):
            return self._entry(expr, env)
        if isinstance(expr, Index):
            return env[expr]
        if isinstance(expr, Axis):
            return mpmath.mpf(self.sizes[expr.name])
        if expr.is_number:
            return mpmath.mpmathify(sympy.N(expr, mp.dps + 5))
        if isinstance(expr, Delta | Share):
            return self._switch(expr, env)
        if isinstance(expr, Choice):
            return self(expr.args[1] if self._true(expr.args[0], env) else expr.args[2], env)
        if isinstance(expr, Total | Product | Maximum | Minimum | Argmax):
            return self._binder(expr, env)
        values = [self(arg, env) for arg in expr.args]
        if expr.is_Add:
            return mpmath.fsum(values)
        if expr.is_Mul:
            return mp.zero if 0 in values else mpmath.fprod(values)
        if expr.is_Pow:
            return values[0] ** values[1]
        return FUNCTIONS[type(expr)](*values)

    def _entry(self, entry: Entry, env: Mapping[Index, int]) -> Any:
        place = tuple(int(self(i, env)) for i in entry.indices)
        name = entry.tensor.name
        if name in self.values:
            return mpmath.mpmathify(self.values[name][place].item())
        if (name, place) not in self.memo:
            definition = self.loss.defined[name]
            here = dict(zip(definition.entry.indices, place, strict=True))
            self.memo[name, place] = self(definition.body, here)
        return self.memo[name, place]

    def _switch(self, expr: Any, env: Mapping[Index, int]) -> Any:
        if isinstance(expr, Delta):
            return mp.one if self(expr.args[0], env) == self(expr.args[1], env) else mp.zero
        index, body, _ = expr.args[0].open()
        values = [self(body, {**env, index: k}) for k in range(self.sizes[index.axis.name])]
        best = self(expr.args[0], env)
        here = values[self(expr.args[1], env)] == best
        return mp.one / values.count(best) if here else mp.zero

    def _true(self, condition: Condition, env: Mapping[Index, int]) -> bool:
        if condition.op == "true":
            return True
        if condition.op in ("and", "or", "not"):
            truths = [self._true(arg, env) for arg in condition.operands]
            return {"and": all(truths), "or": any(truths), "not": not truths[0]}[condition.op]
        left, right = (self(side, env) for side in condition.operands)
        return bool(TESTS[condition.op](left, right))

    def _binder(self, expr: Any, env: Mapping[Index, int]) -> Any:
        index, body, guard = expr.open()
        places = [{**env, index: k} for k in range(self.sizes[index.axis.name])]
        values = [self(body, place) for place in places if self._true(guard, place)]
        if isinstance(expr, Argmax):
            return values.index(max(values))
        if isinstance(expr, Total):
            return mpmath.fsum(values)
        if isinstance(expr, Product):
            return mpmath.fprod(values)
        return reduce(max if isinstance(expr, Maximum) else min, values)
