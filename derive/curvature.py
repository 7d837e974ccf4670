"""Curvature by parts: what sums, maxima and compositions of convex functions are.

Also where a Hessian tells all: a loss whose gradient is continuous wherever it is defined, on a
convex domain.  At a kink, a jump or a pole it does not: -|z| has second derivative 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sympy import (
    Abs,
    Add,
    Expr,
    Mul,
    Pow,
    S,
    atan,
    cos,
    cosh,
    erf,
    exp,
    log,
    sin,
    sinh,
    tanh,
)

from derive import functions as fn
from derive.index import Choice, Entry, Maximum, Minimum, Product, Total, tensors
from derive.loss import Loss
from derive.normal import Undecided
from derive.normal.signs import positive_poly
from derive.quadratic import cleared
from derive.ranges import Ranges
from derive.rules.fold import shallow

CONSTANT, AFFINE, CONVEX, CONCAVE, UNKNOWN = "constant", "affine", "convex", "concave", ""
FLIPPED = {CONVEX: CONCAVE, CONCAVE: CONVEX}
SMOOTH = (exp, sin, cos, tanh, sinh, cosh, atan, erf, fn.erfc, fn.sigmoid, fn.softplus)
ALWAYS_POSITIVE = (exp, fn.sigmoid, fn.softplus, fn.trigamma, fn.erfc, cosh)
RAMPS = (fn.relu, fn.absolute, Abs)


class Curvature:
    """How expressions of a loss bend as functions of one declared name.

    `multiplied_out` says whether a sum had to be, for its terms to tell.
    """

    def __init__(self, loss: Loss, name: str) -> None:
        self.loss, self.name = loss, name
        self.ranges = Ranges(loss)
        self.moving = {name} | {d.name for d in loss.definitions if name in loss.below(d.name)}
        self._defined: dict[str, str] = {}
        self._smooth: dict[str, bool] = {}
        self.multiplied_out = False

    def varies(self, expr: Any) -> bool:
        """Whether an expression depends on the name."""
        return any(tensor.name in self.moving for tensor in tensors(expr))

    def __call__(self, expr: Expr) -> str:
        """constant, affine, convex, concave, or "" where the parts do not tell."""
        if not self.varies(expr):
            return CONSTANT
        if expr.is_Add:
            return _sum_of({self(arg) for arg in expr.args}) or self._expanded(expr)
        if expr.is_Mul:
            return self._product(expr)
        handler = BENT.get(type(expr))
        if handler is not None:
            return handler(self, expr)
        return self._power(expr) if expr.is_Pow else UNKNOWN

    def _expanded(self, expr: Expr) -> str:
        """What is left where terms cancel, as the squares do in |a - p|^2 - |a - n|^2."""
        if not self.is_smooth(expr):
            return UNKNOWN
        terms = Add.make_args(shallow(self.loss).expr(expr))
        found = _sum_of({self(term) for term in terms})
        self.multiplied_out |= found != UNKNOWN
        return found

    def _entry(self, entry: Entry) -> str:
        name = entry.tensor.name
        if any(self.varies(index) for index in entry.indices):
            return UNKNOWN
        if name == self.name:
            return AFFINE
        if name not in self._defined:
            self._defined[name] = self(self.loss.defined[name].body)
        return self._defined[name]

    def _product(self, expr: Expr) -> str:
        varying = [arg for arg in expr.args if self.varies(arg)]
        if len(varying) > 1:
            return UNKNOWN
        found = self(varying[0])
        if found not in FLIPPED:
            return found
        rest = Mul(*(arg for arg in expr.args if arg is not varying[0]))
        if self.ranges.nonnegative(rest):
            return found
        return FLIPPED[found] if self.ranges.nonnegative(-rest) else UNKNOWN

    def _power(self, expr: Expr) -> str:
        base, exponent = expr.args
        if self.varies(exponent):
            return UNKNOWN
        inner = self(base)
        even = bool(exponent.is_Integer and exponent > 0 and exponent % 2 == 0)
        if even and inner == AFFINE:
            return CONVEX
        if self.ranges(exponent).lower >= 1 and self.ranges.nonnegative(base):
            return CONVEX if inner in (AFFINE, CONVEX) else UNKNOWN
        if not self.is_positive(base) or inner not in (AFFINE, CONCAVE):
            return UNKNOWN
        if self.ranges(exponent).upper <= 0:
            return CONVEX
        within = self.ranges(exponent)
        return CONCAVE if within.lower >= 0 and within.upper <= 1 else UNKNOWN

    def _over_axis(self, expr: Total) -> str:
        _, body, guard = expr.opened()
        return UNKNOWN if self.varies(guard) else self(body)

    def _increasing(self, expr: Expr) -> str:
        """A convex function that never decreases, such as exp."""
        return CONVEX if self(expr.args[0]) in (AFFINE, CONVEX) else UNKNOWN

    def _even(self, expr: Expr) -> str:
        """A convex function that is least at 0, such as |x| and cosh."""
        inner = self(expr.args[0])
        rising = inner == CONVEX and self.ranges.nonnegative(expr.args[0])
        return CONVEX if inner == AFFINE or rising else UNKNOWN

    def _extreme(self, expr: Any) -> str:
        """A largest value of convex functions, a smallest one of concave functions."""
        wanted = CONVEX if isinstance(expr, fn.largest | Maximum) else CONCAVE
        parts = expr.args
        if isinstance(expr, Maximum | Minimum):
            _, body, guard = expr.opened()
            if self.varies(guard):
                return UNKNOWN
            parts = (body,)
        return wanted if {self(p) for p in parts} <= {CONSTANT, AFFINE, wanted} else UNKNOWN

    def _log(self, expr: Expr) -> str:
        inner = expr.args[0]
        if self(inner) in (AFFINE, CONCAVE):
            return CONCAVE
        return CONVEX if self._exponentials(inner) else UNKNOWN

    def _exponentials(self, expr: Expr) -> bool:
        """Whether it is a sum of exp(convex), each times a constant >= 0: its log is convex."""
        if isinstance(expr, Total):
            _, body, guard = expr.opened()
            return not self.varies(guard) and self._exponentials(body)
        if isinstance(expr, exp):
            return self(expr.args[0]) in (CONSTANT, AFFINE, CONVEX)
        if expr.is_Add:
            return all(self._exponentials(arg) for arg in expr.args)
        if expr.is_Mul and self.varies(expr):
            varying = [arg for arg in expr.args if self.varies(arg)]
            rest = Mul(*(arg for arg in expr.args if arg is not varying[0]))
            return len(varying) == 1 and self._exponentials(varying[0]) and self._known(rest)
        return self._known(expr)

    def _known(self, expr: Expr) -> bool:
        return not self.varies(expr) and self.ranges.nonnegative(expr)

    def _choice(self, expr: Choice) -> str:
        condition, value, otherwise = expr.args
        if self.varies(condition):
            return UNKNOWN
        return _sum_of({self(value), self(otherwise)})

    def is_positive(self, expr: Expr) -> bool:
        """Whether an expression is known to be > 0: by its parts, or by its normal form."""
        if isinstance(expr, ALWAYS_POSITIVE) or self.ranges(expr).lower > 0:
            return True
        if isinstance(expr, Entry) and expr.tensor.name in self.loss.defined:
            return self.is_positive(self.loss.defined[expr.tensor.name].body)
        if expr.is_Mul or expr.is_Pow:
            return all(map(self.is_positive, expr.args if expr.is_Mul else expr.args[:1]))
        form = self.ranges.form
        try:
            poly = cleared(form, form(expr))
            return poly is not None and positive_poly(form, poly)
        except Undecided:
            return False

    def is_smooth(self, expr: Expr) -> bool:
        """Whether it has a continuous gradient wherever it is defined, and that is convex."""
        if not self.varies(expr):
            return True
        if isinstance(expr, Entry):
            return self._smooth_entry(expr)
        if isinstance(expr, Total | Product):
            _, body, guard = expr.opened()
            return not self.varies(guard) and self.is_smooth(body)
        if isinstance(expr, Choice):
            parts = expr.args[1:]
            return not self.varies(expr.args[0]) and all(map(self.is_smooth, parts))
        if isinstance(expr, log | fn.lgamma):
            inner = expr.args[0]
            return self.is_smooth(inner) and (
                self(inner) in (AFFINE, CONCAVE)
                or self.is_positive(inner)
                or self.is_positive(Mul(*filter(self.varies, Mul.make_args(inner))))
            )
        if expr.is_Pow and not isinstance(expr, exp):
            return self._smooth_power(expr)
        known = expr.is_Add or expr.is_Mul or isinstance(expr, SMOOTH)
        return known and all(self.is_smooth(arg) for arg in expr.args)

    def _smooth_entry(self, entry: Entry) -> bool:
        name = entry.tensor.name
        if name != self.name and name not in self._smooth:
            self._smooth[name] = self.is_smooth(self.loss.defined[name].body)
        own = name == self.name or self._smooth[name]
        return own and not any(self.varies(index) for index in entry.indices)

    def _smooth_power(self, expr: Pow) -> bool:
        base, exponent = expr.args
        smooth = self.is_smooth(base)
        if not (exponent.is_Integer and exponent > 0):
            return smooth and self.is_smooth(exponent) and self.is_positive(base)
        return smooth or (exponent >= 2 and self._ramp(base))

    def _ramp(self, expr: Expr) -> bool:
        """Whether it bends only where it is 0, so that its square does not: max(0, u), |u|."""
        if isinstance(expr, RAMPS):
            return self.is_smooth(expr.args[0])
        if isinstance(expr, fn.largest | fn.smallest) and S.Zero in expr.args:
            return all(map(self.is_smooth, expr.args))
        return False


def _sum_of(parts: set[str]) -> str:
    """What a sum of such parts is."""
    for whole in (CONSTANT, AFFINE, CONVEX, CONCAVE):
        if parts <= {CONSTANT, AFFINE, whole} and (whole != CONSTANT or parts <= {CONSTANT}):
            return whole
    return UNKNOWN


BENT: dict[type, Callable[[Curvature, Any], str]] = {
    Entry: Curvature._entry,
    Total: Curvature._over_axis,
    exp: Curvature._increasing,
    fn.softplus: Curvature._increasing,
    fn.relu: Curvature._increasing,
    fn.absolute: Curvature._even,
    Abs: Curvature._even,
    cosh: Curvature._even,
    fn.largest: Curvature._extreme,
    fn.smallest: Curvature._extreme,
    Maximum: Curvature._extreme,
    Minimum: Curvature._extreme,
    log: Curvature._log,
    Choice: Curvature._choice,
}
