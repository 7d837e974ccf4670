"""What follows from a derivative: sums to zero, convexity or a counterexample, saturation.

Each property is proved by the normal form, or refuted by balls; none is read off a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from flint import arb, ctx
from sympy import Expr, Limit, Symbol, limit, oo

from derive.balls import Undetermined
from derive.derivation import Derivation
from derive.engine import gradient, hessian
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
from derive.loss import Declaration, Loss
from derive.normal import NormalForm, Undecided
from derive.normal.poly import Mono, Poly, join, mono_expr, raise_mono, to_expr
from derive.normal.signs import nonnegative_poly
from derive.proof import PRECISION, Counterexample
from derive.rules.fold import assuming, shallow, shorten_steps
from derive.sampling import points


@dataclass(frozen=True)
class Property:
    """One property: `status` is "proved", "refuted" or "unknown"; `steps` is a chain of equal
    expressions that shows it, over the names of `loss`."""

    name: str
    status: str
    statement: str
    loss: Loss
    steps: tuple[Expr, ...] = ()
    counterexample: Counterexample | None = None


def properties(loss: Loss, wrt: str) -> tuple[Property, ...]:
    """Every property that applies to the loss as a function of one name."""
    slope = gradient(loss, wrt)
    found = [convexity(loss, wrt)]
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
    second = hessian(loss, wrt)
    inner, outer = second.wrt
    letter = next(name for name in ("v", "u", "w", "direction") if _free_name(second.loss, name))
    tensor = Tensor(letter, inner.tensor.axes)
    widened = replace(
        second.loss, declarations=(*second.loss.declarations, Declaration(tensor, "param"))
    )
    form: Expr = tensor[inner.indices] * second.result * tensor[outer.indices]
    for index in (*outer.indices, *inner.indices):
        free = fresh(index.axis)
        form = total(free, substitute(form, {index: free}))
    short = _short(form, widened)
    statement = f"the loss is convex in {wrt}: {letter}'H{letter} >= 0 for every {letter}"
    for proof in _nonnegative_forms(short, widened, tensor):
        steps = tuple(dict.fromkeys((form, short, proof)))
        return Property("convexity", "proved", statement, widened, steps)
    example = _point(widened, short, wanted=lambda value: value < 0)
    status = "refuted" if example else "unknown"
    return Property("convexity", status, statement, widened, (form, short), example)


def _free_name(loss: Loss, name: str) -> bool:
    return name not in loss.declared and name not in loss.defined


def _short(expr: Expr, loss: Loss) -> Expr:
    """The expression multiplied out, known sums used, and made short."""
    expr = to_expr(assuming(loss)(expr))
    steps = shorten_steps(expr, loss, ())
    return steps[-1].after if steps else expr


def _nonnegative_forms(expr: Expr, loss: Loss, direction: Tensor) -> Iterator[Expr]:
    """Forms of the quadratic form that show it is >= 0, each proved equal to it."""
    unfolded = NormalForm(loss, assume=True)
    try:
        if _nonnegative(unfolded, expr):
            yield expr
            return
        for candidate in _variances(expr, loss, direction):
            if unfolded.equal(expr, candidate):
                yield candidate
                return
    except Undecided:
        return


def _nonnegative(form: NormalForm, expr: Expr) -> bool:
    """Whether every term is >= 0 once positive denominators are multiplied out."""
    poly = form(expr)
    clear: dict[Expr, int] = {}
    for mono in poly:
        for base, power in mono:
            if base.is_Add and power < 0:
                if not nonnegative_poly(form, form(base)):
                    return False
                clear[base] = max(clear.get(base, 0), -int(power // 1))
    common: Poly = {frozenset(clear.items()): 1}
    return nonnegative_poly(form, form.mul(poly, common))


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
                value = Evaluator(loss, point)(expr, {})
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
        value = limit(plain, names.get(variable, Symbol("unused")), end)
        statement = f"the gradient tends to this as {variable.tensor.name} -> {text}"
        status = "unknown" if value.has(Limit) else "proved"
        shown = () if status == "unknown" else (value.xreplace(back),)
        found.append(Property("saturation", status, statement, slope.loss, shown))
    return found
