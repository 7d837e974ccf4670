"""Softmax without a shift: sums of exponentials whose common scale is a number a row.

What is written with e[k] = exp(x[k] - max x) is written with u[k] = e[k]/s, where s is
exp(-max x) for a row whose exp(x) is in range, so that u = exp(x) needs no difference at all,
and 1 for any other.  Then e/(sum of e) = u/(sum of u): the scale is never multiplied in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sympy import Basic, Expr, Integer

from codegen.kernel import (
    Map,
    Reduce,
    Statement,
    exp_difference,
    leading,
    product_lost,
    sum_lost,
    trees,
)
from derive.index import Choice, Condition, Entry, Index, Tensor, entries, rebuild

# What these give is a number a row.
OF_ROWS = ("_largest", "_sums")
EXACT = (leading, product_lost, sum_lost)


@dataclass(frozen=True)
class Call:
    """Arrays that one helper computes together: names = function(arguments)."""

    names: tuple[str, ...]
    function: str
    arguments: tuple[Entry, ...]


@dataclass(frozen=True)
class Softmax:
    """e[n, k] = exp(x[n, k] - m[n]) with m[n] the largest x[n, k]; its sums, by what they are."""

    powers: Map
    largest: Reduce
    sums: tuple[Reduce, ...]
    others: tuple[Reduce, ...]
    counts: tuple[Reduce, ...]


def unshifted(
    statements: Sequence[Statement], outputs: frozenset[str], fresh: Callable[[str], str]
) -> list[Statement | Call]:
    """The statements with every such softmax that divides or sums written without the shift."""
    done: list[Statement | Call] = list(statements)
    for statement in statements:
        found = _softmax(statement, statements)
        if found is not None and not outputs & set(_names(found)):
            done = _rewritten(found, done, fresh) or done
    return done


def _softmax(statement: Statement, statements: Sequence[Statement]) -> Softmax | None:
    if not isinstance(statement, Map) or not isinstance(statement.expr, exp_difference):
        return None
    if any(tree.has(*EXACT) for other in statements for tree in trees(other)):
        return None  # what is lost of a scaled number is not what is lost of the number
    x, peak = statement.expr.args
    name = peak.tensor.name if isinstance(peak, Entry) else ""
    largest = next((s for s in statements if s.name == name), None)
    if not isinstance(largest, Reduce) or largest.op != "max" or len(statement.indices) != 2:
        return None
    row = statement.indices[:1]
    same = isinstance(x, Entry) and x.indices == statement.indices and peak.indices == row
    if not same or _over(largest, statement.indices) != x:
        return None
    axes = tuple(i.axis for i in statement.indices)
    here = Entry(Tensor(statement.name, axes), *statement.indices)
    tie = Choice(Condition("==", x, peak), Integer(1), Integer(0))
    kinds: dict[Expr, list[Reduce]] = {here: [], here - tie: [], tie: []}
    for other in statements:
        if isinstance(other, Reduce) and other.op == "sum":
            kinds.get(_over(other, statement.indices), []).append(other)
    sums, others, counts = (tuple(kinds[key]) for key in (here, here - tie, tie))
    return Softmax(statement, largest, sums, others, counts)


def _over(reduce: Reduce, indices: tuple[Index, ...]) -> Expr | None:
    """What is reduced, in these indices; None where it is not over the last of two."""
    own = (*reduce.indices, *reduce.over)
    if tuple(i.axis for i in own) != tuple(i.axis for i in indices) or len(reduce.over) != 1:
        return None
    return renamed(reduce.expr, dict(zip(own, indices, strict=True)))


def renamed(expr: Expr, new: Mapping[Index, Basic]) -> Expr:
    """The expression with other indices, or labels in their place."""

    def visit(node: Basic) -> Basic:
        return new.get(node, node) if isinstance(node, Index) else rebuild(node, visit)

    return visit(expr)


def _names(found: Softmax) -> tuple[str, ...]:
    return (found.powers.name, *(s.name for s in (*found.sums, *found.others, *found.counts)))


def _rewritten(
    found: Softmax, statements: Sequence[Statement | Call], fresh: Callable[[str], str]
) -> list[Statement | Call] | None:
    """None where the sums are used in another way than as a whole and as the whole but one."""
    powers, row = found.powers, found.powers.indices[0]
    x, peak = powers.expr.args
    u = Entry(Tensor(powers.name, tuple(i.axis for i in powers.indices)), *powers.indices)
    scale, rest, whole = (
        Entry(Tensor(fresh(name), (row.axis,)), row) for name in ("scale", "rest", "whole")
    )
    top = Entry(Tensor(fresh(f"{x.tensor.name}_top"), (row.axis,)), row)
    calls = [Call((powers.name, scale.tensor.name), "_exponentials", (x, peak))]
    if found.others:
        calls.append(Call((rest.tensor.name, whole.tensor.name), "_sums", (u, top)))
    kept = () if found.others else tuple(s.name for s in found.sums)
    new: dict[str, Callable[[Entry], Expr]] = {powers.name: lambda e: e * _at(scale, e)}
    for s in found.sums:
        new[s.name] = lambda e: (e if kept else _at(whole, e)) * _at(scale, e)
    one = Entry(Tensor(found.others[0].name, (row.axis,)), row) if found.others else rest
    for s in found.counts:
        new[s.name] = lambda e: _at(rest, e) * _at(scale, e) + 1 - _at(one, e)
    done: list[Statement | Call] = []
    gone = {name for name in _names(found) if name not in (powers.name, *kept)}
    for statement in _inlined(statements, frozenset(s.name for s in found.counts)):
        if isinstance(statement, Call) or statement.name in kept:
            done.append(statement)
        elif statement.name == powers.name:
            done += calls
        elif statement.name == found.largest.name and found.others:
            done.append(Call((statement.name, top.tensor.name), "_largest", (x,)))
        elif statement.name not in gone:
            changed = _changed(statement, new)
            if changed is None or any(
                e.tensor.name in gone for t in trees(changed) for e in entries(t)
            ):
                return None
            done.append(changed)
    return done


def _at(value: Entry, like: Entry) -> Entry:
    """The number of the row that the other entry is in."""
    return Entry(value.tensor, like.indices[0])


def _changed(statement: Statement, new: dict[str, Callable[[Entry], Expr]]) -> Statement | None:
    """The statement with the new values; None for a product of arrays that would need them."""

    def visit(node: Basic) -> Basic:
        if isinstance(node, Entry):
            return new[node.tensor.name](node) if node.tensor.name in new else node
        return rebuild(node, visit)

    if isinstance(statement, Map | Reduce):
        return replace(statement, expr=visit(statement.expr))
    touched = any(operand.tensor.name in new for operand in statement.operands)
    return None if touched else statement


def _inlined(
    statements: Sequence[Statement | Call], names: frozenset[str]
) -> list[Statement | Call]:
    """Maps over the rows that read these names alone are put where they are read."""
    bodies: dict[str, Map] = {}
    done: list[Statement | Call] = []
    for statement in statements:
        if isinstance(statement, Map) and len(statement.indices) == 1:
            reads = {e.tensor.name for e in entries(statement.expr)}
            if reads and reads <= names:
                bodies[statement.name] = statement
                continue
        done.append(_with_bodies(statement, bodies))
    return done


def _with_bodies(statement: Statement | Call, bodies: Mapping[str, Map]) -> Statement | Call:
    """The statement with the entries of these arrays written out."""

    def visit(node: Basic) -> Basic:
        if isinstance(node, Entry) and node.tensor.name in bodies:
            body = bodies[node.tensor.name]
            slots = [visit(i) for i in node.indices]
            return renamed(body.expr, dict(zip(body.indices, slots, strict=True)))
        return rebuild(node, visit)

    if isinstance(statement, Map | Reduce):
        return replace(statement, expr=visit(statement.expr))
    return statement


def with_entries(statement: Map | Reduce, new: Mapping[Entry, Entry]) -> Map | Reduce:
    """The statement with these entries replaced."""

    def visit(node: Basic) -> Basic:
        return new[node] if isinstance(node, Entry) and node in new else rebuild(node, visit)

    return replace(statement, expr=visit(statement.expr))
