"""Convexity: proved by the Hessian, by parts or through an affine map, or refuted by numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from itertools import product as cartesian

from flint import arb
from sympy import Add, Expr, Integer, Rational

from derive.curvature import AFFINE, CONSTANT, CONVEX, Curvature
from derive.index import (
    TRUE,
    Index,
    Tensor,
    Total,
    entries,
    fresh,
    order,
    substitute,
    tensors,
    total,
)
from derive.joined import has_continuous_gradient, is_confirmed
from derive.loss import Declaration, Loss
from derive.normal import Undecided
from derive.normal.kept import assuming_all
from derive.normal.poly import Mono, Poly, join, mono_expr, ordered, raise_mono, to_expr
from derive.normal.signs import nonnegative_poly
from derive.point import Point
from derive.quadratic import Quadratic, bounded_by, diagonal, norm, quadratic
from derive.ranges import Ranges
from derive.rules.fold import shallow
from derive.rules.shorten import length
from derive.sampling import allows
from derive.statement import Property, assumed, definitions_of, point_where, value_at

BOUNDS = (Rational(1, 4), Rational(1, 2), Integer(1), Integer(2))
MOST_WAYS = 4
FEW = 8  # points at which a counterexample is looked for before a proof
AFFINE_IN = " is affine in "
DISCRETE = ("binary", "sign")


def convexity(loss: Loss, wrt: str) -> Property:
    """Whether the loss is convex in a declared name, all others fixed."""
    return bending(loss, wrt)[0]


@lru_cache(maxsize=1 << 6)
def bending(loss: Loss, wrt: str) -> tuple[Property, ...]:
    """Convexity, and where it is proved by a Hessian a bound on that, if one can be proved."""
    if loss.declared[wrt].domain.kind in DISCRETE:
        statement = f"{wrt} takes two values only: convexity does not apply"
        return (Property("convexity", "unknown", statement, loss),)
    curvature = Curvature(loss, wrt)
    stage = affine_stage(curvature)
    if stage is not None:
        inner = bending(*stage)[0]
        if inner.status == "proved":
            return (_pulled_back(loss, wrt, stage[1], inner),)
    smooth = curvature.is_smooth(loss.value.body)
    if not smooth and (known := _by_parts(curvature) or _above_its_chord(loss, wrt)):
        return (known,)
    shape = quadratic(loss, wrt)
    early = _refuted(shape, wrt, FEW)  # a proof that must fail can take its time
    if early.status == "refuted":
        return (early,)
    if not smooth:
        return (_in_pieces(curvature, shape) or _refuted(shape, wrt),)
    found = _by_hessian(shape, wrt)
    if found is None:
        return (_by_parts(curvature) or _refuted(shape, wrt),)
    try:
        bound = lipschitz(shape, wrt)
    except Undecided:
        return (found,)
    return (found, bound) if bound else (found,)


def affine_stage(curvature: Curvature) -> tuple[Loss, str] | None:
    """The loss as a function of the one definition through which the name enters, where that
    definition is affine in it: convex in the image, it is convex in the name."""
    loss = curvature.loss
    users = list(definitions_of(loss, curvature.name))
    if len(users) != 1 or users[0] == loss.value.name:
        return None
    (name,) = users
    if curvature(loss.defined[name].body) not in (AFFINE, CONSTANT):
        return None
    return loss.from_name(name), name


def _pulled_back(loss: Loss, wrt: str, name: str, inner: Property) -> Property:
    why = inner.statement.partition(": ")[2]
    rest = f" {why}" if AFFINE_IN in why else f" and {inner.statement}"
    statement = f"the loss is convex in {wrt}: {name}{AFFINE_IN}{wrt},{rest}"
    return replace(inner, statement=statement, name="convexity")


def _by_parts(curvature: Curvature) -> Property | None:
    loss, wrt = curvature.loss, curvature.name
    body = loss.value.body
    if curvature(body) not in (CONSTANT, AFFINE, CONVEX):
        return None
    parts = "its parts, multiplied out," if curvature.multiplied_out else "its parts"
    statement = f"the loss is convex in {wrt}: {parts} are, and so are their sums, "
    statement += "maxima and compositions"
    return Property("convexity", "proved", statement, loss, (body,), None, assumed(loss, body))


def _by_hessian(found: Quadratic, wrt: str) -> Property | None:
    for proof in _nonnegative_forms(found.short, found.loss, found.direction):
        steps = tuple(dict.fromkeys((found.form, found.short, proof)))
        given = _given(found, proof)
        return Property(
            "convexity", "proved", _statement(found, wrt), found.loss, steps, None, given
        )
    return None


def _in_pieces(curvature: Curvature, found: Quadratic) -> Property | None:
    """Convexity by the Hessian of the pieces, where value and slope agree on their edges."""
    proved = _by_hessian(found, curvature.name) if is_confirmed(found.second) else None
    if proved is None or not has_continuous_gradient(curvature):
        return None
    statement = f"{proved.statement}, and the pieces meet with equal values and slopes"
    return replace(proved, statement=statement)


def _statement(found: Quadratic, wrt: str) -> str:
    v = found.direction.name
    return f"the loss is convex in {wrt}: {v}'H{v} >= 0 for every {v}"


def _given(found: Quadratic, proof: Expr) -> tuple[str, ...]:
    signs = (e for e in sorted(entries(proof), key=order) if e.tensor.name in found.loss.declared)
    return tuple(dict.fromkeys((*found.second.hypotheses, *assumed(found.loss, *signs))))


def _refuted(found: Quadratic, wrt: str, most: int | None = None) -> Property:
    """A point and a direction where v'Hv < 0, if there is one to be found."""
    loss, v, of = found.loss, found.direction.name, found.second.of
    shown = min(found.short, found.form, key=length)  # a proof would want it multiplied out
    steps = tuple(dict.fromkeys((found.form, shown)))

    def curved(point: Point) -> arb | None:
        here = value_at(loss, of, point)  # the loss itself has a value
        return None if here is None else value_at(loss, found.short, point, strict=True)

    example = point_where(loss, curved, lambda value: value < 0, v, wrt, most)
    status = "refuted" if example else "unknown"
    return Property("convexity", status, _statement(found, wrt), loss, steps, example)


def _above_its_chord(loss: Loss, wrt: str) -> Property | None:
    """A point that lies above the middle of two others: this holds at kinks and jumps too."""
    v = loss.unused_name("v", "u", "w", "direction")
    direction = Declaration(Tensor(v, loss.tensor(wrt).axes), "direction")
    loss = replace(loss, declarations=(*loss.declarations, direction))
    example = point_where(
        loss, lambda p: _second_difference(loss, p, wrt, v), lambda value: value < 0, v, wrt
    )
    if example is None:
        return None
    name = loss.value.name
    statement = f"the loss is convex in {wrt}: "
    statement += f"{name}({wrt} + {v}) + {name}({wrt} - {v}) - 2*{name}({wrt}) >= 0 for every {v}"
    return Property("convexity", "refuted", statement, loss, (), example)


def _second_difference(loss: Loss, point: Point, wrt: str, direction: str) -> arb | None:
    """L(x + v) + L(x - v) - 2 L(x), where all three lie in the domain."""
    values = []
    for way, weight in ((1, 1), (-1, 1), (0, -2)):
        moved = {
            place: value + way * point.values[direction][place]
            for place, value in point.values[wrt].items()
        }
        if not _in_domain(loss.declared[wrt], moved, point):
            return None
        here = replace(point, values={**point.values, wrt: moved})
        value = value_at(loss, loss.value.entry, here)
        if value is None:
            return None
        values.append(weight * value)
    return sum(values, arb(0))


def _in_domain(
    declaration: Declaration, values: dict[tuple[int, ...], Fraction], point: Point
) -> bool:
    if declaration.domain.kind == "simplex":  # the direction sums to 0
        return all(value >= 0 for value in values.values())
    return all(allows(declaration, value, point.sizes) for value in values.values())


def lipschitz(found: Quadratic, wrt: str) -> Property | None:
    """A bound v'Hv <= C v'v of a smooth convex loss, so that its gradient is C-Lipschitz; None
    where none of the constants tried can be proved."""
    for weight, bound in diagonal(found):
        for constant_ in BOUNDS:
            if bounded_by(found.loss, weight, constant_):
                statement = f"the gradient in {wrt} is Lipschitz with constant {constant_}"
                most = constant_ * norm(found.direction)
                steps = tuple(dict.fromkeys((found.short, bound, most)))
                given = _given(found, weight)
                return Property(
                    "Lipschitz", "proved", statement, found.loss, steps, None, given, "<="
                )
    return None


def _nonnegative_forms(expr: Expr, loss: Loss, direction: Tensor) -> Iterator[Expr]:
    """Forms of the quadratic form that show it is >= 0, each proved equal to it."""
    unfolded = assuming_all(loss)
    try:
        if Ranges(loss).nonnegative(expr):
            yield expr
            return
        for candidate in _variances(expr, loss, direction):
            if unfolded.equal(expr, candidate):
                yield candidate
                return
        for index, body in _rows(expr):
            for inner in _nonnegative_forms(body, loss, direction):
                yield total(index, inner)
                return
    except Undecided:
        return


def _rows(expr: Expr) -> Iterator[tuple[Index, Expr]]:
    """The ways to see a sum of sums over one axis as one sum: its index and its body.

    A double sum over one axis may be opened at either index.
    """
    front, whole = expr.as_independent(Total, as_Add=False)
    terms = [term.as_independent(Total, as_Add=False) for term in Add.make_args(whole)]
    axes = {rest.axis for _, rest in terms if isinstance(rest, Total)}
    if len(axes) != 1 or any(not isinstance(rest, Total) for _, rest in terms):
        return
    index = fresh(axes.pop())
    opened = [[front * value * body for body in _bodies(rest, index)] for value, rest in terms]
    for chosen in islice(cartesian(*opened), MOST_WAYS):
        yield index, Add(*chosen)


def _bodies(expr: Total, index: Index) -> Iterator[Expr]:
    """What is summed over an index, the sum itself or the one right inside it opened."""
    first, body, guard = expr.open()
    if guard != TRUE:
        return
    yield substitute(body, {first: index})
    if isinstance(body, Total) and body.axis == index.axis:
        second, inside, within = body.open()
        if within == TRUE:
            yield total(first, substitute(inside, {second: index}))


def _variances(expr: Expr, loss: Loss, direction: Tensor) -> Iterator[Expr]:
    """Candidates sum_i w_i (v_i - m)^2 c, for each m = sum_i w_i v_i squared in a term."""
    form = shallow(loss)
    poly = form(expr)
    for mono, value in sorted(poly.items(), key=lambda item: order(to_expr({item[0]: item[1]}))):
        for base, power in ordered(mono):
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
                if not _positive(loss, to_expr(front)):
                    continue
                mean = mono_expr(inside) * base
                yield to_expr(front) * total(index, weight * (entry - mean) ** 2)


def _positive(loss: Loss, weight: Expr) -> bool:
    form = assuming_all(loss)
    return nonnegative_poly(form, form(weight))


def _square_roots(mono: Mono) -> tuple[Mono, ...]:
    """What of a factor may belong inside a square: nothing, or all of it if it is one."""
    if mono and all(power % 2 == 0 for _, power in mono):
        return frozenset(), raise_mono(mono, Fraction(1, 2))
    return (frozenset(),)
