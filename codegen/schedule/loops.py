"""Which statements of a row share a loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codegen.kernel import Map, Reduce, reads
from codegen.schedule.plan import Loop
from derive.index import Entry, Index


def loops_of(statements: Sequence[Map | Reduce], has_row: bool) -> tuple[Loop, ...]:
    """The loops, in order, that compute the statements of a row."""
    placing = _Placing(has_row)
    for statement in statements:
        placing.add(statement)
    placing.place_waiting()
    return tuple(loop for loop in placing.loops if loop.statements)


class _Placing:
    """Loops as they fill: a reduction goes into the first loop that it can join; a map waits for
    its first reader, so that it need not be kept."""

    def __init__(self, has_row: bool) -> None:
        self.has_row = has_row
        self.loops: list[Loop] = [Loop((), ())]
        self.place: dict[str, int] = {}
        self.waiting: dict[str, Map] = {}

    def add(self, statement: Map | Reduce) -> None:
        inner = inner_of(statement, self.has_row)
        if isinstance(statement, Map) and inner:
            self.waiting[statement.name] = statement
        else:
            self._put(statement)

    def place_waiting(self) -> None:
        """What no reduction asked for: outputs, and what they read."""
        while self.waiting:
            wanted = {e.tensor.name for m in self.waiting.values() for e in reads(m)}
            last = next(name for name in self.waiting if name not in wanted)
            self._put(self.waiting.pop(last))

    def _put(self, statement: Map | Reduce) -> int:
        """Place a statement; maps that it reads and that wait join its loop if they can."""
        inner = inner_of(statement, self.has_row)
        joined = self._joined(statement, inner)
        for name in [e.tensor.name for e in reads(statement)]:
            if name in self.waiting and name not in {s.name for s in joined}:
                self._put(self.waiting.pop(name))
        first = max((self._first(s, inner, joined) for s in (*joined, statement)), default=0)
        at = self._loop(inner, first)
        for member in (*joined, statement):
            self.waiting.pop(member.name, None)
            self.loops[at] = replace(
                self.loops[at], statements=(*self.loops[at].statements, member)
            )
            self.place[member.name] = at
        return at

    def _joined(self, statement: Map | Reduce, inner: tuple[Index, ...]) -> list[Map]:
        """The waiting maps that it reads at its own element, and those that they read."""
        found: list[Map] = []
        for entry in reads(statement):
            made = self.waiting.get(entry.tensor.name)
            if made is None or inner_of(made, self.has_row) != inner or made in found:
                continue
            if entry.indices == made.indices and len(statement.indices) + len(
                statement.over
            ) == len(made.indices):
                found += [m for m in self._joined(made, inner) if m not in found]
                found.append(made)
        names = [e for e in reads(statement) if e.tensor.name in {m.name for m in found}]
        elsewhere = {
            e.tensor.name for e in names if e.indices != self.waiting[e.tensor.name].indices
        }
        return [m for m in found if m.name not in elsewhere]

    def _first(
        self, statement: Map | Reduce, inner: tuple[Index, ...], joined: Sequence[Map]
    ) -> int:
        """The first loop in which everything it reads is known."""
        first = 0
        for entry in reads(statement):
            name = entry.tensor.name
            if name in {m.name for m in joined}:
                continue
            if name in self.waiting:
                self._put(self.waiting.pop(name))
            if name in self.place:
                at = self.place[name]
                same = _same_element(entry, self.loops[at], inner, self.has_row)
                first = max(first, at if same else at + 1)
        return first

    def _loop(self, inner: tuple[Index, ...], first: int) -> int:
        for at in range(first, len(self.loops)):
            if self.loops[at].indices == inner:
                return at
        self.loops.append(Loop(inner, ()))
        return len(self.loops) - 1


def inner_of(statement: Map | Reduce, has_row: bool = True) -> tuple[Index, ...]:
    """The indices of a statement inside its row."""
    return (*statement.indices[1 if has_row else 0 :], *statement.over)


def _same_element(entry: Entry, loop: Loop, inner: tuple[Index, ...], has_row: bool) -> bool:
    """Whether a statement with these inner indices reads the entry where the loop computes it."""
    made = next(s for s in loop.statements if s.name == entry.tensor.name)
    if isinstance(made, Reduce) or loop.indices != inner:
        return False
    return entry.indices == made.indices and inner_of(made, has_row) == inner
