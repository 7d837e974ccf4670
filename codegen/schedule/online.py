"""A maximum, and the sums of exponentials of differences from it, in one pass over the row.

The row is taken in blocks: of each first its maximum, then the exponentials against the largest so
far.  Where a block raises it, the sums so far are scaled down; what is kept of the exponentials is
scaled where it is read.  (Milakov and Gimelshein, 2018: online softmax, here by blocks.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sympy import Add, Basic, Expr, Integer, Mul

from codegen.kernel import Map, Reduce, exp_difference, reads, weighted
from codegen.schedule.plan import Loop, Online, Phase, Shifted
from derive.index import Choice, Condition, Entry, Index, entries


def online_of(loops: Sequence[Loop], rooms: Mapping[str, str]) -> Online | None:
    """The first two loops of a row that may be one pass, if there are any."""
    for at in range(len(loops) - 1):
        found = shifted_of(loops[at], loops[at + 1], rooms)
        if found and all(_reads_its_own(s.exponentials, loops[at + 2 :]) for s in found):
            return Online(at, found)
    return None


def with_online(phase: Phase, rooms: Mapping[str, str]) -> Phase:
    """The phase, and which of its loops are one pass."""
    found = None if phase.row is None else online_of(phase.loops, rooms)
    return Phase(phase.row, phase.loops, found)


def shifted_of(first: Loop, second: Loop, rooms: Mapping[str, str]) -> tuple[Shifted, ...]:
    """The maxima of the first loop with what the second computes of each; none if it does more."""
    statements = (*first.statements, *second.statements)
    if len(first.indices) != 1 or first.indices != second.indices:
        return ()
    if any(isinstance(s, Reduce) and s.op == "argmax" for s in statements):
        return ()
    if any(not isinstance(i, Index) for s in statements for e in reads(s) for i in e.indices):
        return ()
    pairs = [pair for s in second.statements if (pair := _pair(s, first, rooms))]
    exponentials = {made.name for _, made in pairs}
    bound = exponentials | {s.name for s in first.statements if isinstance(s, Reduce)}
    others = [s for s in second.statements if s.name not in exponentials and _names(s) & bound]
    rest = [s for s in others if isinstance(s, Reduce) and s.op == "sum"]
    found = []
    for maximum, made in pairs:
        sums = tuple(
            (s, ties) for s in rest if (ties := _ties(s, maximum, made, bound)) is not None
        )
        counts = [s for s, _ in sums if _is_tie(s.expr, maximum)]
        if any(ties for _, ties in sums) and not counts:
            return ()
        found.append(Shifted(maximum, made, sums, counts[0] if counts else None))
    return tuple(found) if sum(len(s.sums) for s in found) == len(others) else ()


def _names(statement: Map | Reduce) -> set[str]:
    return {entry.tensor.name for entry in reads(statement)}


def _pair(
    statement: Map | Reduce, first: Loop, rooms: Mapping[str, str]
) -> tuple[Reduce, Map] | None:
    """The maximum that the statement takes off, where it is of the same expression."""
    if not isinstance(statement, Map) or not isinstance(statement.expr, exp_difference):
        return None
    value, taken = statement.expr.args
    for made in first.statements:
        is_maximum = isinstance(made, Reduce) and made.op == "max" and made.expr == value
        if is_maximum and isinstance(taken, Entry) and taken.tensor.name == made.name:
            kept = rooms[statement.name] in ("shared", "row", "local")
            assert isinstance(made, Reduce)
            return (made, statement) if kept and rooms[made.name] == "scalar" else None
    return None


def _ties(statement: Reduce, maximum: Reduce, made: Map, bound: set[str]) -> Expr | None:
    """Of a sum of multiples of the exponentials and of ties at the maximum: how often it has the
    ties; None for any other sum."""
    ties = Integer(0)
    for term in Add.make_args(statement.expr):
        number, rest = term.as_coeff_Mul()
        if _is_tie(rest, maximum):
            ties += number
        elif not _is_multiple(term, made, bound):
            return None
    return ties


def _is_tie(expr: Expr, maximum: Reduce) -> bool:
    """Whether it is 1 at the maximum and 0 elsewhere."""
    if not isinstance(expr, Choice) or expr.args[1:] != (1, 0):
        return False
    test = expr.args[0]
    if not isinstance(test, Condition) or test.op != "==" or maximum.expr not in test.operands:
        return False
    others = [x for x in test.operands if x != maximum.expr]
    return all(isinstance(x, Entry) and x.tensor.name == maximum.name for x in others)


def _is_multiple(expr: Expr, made: Map, bound: set[str]) -> bool:
    """Whether it is 0, or the exponential times what depends on nothing bound to the maximum."""

    def is_free(part: Basic) -> bool:
        return not {e.tensor.name for e in entries(part)} & bound

    if expr == 0:
        return True
    if isinstance(expr, Entry):
        return expr.tensor.name == made.name and expr.indices == made.indices
    if isinstance(expr, Choice | weighted):
        head, *parts = expr.args
        return is_free(head) and all(_is_multiple(part, made, bound) for part in parts)
    if isinstance(expr, Mul):
        rest = [factor for factor in expr.args if not is_free(factor)]
        return len(rest) == 1 and _is_multiple(rest[0], made, bound)
    return False


def _reads_its_own(exponentials: Map, later: Sequence[Loop]) -> bool:
    """Whether every later loop that reads them runs over their index, and reads its own."""
    return all(
        len(loop.indices) == 1 and entry.indices == exponentials.indices
        for loop in later
        for statement in loop.statements
        for entry in reads(statement)
        if entry.tensor.name == exponentials.name
    )
