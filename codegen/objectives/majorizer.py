"""The half-quadratic majorizer of an even loss of the error r = score - target: f'(r)/r."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from flint import arb, ctx
from sympy import Expr

from codegen.objectives.curvature import Curvature
from derive.balls import Undetermined
from derive.engine import gradient
from derive.errors import KernelError, PminusyError
from derive.evaluate import Evaluator
from derive.index import Choice, Condition, Entry, substitute
from derive.point import Point

ERRORS = tuple(Fraction(3, 2) * Fraction(2) ** k for k in range(-20, 20))
SCALES = (Fraction(1, 10), Fraction(1), Fraction(10))
NEAR = 3  # eight times the least error
SLACK = arb("1e-10")


def majorizer(found: Curvature) -> Expr:
    """f'(r)/r, at r = 0 the second derivative; raises KernelError where it bounds nothing.

    That f is even in r is proved; that f'(r)/r is bounded at 0 and does not grow with |r| is
    checked in ball arithmetic at errors from 1e-6 to 8e5, for three scales of the consts.
    """
    fit = found.fit
    if fit.classes is not None or fit.label is not None or fit.kind != "real":
        raise KernelError("it is not an even function of an error, score minus target")
    z, y = Entry(fit.dense.tensor(fit.score)), Entry(fit.dense.tensor(fit.target))
    slope = fit.dense.unfold(found.slope)
    value = fit.dense.unfold(fit.dense.value.entry)
    by_target = gradient(fit.dense, fit.target).result
    if not found.equal(by_target, -slope) or not found.equal(value, _swapped(value, z, y)):
        raise KernelError("it is not an even function of an error, score minus target")
    _check_decreasing(found, z, slope)
    error = _named(found, z - y)
    return Choice(Condition("==", z, y), found.diagonal, found.slope / error)


def _named(found: Curvature, error: Expr) -> Expr:
    """The definition that the error is, if it has a name: it cancels in the slope."""
    for definition in found.fit.dense.definitions[:-1]:
        if not definition.entry.tensor.axes and found.equal(definition.entry, error):
            return definition.entry
    return error


def _swapped(expr: Expr, one: Entry, other: Entry) -> Expr:
    result: Expr = substitute(expr, {one: other, other: one})
    return result


def _check_decreasing(found: Curvature, z: Entry, slope: Expr) -> None:
    for scale in SCALES:
        ratios = [_ratio(found, slope, error, scale) for error in ERRORS]
        if not ratios[0] < 2 * ratios[NEAR]:
            raise KernelError("f'(r)/r has no bound near r = 0")
        if any(more > less * (1 + SLACK) for less, more in pairwise(ratios)):
            raise KernelError("f'(r)/r grows with the error r: the parabola would cut the loss")


def _ratio(found: Curvature, slope: Expr, error: Fraction, scale: Fraction) -> arb:
    """f'(r)/r in balls."""
    loss = found.fit.dense
    values: dict[str, dict[tuple[int, ...], Fraction]] = {}
    for d in loss.declarations:
        value = error if d.name == found.fit.score else Fraction(0)
        if d.role == "const" and d.default is not None:
            value = Fraction(int(d.default.p), int(d.default.q)) * scale
        values[d.name] = {(): value}
    try:
        with ctx.workprec(256):
            point = Point({}, values)
            return Evaluator(loss, point)(slope, {}) / arb(error.numerator) * arb(error.denominator)
    except (Undetermined, ZeroDivisionError, ValueError, PminusyError) as problem:
        raise KernelError(f"f'(r)/r cannot be evaluated at r = {error}") from problem
