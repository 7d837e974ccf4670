"""Choices and conditions in normal form: every choice becomes a sum over 0-1 atoms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from sympy import Expr, S

from derive import functions as fn
from derive.index import (
    TRUE,
    Choice,
    Condition,
    Delta,
    free_indices,
    is_index,
    order,
    substitute,
    tensors,
)
from derive.normal import almost, angles, extrema, level, signs
from derive.normal.bits import complement, split, where
from derive.normal.poly import (
    ONE,
    Factor,
    Mono,
    Poly,
    Undecided,
    add_to,
    atom,
    constant,
    mono_expr,
    scale,
    to_expr,
)

if TYPE_CHECKING:
    from derive.normal.form import NormalForm


SQUARE = {">": "!=", "<=": "==", "==": "==", "!=": "!="}  # what is said of u, of u**2 and 0
SIDES = (Choice, fn.signum)


def indicator(form: NormalForm, condition: Condition) -> Poly:
    """The polynomial that is 1 where the condition holds and 0 elsewhere."""
    op, operands = condition.op, condition.operands
    if op == "true":
        return constant(1)
    if op == "not":
        return complement(indicator(form, operands[0]))
    if op == "and":
        result = constant(1)
        for operand in operands:
            result = form.mul(result, indicator(form, operand))
        return result
    if op == "or":
        result = constant(1)
        for operand in operands:
            result = form.mul(result, complement(indicator(form, operand)))
        return complement(result)
    left, right = operands
    if op in ("==", "!=") and is_index(left):
        same = form(Delta(left, right))
        return same if op == "==" else complement(same)
    return _comparison(form, op, left, right)


def is_square(expr: Expr) -> bool:
    """Whether this is u**2, u**4 and so on."""
    return bool(expr.is_Pow and expr.exp.is_Integer and expr.exp > 0 and expr.exp % 2 == 0)


def _comparison(form: NormalForm, op: str, left: Expr, right: Expr) -> Poly:
    if right == 0 and is_square(left) and op in SQUARE:
        equal = level.zero(form, form(left.base))
        return equal if SQUARE[op] == "==" else complement(equal)
    difference = dict(form(left))
    add_to(difference, form(right), -1)
    if op in ("<", ">="):
        difference = scale(difference, -1)
    if op in ("<=", ">="):
        return complement(positive(form, difference))
    if op in ("<", ">"):
        return positive(form, difference)
    equal = level.zero(form, difference)
    return equal if op == "==" else complement(equal)


def positive(form: NormalForm, poly: Poly) -> Poly:
    """[poly > 0], scaled so that equal conditions are one atom.

    A form that holds almost everywhere in a name takes [-u > 0] for 1 - [u > 0] where u
    varies with it, less a delta where u is 0 because two of its indices agree.
    """
    if not poly:
        return {}
    if len(poly) == 1 and frozenset() in poly:
        return constant(1) if poly[frozenset()] > 0 else {}
    found = extrema.above(form, poly)
    if found is not None:
        return where(form, *found, lambda: _positive(form, poly))
    known = split(form, poly, positive)
    if known is not None:
        return known
    if form.assume and signs.nonnegative_poly(form, poly):
        never = almost.never_zero(form, to_expr(poly))
        return constant(1) if never else complement(level.zero(form, poly))
    if form.assume and signs.nonnegative_poly(form, scale(poly, -1)):
        return {}
    if len(poly) == 1 and _is_even(next(iter(poly))):
        return complement(level.zero(form, poly)) if poly[next(iter(poly))] > 0 else {}
    inner = angles.within(poly)
    if inner is not None:
        return positive(form, form(inner))
    return _positive(form, poly)


def _is_even(mono: Mono) -> bool:
    """Whether this is a square, which has a value everywhere."""
    return all(power > 0 and power % 2 == 0 for _, power in mono)


def _positive(form: NormalForm, poly: Poly) -> Poly:
    form.spend(len(poly) ** 2 // 8)  # conditions inside conditions grow with each level
    factor, shared, rest = form.content(poly)
    if factor < 0 and any(tensor.name in form.almost for tensor in tensors(to_expr(poly))):
        result = complement(positive(form, scale(poly, -1)))
        add_to(result, _coincidence(form, poly), -1)
        form.edges[to_expr(poly)] = None
        return result
    sure = frozenset(item for item in shared if signs.positive(form, item))
    body = to_expr(scale(rest, 1 if factor > 0 else -1)) * mono_expr(shared - sure)
    if body == 1:
        return constant(1)
    return {} if body == -1 else atom(Choice(Condition(">", body, S.Zero), S.One, S.Zero))


def _coincidence(form: NormalForm, poly: Poly) -> Poly:
    """Where u vanishes because indices of one axis agree: there it is 0, not almost never."""
    expr = to_expr(poly)
    result: Poly = {}
    for i, j in combinations(sorted(free_indices(expr), key=order), 2):
        if i.axis == j.axis and not form(substitute(expr, {j: i})):
            add_to(result, form(Delta(i, j)))
    if len(result) > 1:
        raise Undecided
    return result


def choice(form: NormalForm, expr: Choice) -> Poly:
    condition, value, otherwise = expr.args
    if value == 1 and otherwise == 0 and condition.op in (">", "=="):
        left, right = condition.operands
        if not is_index(left):
            return _comparison(form, condition.op, left, right)
    yes = indicator(form, condition)
    result = form.mul(yes, form(value))
    add_to(result, form.mul(complement(yes), form(otherwise)))
    return result


def normal_guard(form: NormalForm, guard: Condition) -> Condition:
    """A guard in a form that is the same for equal guards."""
    if guard == TRUE:
        return guard
    inside = indicator(form, guard)
    return TRUE if inside == constant(1) else Condition(">", to_expr(inside), S.Zero)


def signum(form: NormalForm, expr: Expr) -> Poly:
    return sign_of(form, form(expr.args[0]))


def sign_of(form: NormalForm, poly: Poly) -> Poly:
    """[poly > 0] - [poly < 0]."""
    result = dict(positive(form, poly))
    add_to(result, positive(form, scale(poly, -1)), -1)
    return result


def beside(form: NormalForm, mono: Mono, peculiar: Sequence[Factor]) -> Poly | None:
    """A condition on u beside a power of u, which is not 0 or makes the whole 0 where u is:
    [u = 0] is 0 there, [-u > 0] is 1 - [u > 0], and the sign of u is 2 [u > 0] - 1; and [u > 0]
    excludes [u = 0] and [-u > 0].  None where there is nothing of the kind.

    `peculiar` are the factors of the kinds that settle anything, in order.
    """
    sides = [item for item in peculiar if isinstance(item[0], SIDES)]
    if not sides:
        return None
    powers = {base for base, _ in mono}
    conditions = (base.args[0] for base, _ in sides if isinstance(base, Choice))
    above = {condition.operands[0] for condition in conditions if condition.op == ">"}
    for base, power in sides:
        tested = base.args[0].operands[0] if isinstance(base, Choice) else base.args[0]
        rest: Poly = {mono - {(base, power)}: 1}
        if isinstance(base, Choice) and base.args[0].op == "==":
            if tested in powers or {tested, -tested} & above:
                return {}
            there = level.put_in(form, base, rest)
            if there is not None:
                return form.mul({frozenset(((base, power),)): 1}, there)
        elif isinstance(base, fn.signum) and {tested, -tested} & powers:
            side = form.power(direction(form, form(tested)), power)
            return form.mul(rest, side)
        elif isinstance(base, Choice) and -tested in above:
            return {}
        elif isinstance(base, Choice) and -tested in powers:
            return form.mul(rest, complement(_positive(form, form(-tested))))
    return None


def absolute(form: NormalForm, expr: Expr) -> Poly:
    """|u| is |b|^e for each atom of u's content, and |rest| = 2 relu(rest) - rest."""
    factor, shared, rest = form.content(poly) if (poly := form(expr.args[0])) else (0, ONE, {})
    result = constant(factor if factor > 0 else -factor)
    for base, power in sorted(shared, key=lambda item: order(item[0])):
        if signs.nonnegative_atom(form, base):
            result = form.mul(result, {frozenset(((base, power),)): 1})
        else:
            result = form.mul(result, form.absolute_power(base, power))
    if rest in ({}, constant(1)):
        return form.mul(result, rest)
    return form.mul(result, form.mul(rest, direction(form, rest)))


def direction(form: NormalForm, poly: Poly) -> Poly:
    """2 [u > 0] - 1: the sign of u, for what is 0 or undefined where u is 0."""
    factor, _, _ = form.content(poly)
    result = scale(positive(form, poly if factor > 0 else scale(poly, -1)), 2)
    add_to(result, constant(1), -1)
    return result if factor > 0 else scale(result, -1)


def relu(form: NormalForm, expr: Expr) -> Poly:
    return ramp(form, form(expr.args[0]))


def ramp(form: NormalForm, poly: Poly) -> Poly:
    """u [u > 0]; by u + ramp(-u) where u leads with a minus sign, so that there is one form."""
    if not poly or form.content(poly)[0] > 0:
        return form.mul(poly, positive(form, poly))
    result = dict(poly)
    add_to(result, ramp(form, scale(poly, -1)))
    return result


def largest(form: NormalForm, expr: Expr) -> Poly:
    """max(u, v) = v + ramp(u - v)."""
    return _pick(form, expr, 1)


def smallest(form: NormalForm, expr: Expr) -> Poly:
    """min(u, v) = v - ramp(v - u)."""
    return _pick(form, expr, -1)


def _pick(form: NormalForm, expr: Expr, way: int) -> Poly:
    left, right = form(expr.args[0]), form(expr.args[1])
    gap = dict(left)
    add_to(gap, right, -1)
    result = dict(right)
    add_to(result, ramp(form, scale(gap, way)), way)
    return result
