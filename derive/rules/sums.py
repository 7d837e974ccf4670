"""Carrying out sums: multiply out, split, contract deltas, pull constants out."""

from __future__ import annotations

from collections.abc import Callable

from sympy import Add, Expr, Mul, S

from derive.derivation import Rule
from derive.index import (
    TRUE,
    Choice,
    Condition,
    Delta,
    Index,
    Total,
    free_indices,
    kinds,
    nodes,
    rebuild,
    size,
    substitute,
    total,
    walk,
)
from derive.rules.registry import register

Local = Callable[[Index, Expr, Condition], Expr | None]


def on_sums(name: str, reason: str, holds: str = "always") -> Callable[[Local], Rule]:
    """Make a rule of a function that rewrites one opened sum, or answers None."""

    def decorate(local: Local) -> Rule:
        def everywhere(expr: Expr) -> Expr:
            sums = (node for node in nodes(expr) if isinstance(node, Total))
            if all(local(*node.args) is None for node in sums):
                return expr

            def visit(node: Expr) -> Expr:
                if Total not in kinds(node):
                    return node
                node = rebuild(node, visit)
                if isinstance(node, Total):
                    found = local(*node.open())
                    return node if found is None else found
                return node

            return visit(expr)

        return register(Rule(name, reason, everywhere, holds, "Kronecker delta"))

    return decorate


def has_delta(expr: Expr, index: Index) -> bool:
    """Whether a delta over `index` stands in `expr` as a factor or in a term."""
    if isinstance(expr, Delta):
        return picks(expr, index)
    if expr.is_Mul or expr.is_Add:
        return any(has_delta(arg, index) for arg in expr.args)
    return False


def picks(delta: Delta, index: Index) -> bool:
    """Whether the delta singles out one value of `index`: its other side does not depend on it."""
    return index in delta.args and index not in free_indices(delta.other(index))


@on_sums("multiply out", "the factor that holds the delta is multiplied out")
def multiply_out(index: Index, body: Expr, guard: Condition) -> Expr | None:
    if not body.is_Mul or not has_delta(body, index):
        return None
    factor = next((arg for arg in body.args if arg.is_Add and has_delta(arg, index)), None)
    if factor is None:
        return None
    rest = Mul(*(arg for arg in body.args if arg is not factor))
    return total(index, Add(*(rest * term for term in factor.args)), guard)


@on_sums("split the sum", "the sum of a sum is the sum of the sums")
def split(index: Index, body: Expr, guard: Condition) -> Expr | None:
    if not body.is_Add:
        return None
    constant = guard == TRUE and any(index not in free_indices(term) for term in body.args)
    if not constant and not has_delta(body, index):
        return None
    apart = [term for term in body.args if has_delta(term, index)]
    if constant:
        apart += [term for term in body.args if index not in free_indices(term)]
    rest = Add(*(term for term in body.args if term not in apart))
    return Add(total(index, rest, guard), *(total(index, term, guard) for term in apart))


@on_sums("contract the delta", "only the term where the two indices agree survives")
def contract(index: Index, body: Expr, guard: Condition) -> Expr | None:
    found = _taken_out(index, body) if Delta in kinds(body) else None
    if found is None:
        return None
    delta, rest = found
    here = {index: delta.other(index)}
    where = substitute(guard, here)
    if where.trivial is False:
        return S.Zero
    value = substitute(rest, here)
    return value if guard == TRUE else Choice(where, value, S.Zero)


def _taken_out(index: Index, expr: Expr) -> tuple[Delta, Expr] | None:
    """A delta that picks the index, and what it multiplies: also where a choice, else 0, or a sum
    over another index stands around it."""
    if isinstance(expr, Delta):
        return (expr, S.One) if picks(expr, index) else None
    if expr.is_Mul:
        for factor in sorted(expr.args, key=lambda arg: not isinstance(arg, Delta)):
            found = _taken_out(index, factor)
            if found is not None:
                others = (other for other in expr.args if other is not factor)
                return found[0], Mul(found[1], *others)
    if isinstance(expr, Choice) and expr.args[2] == 0:
        found = _taken_out(index, expr.args[1])
        return found and (found[0], Choice(expr.args[0], found[1], S.Zero))
    if isinstance(expr, Total) and Delta in kinds(expr):
        inner, body, guard = expr.open()
        found = _taken_out(index, body)
        if found is not None and inner not in found[0].args:
            return found[0], total(inner, found[1], guard)
    return None


@on_sums("pull constants out", "a factor that does not depend on the index leaves the sum")
def pull_out(index: Index, body: Expr, guard: Condition) -> Expr | None:
    factors = Mul.make_args(body)
    outside = [f for f in factors if index not in free_indices(f)]
    inside = [f for f in factors if index in free_indices(f)]
    if not outside or outside == [S.One]:
        return size(index.axis, index, guard) if body == 1 and guard == TRUE else None
    return Mul(*outside) * total(index, Mul(*inside), guard)


TABLE = (multiply_out, split, contract, pull_out)


def carry_out_steps(expr: Expr) -> list[tuple[Rule, Expr]]:
    """Apply the table until nothing changes: each rule used, with what it gave."""
    done: list[tuple[Rule, Expr]] = []
    changed = any(isinstance(node, Total) for node in walk(expr))
    while changed:
        changed = False
        for rule in TABLE:
            after = rule.apply(expr)
            if after != expr:
                done.append((rule, after))
                expr, changed = after, True
    return done


def _carry_out(expr: Expr) -> Expr:
    done = carry_out_steps(expr)
    return done[-1][1] if done else expr


carry_out = register(
    Rule("carry out the sum", "multiplied out, deltas contracted, constants in front", _carry_out)
)
