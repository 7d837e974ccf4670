"""The passes over a row, for who takes a maximum and its sums lane by lane and keeps no element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codegen.kernel import Reduce
from codegen.schedule.online import shifted_of
from codegen.schedule.plan import Loop, Shifted
from derive.index import Entry


@dataclass(frozen=True)
class Along:
    """A maximum; the names of the sums over exp(x - maximum): of those below the maximum and of
    those at it (a count), or of all.  A sum that is not wanted has no name."""

    top: Reduce
    below: str = ""
    ties: str = ""
    whole: str = ""


@dataclass(frozen=True)
class Pass:
    """A loop, and which of its maxima have their sums taken along."""

    loop: Loop
    along: tuple[Along, ...] = ()


def in_one_pass(loops: Sequence[Loop], rooms: Mapping[str, str]) -> tuple[Pass, ...]:
    """The loops, those that only sum exponentials joined to the ones that find their maxima."""
    passes: list[Pass] = []
    for loop in loops:
        before = passes[-1].loop if passes else None
        found = _joined(before, loop, rooms) if before is not None else ()
        if before is not None and found:
            passes[-1] = Pass(before, found)
        else:
            passes.append(Pass(loop))
    return tuple(passes)


def _joined(before: Loop, loop: Loop, rooms: Mapping[str, str]) -> tuple[Along, ...]:
    """The maxima of a loop with the sums of the next, if that computes nothing else."""
    found = shifted_of(before, loop, rooms)
    made = {name for s in found for name in (s.exponentials.name, *(r.name for r, _ in s.sums))}
    if not found or made != {s.name for s in loop.statements}:
        return ()
    taken = [_along(s) for s in found]
    return tuple(x for x in taken if x is not None) if None not in taken else ()


def _along(shifted: Shifted) -> Along | None:
    """The sums by what they are; None where one is a multiple of another kind."""
    names = {"below": "", "ties": "", "whole": ""}
    for statement, ties in shifted.sums:
        is_count = shifted.count is not None and statement.name == shifted.count.name
        expr = statement.expr
        if not is_count and ties and shifted.count is not None:
            expr = statement.expr - ties * shifted.count.expr
        plain = isinstance(expr, Entry) and expr.tensor.name == shifted.exponentials.name
        kind = "ties" if is_count else {0: "whole", -1: "below"}.get(ties, "")
        if not kind or names[kind] or not (is_count or plain):
            return None
        names[kind] = statement.name
    return Along(shifted.maximum, **names)
