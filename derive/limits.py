"""Saturation: what a scalar derivative tends to as its variable grows without bound.

SymPy's Gruntz algorithm is asked about expressions without kinks only: what is compared is
first decided at the end in question.  Its answer counts only where balls far out agree with
it, and it has a budget of work, after which it is stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import takewhile
from typing import Any

from flint import arb, ctx
from sympy import (
    Abs,
    Add,
    Basic,
    Expr,
    Limit,
    Mul,
    Pow,
    S,
    Symbol,
    atan,
    exp,
    limit,
    nan,
    oo,
    sign,
    tanh,
    zoo,
)

from derive import functions as fn
from derive.balls import Undetermined
from derive.derivation import Derivation
from derive.errors import PminusyError
from derive.evaluate import Evaluator
from derive.index import (
    Binder,
    Choice,
    Condition,
    Delta,
    Index,
    Share,
    entries,
    kinds,
    nodes,
    order,
    rebuild,
    substitute,
)
from derive.loss import Declaration
from derive.normal.signs import VALUES
from derive.sampling import points

MOST_CALLS = 600_000
MOST_POINTS = 6
FAR = (Fraction(40), Fraction(10**3), Fraction(10**6))
NEAR_ENOUGH = arb("1e-4")
LARGE = arb(8)
PRECISION = 4096


class OutOfWork(Exception):
    """The budget of calls is used up."""


def limits(slope: Derivation) -> Iterator[tuple[str, Expr | None, tuple[str, ...]]]:
    """Each end, "infinity" and "-infinity", the limit there, None where it is not known, and
    what it rests on.

    There is none at all of a gradient with indices or sums.
    """
    variable = slope.wrt[0]
    expr = slope.loss.unfold(slope.result, frozenset((variable.tensor.name,)))
    if kinds(expr) & {Delta, Index, Share} or any(isinstance(n, Binder) for n in nodes(expr)):
        return
    for end, text in ((oo, "infinity"), (-oo, "-infinity")):
        value, given = _by_values(slope, expr, end)
        confirmed = value is not None and _agrees(slope, value, 1 if end == oo else -1)
        yield text, value if confirmed else None, given if confirmed else ()


def _by_values(slope: Derivation, expr: Expr, end: Expr) -> tuple[Expr | None, tuple[str, ...]]:
    """The limit; where it is not known as it is, that for each value of an entry of two."""
    value = _end(slope, expr, end)
    if value is not None:
        return value, ()
    for entry in sorted(entries(expr), key=order):
        domain = slope.loss.declared[entry.tensor.name].domain
        if domain.kind in VALUES and entry != slope.wrt[0]:
            one, two = map(S, reversed(VALUES[domain.kind]))
            ends = (_end(slope, substitute(expr, {entry: put}), end) for put in (one, two))
            parts = list(takewhile(lambda part: part is not None, ends))
            if len(parts) == 2 and (parts[0] == parts[1] or not {oo, -oo} & {*parts}):
                found = Choice(Condition("==", entry, one), *parts)
                return found, (f"{entry.tensor.name} in {domain.kind}",)
    return None, ()


def _end(slope: Derivation, expr: Expr, end: Expr) -> Expr | None:
    """The limit of an expression, in the names of the loss."""
    names = {e: _symbol(slope.loss.declared[e.tensor.name]) for e in entries(expr)}
    symbol = names.get(slope.wrt[0], Symbol("unused", real=True))
    value = _limit(_meanings(substitute(expr, names)), symbol, end)
    back = {s: entry for entry, s in names.items()}
    return None if value is None else _ours(value).xreplace(back)


def _symbol(declaration: Declaration) -> Symbol:
    """A symbol with the signs that the domain of a name gives it."""
    domain = declaration.domain
    lower = S.Zero if domain.kind in ("unit", "binary") else domain.lower
    facts: dict[str, bool] = {"real": True}
    if lower is not None and lower >= 0:
        facts["positive" if lower > 0 or domain.lower_open else "nonnegative"] = True
    return Symbol(declaration.name, **facts)


def _meanings(expr: Any) -> Any:
    for kind in (fn.sigmoid, fn.softplus, fn.log1p, fn.expm1, fn.grouped):
        expr = expr.replace(kind, lambda x, kind=kind: kind(x).meaning())
    return expr


def _ours(value: Expr) -> Expr:
    """SymPy's |x| and sign as those of the language."""
    return value.replace(Abs, fn.absolute).replace(sign, fn.signum)


def _limit(expr: Expr, variable: Symbol, end: Expr) -> Expr | None:
    """The limit; None where it is not found, or a comparison is not decided."""
    if variable not in expr.free_symbols:
        return expr
    try:
        settled = _settled(expr, variable, end)
        if settled is None or _undirected(settled, variable):
            return None
        value = _by_parts(settled, variable, end)
        if value is None:
            value = _bounded(lambda: limit(settled, variable, end))
    except (NotImplementedError, OutOfWork, ValueError, TypeError):
        return None
    if value.has(Limit, nan, zoo):
        return None
    return None if value.has(oo, -oo) and value not in (oo, -oo) else value


def _undirected(expr: Expr, variable: Symbol) -> bool:
    """Whether nobody knows if some exponential grows or vanishes: the sign of the factor in front
    of what varies in its exponent is not known."""
    exponents = (node.args[0] for node in expr.atoms(exp))
    fronts = (exponent.as_independent(variable, as_Add=False)[0] for exponent in exponents)
    return any(not (front.is_nonnegative or front.is_nonpositive) for front in fronts)


def _by_parts(expr: Expr, variable: Symbol, end: Expr) -> Expr | None:
    """The limit where it is that of the parts put together; None where it may be another, as
    that of a difference of infinities."""
    if variable not in expr.free_symbols:
        return expr
    if expr == variable:
        return end
    if not isinstance(expr, PARTED):
        return None
    parts = [_by_parts(arg, variable, end) for arg in expr.args]
    if any(part is None for part in parts):
        return None
    if isinstance(expr, Pow) and not _continues(*parts):
        return None
    value = expr.func(*parts)
    undecided = value.has(nan, zoo) or (value.has(oo, -oo) and value not in (oo, -oo))
    return None if undecided else value


def _continues(base: Expr, exponent: Expr) -> bool:
    """Whether a power tends to that of the limits of its base and exponent."""
    if exponent.is_infinite is not False:
        return False
    whole = exponent.is_Integer and (exponent > 0 or base.is_zero is False)
    return bool(whole or base.is_positive or (base.is_zero and exponent.is_positive))


def _bounded(work: Callable[[], Expr]) -> Expr:
    """Run with a budget of calls: the same on every machine, unlike a time limit."""
    left, before = MOST_CALLS, sys.getprofile()

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OutOfWork

    sys.setprofile(count)
    try:
        return work()
    finally:
        sys.setprofile(before)


def _settled(expr: Any, variable: Symbol, end: Expr) -> Any:
    """The expression with every comparison decided as it is near the end; None where one is not."""
    undecided = False

    def visit(node: Basic) -> Basic:
        nonlocal undecided
        if isinstance(node, Symbol) or not node.args:
            return node
        found = _one(node, variable, end) if isinstance(node, COMPARED) else None
        if found is None and isinstance(node, COMPARED):
            undecided = True
            return node
        return visit(found) if found is not None else rebuild(node, visit)

    result = visit(expr)
    return None if undecided else result


def _one(node: Any, variable: Symbol, end: Expr) -> Expr | None:
    """What a kinked function is near the end."""
    args = node.args
    if isinstance(node, Choice):
        holds = _holds(args[0], variable, end)
        return None if holds is None else args[1] if holds else args[2]
    if isinstance(node, fn.largest | fn.smallest):
        way = _sign(args[0] - args[1], variable, end)
        if way is None:
            return None
        return args[0] if (way >= 0) == isinstance(node, fn.largest) else args[1]
    way = _sign(args[0], variable, end)
    if way is None:
        return None
    if isinstance(node, fn.step):
        return S.One if way > 0 else S.Zero
    if isinstance(node, fn.signum):
        return S(way)
    return args[0] * (max(way, 0) if isinstance(node, fn.relu) else way)


def _holds(condition: Condition, variable: Symbol, end: Expr) -> bool | None:
    op, operands = condition.op, condition.operands
    if op not in ("<", "<=", ">", ">="):
        return None
    way = _sign(operands[0] - operands[1], variable, end)
    if way is None or way == 0:
        return None if way is None else op in ("<=", ">=")
    return (way > 0) == (op in (">", ">="))


def _sign(expr: Expr, variable: Symbol, end: Expr) -> int | None:
    """The sign near the end, 0 of what is 0 there; None where it is not known."""
    if _settled(expr, variable, end) == 0:
        return 0
    value = _limit(expr, variable, end) if expr.has(variable) else expr
    if value is None:
        return None
    if value == oo or value.is_positive:
        return 1
    return -1 if value == -oo or value.is_negative else None


def _agrees(slope: Derivation, value: Expr, way: int) -> bool:
    """Whether the gradient comes near the limit in balls, at some points with far variables."""
    name, seen = slope.wrt[0].tensor.name, 0
    for point in points(slope.loss):
        far = [replace(point, values={**point.values, name: {(): way * size}}) for size in FAR]
        with ctx.workprec(PRECISION):
            try:
                found = [Evaluator(slope.loss, here)(slope.result, {}) for here in far]
                if value in (oo, -oo):
                    good = _grows(found if value == oo else [-one for one in found])
                else:
                    goal = Evaluator(slope.loss, point)(value, {})
                    good = bool(abs(found[-1] - goal) < NEAR_ENOUGH * (1 + abs(goal)))
            except (Undetermined, ZeroDivisionError, ValueError, PminusyError):
                continue
        if not good:
            return False
        seen += 1
        if seen >= MOST_POINTS:
            return True
    return seen > 0


def _grows(found: list[Any]) -> bool:
    return bool(found[0] < found[1] < found[2] and found[2] > LARGE)


PARTED = (Add, Mul, Pow, exp, tanh, atan)
COMPARED = (Choice, fn.largest, fn.smallest, fn.step, fn.signum, fn.absolute, fn.relu)
