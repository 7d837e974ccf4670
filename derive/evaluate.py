"""Evaluation in ball arithmetic: rigorous values, and rigorous derivatives as power series.

A derivative still to be taken (`Diff`, `Partial`) is evaluated by automatic differentiation of
the loss itself, with truncated power series of balls; no rule of the engine has a part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import product as cartesian
from typing import Any

from flint import arb, arb_series, ctx
from sympy import E, Expr, S, pi

from derive.balls import FUNCTIONS, Number, Undetermined, ball, sign_of
from derive.errors import PminusyError
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
)
from derive.loss import Loss
from derive.point import Point
from derive.rational import rational


class Evaluator:
    """Evaluates expressions of one loss at one point; keeps what it has evaluated.

    Raises Undetermined on a kink, where a comparison that decides a derivative is an equality
    (if `strict`, where any order comparison is one).
    """

    def __init__(self, loss: Loss, point: Point, strict: bool = False) -> None:
        self.loss, self.point, self.strict = loss, point, strict
        self._memo: dict[tuple[str, tuple[int, ...]], Number] = {}

    def __call__(self, expr: Expr, env: Mapping[Expr, int]) -> Number:
        """The value of an expression, its free indices given by `env`."""
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
        return function(*(self(arg, env) for arg in expr.args))

    def _mul(self, expr: Expr, env: Mapping[Expr, int]) -> Number:
        """A product; a factor that is exactly 0 (a delta, a choice) hides what it multiplies."""
        result: Number = arb(1)
        for arg in sorted(expr.args, key=lambda arg: not isinstance(arg, Delta | Choice)):
            value = self(arg, env)
            if isinstance(arg, Delta | Choice) and value == 0:
                return arb(0)
            result = result * value
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
        return (exponent * base.log()).exp()

    def index(self, index: Expr, env: Mapping[Expr, int]) -> int:
        """The number that an index or a class label stands for."""
        if isinstance(index, Index):
            return env[index]
        if isinstance(index, Argmax):
            return self._argmax(index, env)
        place = tuple(self.index(i, env) for i in index.indices)
        return int(self.point.values[index.tensor.name][place])

    def _entry(self, entry: Entry, env: Mapping[Expr, int]) -> Number:
        return self.at(entry.tensor.name, tuple(self.index(i, env) for i in entry.indices))

    def at(self, name: str, place: tuple[int, ...]) -> Number:
        """The value of one entry, by its numbers."""
        key = (name, place)
        if key in self.point.overrides:
            return self.point.overrides[key]
        definition = self.loss.defined.get(name)
        if definition is None:
            given = self.point.values[name].get(place)  # none at a label that is ignored
            return arb("nan") if given is None else ball(given)
        if key not in self._memo:
            env = dict(zip(definition.entry.indices, place, strict=True))
            self._memo[key] = self(definition.body, env)
        return self._memo[key]

    def _over(self, expr: Binder, env: Mapping[Expr, int]) -> list[tuple[int, Number]]:
        bound, body, guard = expr.args
        found = []
        for k in range(self.point.sizes[expr.axis.name]):
            here = {**env, bound: k}
            if self.holds(guard, here):
                found.append((k, self(body, here)))
        return found

    def _total(self, expr: Binder, env: Mapping[Expr, int]) -> Number:
        return sum((value for _, value in self._over(expr, env)), arb(0))

    def _product(self, expr: Binder, env: Mapping[Expr, int]) -> Number:
        result: Number = arb(1)
        for _, value in self._over(expr, env):
            result = result * value
        return result

    def _extremum(self, expr: Binder, env: Mapping[Expr, int]) -> Number:
        values = [value for _, value in self._over(expr, env)]
        if not values:
            return arb("nan")
        if all(isinstance(value, arb) for value in values):
            best = values[0]
            for value in values[1:]:
                best = best.max(value) if isinstance(expr, Maximum) else best.min(value)
            return best
        best = values[0]
        for value in values[1:]:
            first = self.sign(best - value) > 0
            best = best if first == isinstance(expr, Maximum) else value
        return best

    def _share(self, expr: Share, env: Mapping[Expr, int]) -> Number:
        extremum, index = expr.args
        values = dict(self._over(extremum, env))
        mine = self.index(index, env)
        if mine not in values:
            return arb(0)
        direction = 1 if isinstance(extremum, Maximum) else -1
        signs = [self.sign(values[mine] - value) for k, value in values.items() if k != mine]
        if 0 in signs and -direction not in signs:
            raise Undetermined("the extremum at this point is a tie")
        return arb(int(all(sign == direction for sign in signs)))

    def _argmax(self, expr: Argmax, env: Mapping[Expr, int]) -> int:
        best: tuple[int, Number] | None = None
        for k, value in self._over(expr, env):
            if best is None or self.sign(value - best[1]) > 0:
                best = k, value
        if best is None:
            raise Undetermined("the largest of nothing")
        return best[0]

    def sign(self, value: Number) -> int:
        """The sign of a number that is compared; see the class for what is raised."""
        sign = sign_of(value)
        if sign == 0 and self.strict:
            raise Undetermined("a comparison at this point is an equality")
        return sign

    def compare(self, op: str, left: Expr, right: Expr, env: Mapping[Expr, int]) -> int:
        """The sign of left - right, exactly where both are rational."""
        sign = sign_of if op in ("==", "!=") else self.sign
        one, two = self(left, env), self(right, env)
        if isinstance(one, arb) and isinstance(two, arb) and one.overlaps(two):
            exact = rational(self, left, env)
            if exact is not None and exact == rational(self, right, env):
                return sign(arb(0))
        return sign(one - two)

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
        if op in ("==", "!=") and _is_index(left):
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
        inner = self._varied(variable.tensor.name, place, freeze=True)
        return _slope(inner(body, env))

    def _partial(self, expr: Partial, env: Mapping[Expr, int]) -> Number:
        of, variable, direct = expr.args
        place = tuple(self.index(i, env) for i in variable.indices)
        if direct == S.One:  # by numbers: the indices of `of` may be bound further out
            definition = self.loss.defined[of.tensor.name]
            numbers = (self.index(i, env) for i in of.indices)
            here = dict(zip(definition.entry.indices, numbers, strict=True))
            inner = self._varied(variable.tensor.name, place, freeze=True)
            return _slope(inner(definition.body, here))
        return _slope(self._varied(variable.tensor.name, place, freeze=False)(of, env))

    def _varied(self, name: str, place: tuple[int, ...], freeze: bool) -> Evaluator:
        overrides = dict(self.point.overrides)
        if freeze:
            for definition in self.loss.definitions:
                sizes = [self.point.sizes[a.name] for a in definition.entry.tensor.axes]
                for where in cartesian(*map(range, sizes)):
                    overrides[(definition.name, where)] = self.at(definition.name, where)
        overrides[(name, place)] = arb_series([self.at(name, place), 1], prec=2)
        point = Point(self.point.sizes, self.point.values, overrides)
        return Evaluator(self.loss, point, self.strict)


def _slope(value: Number) -> arb:
    here, slope = (value[0], value[1]) if isinstance(value, arb_series) else (value, arb(0))
    return slope if here.is_finite() else arb("nan")


def _is_index(side: Any) -> bool:
    label = isinstance(side, Entry) and side.tensor.label is not None
    return label or isinstance(side, Index | Argmax)


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
    Maximum.__name__: Evaluator._extremum,
    Minimum.__name__: Evaluator._extremum,
    Share.__name__: Evaluator._share,
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
