"""Where the numbers of a schedule stand in a Numba function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sympy import Basic

from codegen.kernel import Map
from codegen.schedule import Loop, Schedule
from codegen.targets.numba_dialect import dialect
from codegen.targets.scalar_expressions import Elements, Writer
from derive.index import Axis, Entry, Index

START = {"sum": "0.0", "prod": "1.0", "max": "-{}(np.inf)", "min": "{}(np.inf)"}


@dataclass(frozen=True)
class Frame:
    """What the lines need to know: the schedule, names in Python, and the real type.

    Indices and labels are unsigned: Numba lets signed ones count from the end, which takes a test
    for each element, and vectors with it.
    """

    plan: Schedule
    names: Mapping[str, str]
    real: str
    scaled: frozenset[str]
    tensors: Mapping[str, tuple[Axis, ...]]

    def writer(self, real: str, loop: Loop | None = None) -> Writer:
        """Writes expressions in `real`; numbers of a row are kept in double, and cast."""
        elements = Elements(lambda entry: self.read(entry, real, loop), self.label)
        return Writer(dialect(real), elements)

    def read(self, entry: Entry, real: str, loop: Loop | None = None) -> str:
        """An entry; what the same loop has just computed, by its own name."""
        name = entry.tensor.name
        if loop is not None and any(s.name == name and isinstance(s, Map) for s in loop.statements):
            return f"{self.names[name]}_now"
        if entry.tensor.label is not None:
            return f"{real}({self.place(entry)})"
        room = self.plan.rooms.get(name, "input")
        if room == "scalar":
            return f"f32({self.names[name]})" if real == "f32" else self.names[name]
        text = self.cell(name, [self.place(i) for i in entry.indices])
        return text if real == self.real else f"{real}({text})"

    def cell(self, name: str, places: Sequence[str]) -> str:
        """An element of an array in memory; a number that the caller gives, as it is."""
        room = self.plan.rooms.get(name, "input")
        if room == "shared":
            return self.cell(self.plan.hosts[name], places)
        if room == "row":
            places = places[1:]
        if not places:
            return self.names[name] if room == "input" else f"{self.names[name]}[0]"
        return f"{self.names[name]}[{', '.join(places)}]"

    def place(self, index: Basic) -> str:
        """An index or a label as an unsigned integer to look up with: 0 for an ignored label."""
        text = self.label(index)
        if not isinstance(index, Entry) or index.tensor.name not in self.ignored:
            return text
        return f"({text} if {text} < np.uintp({index.tensor.label}) else np.uintp(0))"

    @property
    def ignored(self) -> frozenset[str]:
        """The labels that may be ignored."""
        return frozenset(g.name for g in self.plan.kernel.inputs if g.ignored is not None)

    def label(self, index: Basic) -> str:
        """An index or a label as an unsigned integer, to compare."""
        if isinstance(index, Index):
            return index.name
        if isinstance(index, Entry):
            name = index.tensor.name
            if self.plan.rooms.get(name) == "scalar":
                return self.names[name]
            return self.cell(name, [self.place(i) for i in index.indices])
        return f"np.uintp({self.writer('f64')(index)})"

    def store(self, name: str, indices: Sequence[Index], text: str) -> str:
        """The line that puts a result where the caller or a later phase finds it."""
        if name in self.scaled:
            text = f"scale * ({text})" if " " in text else f"scale * {text}"
        cell = self.cell(name, [i.name for i in indices])
        return f"{cell} = f32({text})" if self.real == "f32" else f"{cell} = {text}"

    def start(self, op: str) -> str:
        """What a reduction starts from."""
        return START[op].format(self.real)


def indent(lines: Iterable[str], by: int = 1) -> Iterator[str]:
    """The lines, moved in."""
    for line in lines:
        yield "    " * by + line


def loop_over(index: Index) -> Iterator[str]:
    """The head of a loop, and the index in it."""
    yield f"for {index.name}_at in range({index.axis.name}):"
    yield f"    {index.name} = np.uintp({index.name}_at)"
