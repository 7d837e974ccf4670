"""What follows from a derivative: sums to zero, convexity or a counterexample, saturation.

Each property is proved by the normal form, or refuted by balls; none is read off a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from flint import arb, ctx
from sympy import Expr, Integer, Limit, Rational, Symbol, limit, nan, oo

from derive.balls import Undetermined
from derive.derivation import Derivation
from derive.engine import gradient
from derive.evaluate import Evaluator
from derive.functions import sigmoid, softplus
from derive.index import (
    Binder,
    Delta,
    Index,
    Tensor,
    Total,
    entries,
    fresh,
    kinds,
    nodes,
    order,
    substitute,
    tensors,
    total,
)
from derive.loss import Loss
from derive.normal import NormalForm, Undecided
from derive.normal.poly import Mono, Poly, join, mono_expr, raise_mono, to_expr
from derive.normal.signs import nonnegative_poly
from derive.proof import PRECISION, Counterexample, letters
from derive.quadratic import Quadratic, bounded_by, diagonal, nonnegative, norm, quadratic
from derive.rules.fold import shallow
from derive.sampling import points


@dataclass(frozen=True)
class Property:
    """One property: `status` is "proved", "refuted" or "unknown"; `steps` is a chain of
    expressions that shows it, over the names of `loss`, each in `relation` to the next."""

    name: str
    status: str
    statement: str
    loss: Loss
    steps: tuple[Expr, ...] = ()
    counterexample: Counterexample | None = None
    hypotheses: tuple[str, ...] = ()
    relation: str = "="


BOUNDS = (Rational(1, 4), Rational(1, 2), Integer(1), Integer(2))


def properties(loss: Loss, wrt: str) -> tuple[Property, ...]:
    """Every property that applies to the loss as a function of one name."""
    slope = gradient(loss, wrt)
    shape = quadratic(loss, wrt)
    found = [_convexity(shape, wrt)]
    bound = lipschitz(shape, wrt) if found[0].status == "proved" else None
    found += [bound] if bound else []
    if slope.wrt[0].indices:
        found.insert(0, sums_to_zero(slope))
    else:
        found += saturation(slope)
    return tuple(found)


def sums_to_zero(slope: Derivation) -> Property:
    """Whether the gradient's entries over the last axis sum to 0: shifts change nothing."""
    index = slope.wrt[0].indices[-1]
    free = fresh(index.axis)
    whole = total(free, substitute(slope.result, {index: free}))
    zero = NormalForm(slope.loss, assume=True).is_zero(whole)
    name = slope.wrt[0].tensor.name
    statement = (
        f"the gradient's entries sum to 0: a constant added to all of {name} changes nothing"
    )
    if zero:
        return Property("gradient sums to zero", "proved", statement, slope.loss, (whole,))
    example = _point(slope.loss, whole, wanted=lambda value: 0 not in value)
    status = "refuted" if example else "unknown"
    return Property("gradient sums to zero", status, statement, slope.loss, (whole,), example)


def convexity(loss: Loss, wrt: str) -> Property:
    """Whether v'Hv >= 0: by signs, or as a variance, that is a weighted sum of squares."""
    return _convexity(quadratic(loss, wrt), wrt)


def _convexity(found: Quadratic, wrt: str) -> Property:
    v = found.direction.name
    statement = f"the loss is convex in {wrt}: {v}'H{v} >= 0 for every {v}"
    given = found.second.hypotheses
    for proof in _nonnegative_forms(found.short, found.loss, found.direction):
        steps = tuple(dict.fromkeys((found.form, found.short, proof)))
        return Property("convexity", "proved", statement, found.loss, steps, None, given)
    example = _point(found.loss, found.short, wanted=lambda value: value < 0)
    status = "refuted" if example else "unknown"
    steps = (found.form, found.short)
    return Property("convexity", status, statement, found.loss, steps, example, given)


def lipschitz(found: Quadratic, wrt: str) -> Property | None:
    """A bound v'Hv <= C v'v of a convex loss, so that its gradient is C-Lipschitz; None where
    none of the constants tried can be proved."""
    for weight, bound in diagonal(found):
        for constant_ in BOUNDS:
            if bounded_by(found.loss, weight, constant_):
                statement = f"the gradient in {wrt} is Lipschitz with constant {constant_}"
                most = constant_ * norm(found.direction)
                steps = tuple(dict.fromkeys((found.short, bound, most)))
                given = found.second.hypotheses
                return Property(
                    "Lipschitz", "proved", statement, found.loss, steps, None, given, "<="
                )
    return None


def _nonnegative_forms(expr: Expr, loss: Loss, direction: Tensor) -> Iterator[Expr]:
    """Forms of the quadratic form that show it is >= 0, each proved equal to it."""
    unfolded = NormalForm(loss, assume=True)
    try:
        if nonnegative(unfolded, expr):
            yield expr
            return
        for candidate in _variances(expr, loss, direction):
            if unfolded.equal(expr, candidate):
                yield candidate
                return
    except Undecided:
        return


def _variances(expr: Expr, loss: Loss, direction: Tensor) -> Iterator[Expr]:
    """Candidates sum_i w_i (v_i - m)^2 c, for each m = sum_i w_i v_i squared in a term."""
    form = shallow(loss)
    poly = form(expr)
    for mono, value in sorted(poly.items(), key=lambda item: order(to_expr({item[0]: item[1]}))):
        for base, power in mono:
            if power != 2 or value >= 0 or not isinstance(base, Total):
                continue
            index, body, _ = base.open()
            entry = next((e for e in entries(body) if e.tensor == direction), None)
            if entry is None or index not in entry.indices:
                continue
            for inside in _square_roots(mono - {(base, power)}):
                weight = mono_expr(inside) * body / entry
                if direction in tensors(weight) or not _positive(loss, weight):
                    continue
                front: Poly = {join(mono - {(base, power)}, raise_mono(inside, -2)): -value}
                mean = mono_expr(inside) * base
                yield to_expr(front) * total(index, weight * (entry - mean) ** 2)


def _positive(loss: Loss, weight: Expr) -> bool:
    form = NormalForm(loss)
    return nonnegative_poly(form, form(weight))


def _square_roots(mono: Mono) -> tuple[Mono, ...]:
    """What of a factor may belong inside a square: nothing, or all of it if it is one."""
    if mono and all(power % 2 == 0 for _, power in mono):
        return frozenset(), raise_mono(mono, Fraction(1, 2))
    return (frozenset(),)


def _point(loss: Loss, expr: Expr, wanted: Callable[[arb], bool]) -> Counterexample | None:
    """A point where the ball of an expression without free indices is as wanted."""
    for point in points(loss):
        with ctx.workprec(PRECISION):
            try:
                value = Evaluator(loss, point)(expr, dict.fromkeys(letters(expr), 0))
            except (Undetermined, ZeroDivisionError, ValueError):
                continue
            if value.is_finite() and wanted(value):
                return Counterexample(point, {}, value * 0, value)
    return None


def saturation(slope: Derivation) -> list[Property]:
    """The limits of a scalar derivative as its variable grows without bound."""
    variable = slope.wrt[0]
    expr = slope.loss.unfold(slope.result, frozenset((variable.tensor.name,)))
    if kinds(expr) & {Total, Delta, Index} or any(isinstance(n, Binder) for n in nodes(expr)):
        return []
    names = {e: Symbol(e.tensor.name, real=True) for e in sorted(entries(expr), key=order)}
    plain = substitute(expr, names).replace(sigmoid, lambda x: sigmoid(x).meaning())
    plain = plain.replace(softplus, lambda x: softplus(x).meaning())
    back = {symbol: entry for entry, symbol in names.items()}
    found = []
    for end, text in ((oo, "infinity"), (-oo, "-infinity")):
        value = _limit(plain, names.get(variable, Symbol("unused")), end)
        statement = f"the gradient tends to this as {variable.tensor.name} -> {text}"
        status = "unknown" if value is None else "proved"
        shown = () if value is None else (value.xreplace(back),)
        found.append(Property("saturation", status, statement, slope.loss, shown))
    return found


def _limit(expr: Expr, variable: Symbol, end: Expr) -> Expr | None:
    """The limit by Gruntz's algorithm; None where SymPy does not find it."""
    try:
        value = limit(expr, variable, end)
    except NotImplementedError:
        return None
    infinite = value.has(oo, -oo) and value not in (oo, -oo)
    return None if infinite or value.has(Limit, nan) else value
