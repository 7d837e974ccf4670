"""Evaluation in ball arithmetic: rigorous values, and rigorous derivatives as power series.

A derivative still to be taken (`Diff`, `Partial`) is evaluated by automatic differentiation of
the loss itself, with truncated power series of balls; no rule of the engine has a part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from flint import arb, arb_series, ctx
from sympy import E, Expr, S, pi

from derive.balls import FUNCTIONS, KINKED, Number, Undetermined, ball, product, sign_of
from derive.errors import PminusyError
from derive.extrema import argmax, extremum, share
from derive.functions import step
from derive.index import (
    Argmax,
    Binder,
    Choice,
    Condition,
    Delta,
    Diff,
    Entry,
    Index,
    Maximum,
    Minimum,
    Partial,
    Product,
    Share,
    Total,
    is_index,
    tensor_names,
    unbound,
)
from derive.loss import Loss
from derive.point import Point
from derive.rational import rational
from derive.slopes import slope


class Evaluator:
    """Evaluates expressions of one loss at one point; keeps what it has evaluated, so that it
    serves one working precision.

    Raises Undetermined on a kink, where a comparison that decides a derivative is an equality
    (if `strict`, where any order comparison, or one of what a derivative moves, is one).
    """

    def __init__(self, loss: Loss, point: Point, strict: bool = False) -> None:
        self.loss, self.point, self.strict = loss, point, strict
        self.still = False  # whether something compared was 0, and a series that did not move
        self._memo: dict[tuple[str, tuple[int, ...]], Number] = {}
        self._kept: dict[tuple[Any, ...], Any] = {}
        # Where entries of some names are others than in `_base`, what reads none of these.
        self._base: Evaluator | None = None
        self._moved: frozenset[str] = frozenset()

    def __call__(self, expr: Expr, env: Mapping[Expr, int]) -> Number:
        """The value of an expression, its free indices given by `env`."""
        if isinstance(expr, Entry):
            return self._entry(expr, env)
        if self._base is not None and self._moved.isdisjoint(tensor_names(expr)):
            return self._base(expr, env)
        key = (expr, *map(env.get, unbound(expr)))
        value = self._kept.get(key)
        if value is None:
            value = self._kept[key] = self._value(expr, env)
        return value

    def _value(self, expr: Expr, env: Mapping[Expr, int]) -> Number:
        if expr.is_Rational:
            return ball(Fraction(expr.p, expr.q))
        if expr.is_Add:
            return sum((self(arg, env) for arg in expr.args[1:]), self(expr.args[0], env))
        if expr.is_Mul:
            return self._mul(expr, env)
        handler = HANDLERS.get(type(expr).__name__)
        if handler is not None:
            return handler(self, expr, env)
        if expr.is_Pow:
            return self._pow(expr, env)
        if expr == E:
            return arb(1).exp()
        if expr == pi:
            return arb.pi()
        function = FUNCTIONS.get(type(expr).__name__)
        if function is None:
            raise PminusyError(f"'{type(expr).__name__}' cannot be evaluated")
        values = [self(arg, env) for arg in expr.args]
        if type(expr).__name__ in KINKED:
            self._note(values[0] - values[1] if len(values) > 1 else values[0])
        return function(*values)

    def _mul(self, expr: Expr, env: Mapping[Expr, int]) -> Number:
        """A product; a factor that is exactly 0 (a delta, a choice) hides what it multiplies."""
        result: Number = arb(1)
        for arg in _hiding_first(expr):
            value = self(arg, env)
            if isinstance(arg, Delta | Choice | step) and value == 0:
                return arb(0)
            result = product(result, value)
        return result

    def _pow(self, expr: Expr, env: Mapping[Expr, int]) -> Number:
        base = self(expr.base, env)
        if expr.exp.is_Integer:
            return base ** int(expr.exp) if expr.exp >= 0 else 1 / base ** int(-expr.exp)
        if expr.exp == S.Half:
            return base.sqrt()
        exponent = self(expr.exp, env)
        if isinstance(base, arb) and isinstance(exponent, arb):
            return base**exponent
        return product(exponent, base.log()).exp()

    def index(self, index: Expr, env: Mapping[Expr, int]) -> int:
        """The number that an index or a class label stands for."""
        if isinstance(index, Index):
            return env[index]
        if isinstance(index, Argmax):
            key = (index, *map(env.get, unbound(index)))
            if key not in self._kept:
                self._kept[key] = argmax(self, index, env)
            return int(self._kept[key])
        place = tuple(self.index(i, env) for i in index.indices)
        return int(self.point.values[index.tensor.name][place])

    def _entry(self, entry: Entry, env: Mapping[Expr, int]) -> Number:
        return self.at(entry.tensor.name, tuple(self.index(i, env) for i in entry.indices))

    def at(self, name: str, place: tuple[int, ...]) -> Number:
        """The value of one entry, by its numbers."""
        key = (name, place)
        if key in self.point.overrides:
            return self.point.overrides[key]
        if self._base is not None and name not in self._moved:
            return self._base.at(name, place)
        if key not in self._memo:
            definition = self.loss.defined.get(name)
            if definition is None:
                given = self.point.values[name].get(place)  # none at a label that is ignored
                self._memo[key] = arb("nan") if given is None else ball(given)
            else:
                env = dict(zip(definition.entry.indices, place, strict=True))
                self._memo[key] = self(definition.body, env)
        return self._memo[key]

    def over(self, expr: Binder, env: Mapping[Expr, int]) -> list[tuple[int, Number]]:
        """The values of the body of a binder, with the number of the index."""
        bound, body, guard = expr.args
        found = []
        for k in range(self.point.sizes[expr.axis.name]):
            here = {**env, bound: k}
            if self.holds(guard, here):
                found.append((k, self(body, here)))
        return found

    def _total(self, expr: Binder, env: Mapping[Expr, int]) -> Number:
        return sum((value for _, value in self.over(expr, env)), arb(0))

    def _product(self, expr: Binder, env: Mapping[Expr, int]) -> Number:
        result: Number = arb(1)
        for _, value in self.over(expr, env):
            result = product(result, value)
        return result

    def sign(self, value: Number, strict: bool | None = None) -> int:
        """The sign of a number that is compared; see the class for what is raised."""
        sign = sign_of(value)
        if sign == 0 and (self.strict if strict is None else strict):
            raise Undetermined("a comparison at this point is an equality")
        self._note(value)
        return sign

    def _note(self, value: Number) -> None:
        if isinstance(value, arb_series) and value[0] == 0:
            self.still = True

    def compare(self, op: str, left: Expr, right: Expr, env: Mapping[Expr, int]) -> int:
        """The sign of left - right, exactly where both are rational."""
        one, two = self(left, env), self(right, env)
        moves = isinstance(one, arb_series) or isinstance(two, arb_series)
        strict = None if moves or op not in ("==", "!=") else False
        if isinstance(one, arb) and isinstance(two, arb) and one.overlaps(two):
            exact = rational(self, left, env)
            if exact is not None and exact == rational(self, right, env):
                return self.sign(arb(0), strict)
        return self.sign(one - two, strict)

    def holds(self, condition: Condition, env: Mapping[Expr, int]) -> bool:
        """Whether a condition is true."""
        op, operands = condition.op, condition.operands
        if op == "true":
            return True
        if op == "not":
            return not self.holds(operands[0], env)
        if op in ("and", "or"):
            return (all if op == "and" else any)(self.holds(part, env) for part in operands)
        left, right = operands
        if op in ("==", "!=") and is_index(left):
            return (self.index(left, env) == self.index(right, env)) == (op == "==")
        return COMPARE[op](self.compare(op, left, right, env))

    def _choice(self, expr: Choice, env: Mapping[Expr, int]) -> Number:
        condition, value, otherwise = expr.args
        return self(value if self.holds(condition, env) else otherwise, env)

    def _delta(self, expr: Delta, env: Mapping[Expr, int]) -> Number:
        i, j = expr.args
        return arb(int(self.index(i, env) == self.index(j, env)))

    def _diff(self, expr: Diff, env: Mapping[Expr, int]) -> Number:
        """The body's derivative with every other defined name held fixed."""
        body, variable = expr.args
        place = tuple(self.index(i, env) for i in variable.indices)
        return slope(self, variable.tensor.name, place, True, lambda there: there(body, env))

    def _partial(self, expr: Partial, env: Mapping[Expr, int]) -> Number:
        of, variable, direct = expr.args
        name, place = variable.tensor.name, tuple(self.index(i, env) for i in variable.indices)
        if direct != S.One:
            return slope(self, name, place, False, lambda there: there(of, env))
        # By numbers: the indices of `of` may be bound further out.
        definition = self.loss.defined[of.tensor.name]
        numbers = (self.index(i, env) for i in of.indices)
        here = dict(zip(definition.entry.indices, numbers, strict=True))
        return slope(self, name, place, True, lambda there: there(definition.body, here))

    def moved(
        self, name: str, place: tuple[int, ...], value: Number, freeze: bool = False
    ) -> Evaluator:
        """The evaluator where one entry has another value, and with `freeze` nothing else.

        What does not read this name is evaluated once for both.
        """
        overrides = {**self.point.overrides, (name, place): value}
        point = Point(self.point.sizes, self.point.values, overrides)
        there = Evaluator(self.loss, point, self.strict)
        reading = frozenset((name,))
        for definition in () if freeze else self.loss.definitions:
            if not reading.isdisjoint(tensor_names(definition.body)):
                reading |= {definition.name}
        there._base, there._moved = self, reading
        return there


@lru_cache(maxsize=1 << 16)
def _hiding_first(product: Expr) -> tuple[Expr, ...]:
    """The factors, first those that may be exactly 0 and hide the others."""
    return tuple(sorted(product.args, key=lambda arg: not isinstance(arg, Delta | Choice | step)))


COMPARE: dict[str, Callable[[int], bool]] = {
    "==": lambda sign: sign == 0,
    "!=": lambda sign: sign != 0,
    "<": lambda sign: sign < 0,
    "<=": lambda sign: sign <= 0,
    ">": lambda sign: sign > 0,
    ">=": lambda sign: sign >= 0,
}

HANDLERS: dict[str, Callable[[Evaluator, Any, Mapping[Expr, int]], Number]] = {
    "Entry": Evaluator._entry,
    "Axis": lambda self, expr, env: arb(self.point.sizes[expr.name]),
    Total.__name__: Evaluator._total,
    Product.__name__: Evaluator._product,
    Maximum.__name__: extremum,
    Minimum.__name__: extremum,
    Share.__name__: share,
    "step": lambda self, expr, env: arb(int(self.sign(self(expr.args[0], env)) > 0)),
    "signum": lambda self, expr, env: arb(self.sign(self(expr.args[0], env))),
    "sign": lambda self, expr, env: arb(self.sign(self(expr.args[0], env))),
    Choice.__name__: Evaluator._choice,
    Delta.__name__: Evaluator._delta,
    Diff.__name__: Evaluator._diff,
    Partial.__name__: Evaluator._partial,
}


def evaluate(
    loss: Loss, expr: Expr, point: Point, env: Mapping[Expr, int] | None = None, digits: int = 30
) -> arb:
    """A ball for the value of `expr` at a point, with working precision for `digits` digits."""
    with ctx.workprec(int(digits * 3.33) + 32):
        return Evaluator(loss, point)(expr, env or {})
