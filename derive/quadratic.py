"""The quadratic form v'Hv of a Hessian, and when such a form is >= 0 or bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sympy import Expr, exp

from derive.derivation import Derivation
from derive.forwards import hessian
from derive.index import (
    TRUE,
    Choice,
    Entry,
    Index,
    Tensor,
    Total,
    free_indices,
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
from derive.normal.kept import assuming_all
from derive.normal.poly import Poly, content, to_expr
from derive.normal.signs import nonnegative_poly
from derive.rules.fold import assuming, shallow, shorten_steps
from derive.rules.minus import signs_turned
from derive.rules.polish import polynomial_factors


@dataclass(frozen=True)
class Quadratic:
    """v'Hv of a loss: over which names, the direction v, as it arises and made short."""

    second: Derivation
    loss: Loss
    direction: Tensor
    form: Expr
    short: Expr


def quadratic(loss: Loss, wrt: str) -> Quadratic:
    """The quadratic form of the Hessian, for a direction v of the shape of `wrt`."""
    second = hessian(loss, wrt)
    inner, outer = second.wrt
    letter = second.loss.unused_name("v", "u", "w", "direction")
    tensor = Tensor(letter, inner.tensor.axes)
    direction = Declaration(tensor, "direction")
    widened = replace(second.loss, declarations=(*second.loss.declarations, direction))
    form: Expr = tensor[inner.indices] * second.result * tensor[outer.indices]
    for index in (*outer.indices, *inner.indices):
        free = fresh(index.axis)
        form = total(free, substitute(form, {index: free}))
    return Quadratic(second, widened, tensor, form, _short(form, widened))


def norm(direction: Tensor) -> Expr:
    """v'v: the sum of the squares of all entries."""
    indices = tuple(fresh(axis) for axis in direction.axes)
    result: Expr = direction[indices] ** 2
    for index in indices:
        result = total(index, result)
    return result


def diagonal(found: Quadratic) -> Iterator[tuple[Expr, Expr]]:
    """w and sum w v^2, where v'Hv is at most that: all other terms are minus squares."""
    form = shallow(found.loss)
    whole = form.expr(found.short / Entry(found.direction) ** 2)
    if found.direction not in tensors(whole):
        yield whole, found.short
        return
    for mono, value in form(found.short).items():
        others = to_expr({m: c for m, c in form(found.short).items() if m != mono})
        if value < 0 or not nonnegative(assuming_all(found.loss), -others):
            continue
        for base, power in mono:
            if isinstance(base, Total) and power == 1 and mono == frozenset({(base, 1)}):
                index, body, _ = base.open()
                weight = value * body / found.direction[(index,)] ** 2
                if found.direction not in tensors(weight):
                    yield weight, to_expr({mono: value})


def bounded_by(loss: Loss, weight: Expr, constant_: Expr) -> bool:
    """Whether weight <= constant: each sum in it is at least its entry at one of the weight's
    indices."""
    form = assuming_all(loss)
    gap = to_expr(form(constant_ - weight))
    sums = [node for node in sorted(nodes(gap), key=order) if isinstance(node, Total)]
    at = sorted(free_indices(gap), key=order)
    most = max((sum(index.axis == node.axis for index in at) for node in sums), default=0)
    return any(_closes(form, _opened(form, gap, sums, at, turn)) for turn in range(max(most, 1)))


def _opened(form: NormalForm, gap: Expr, sums: list[Total], at: list[Index], turn: int) -> Expr:
    """Each sum of what is not below 0 as its entry at one of the indices, and a rest of its own."""
    for number, node in enumerate(sums):
        bound, body, guard = node.args
        own = [index for index in at if index.axis == bound.axis]
        if own and guard == TRUE and nonnegative_poly(form, form(node)):
            rest = exp(Entry(Tensor(f"rest of sum {number}")))
            gap = gap.xreplace({node: body.xreplace({bound: own[turn % len(own)]}) + rest})
    return gap


def _closes(form: NormalForm, gap: Expr) -> bool:
    whole = cleared(form, form(gap))
    if not whole or nonnegative_poly(form, whole):
        return whole is not None
    factor, _, primitive = content(whole)
    parts = polynomial_factors(primitive, shortest=3)
    return factor > 0 and parts is not None and all(power % 2 == 0 for _, power in parts)


def _short(expr: Expr, loss: Loss) -> Expr:
    """The expression multiplied out, known sums used, and made short; one that sums over several
    choices stays as it is, for they multiply out to many more."""
    if Total in kinds(expr) and sum(isinstance(node, Choice) for node in nodes(expr)) > 1:
        return expr
    try:
        whole = to_expr(assuming(loss)(expr))
        steps = shorten_steps(whole, loss, ())
    except Undecided:
        return expr  # too long to multiply out
    return signs_turned(steps[-1].after if steps else whole, loss)


def nonnegative(form: NormalForm, expr: Expr) -> bool:
    """Whether every term is >= 0 once positive denominators are multiplied out."""
    whole = cleared(form, form(expr))
    return whole is not None and nonnegative_poly(form, whole)


def cleared(form: NormalForm, poly: Poly) -> Poly | None:
    """The polynomial times its denominators; None where one may be negative."""
    clear: dict[Expr, int] = {}
    for base, power in (item for mono in poly for item in mono):
        if base.is_Add and power < 0:
            if not nonnegative_poly(form, form(base)):
                return None
            clear[base] = max(clear.get(base, 0), -int(power // 1))
    return form.mul(poly, {frozenset(clear.items()): 1})
