"""Where the numbers of a schedule stand in C."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sympy import Basic

from codegen.kernel import Map
from codegen.schedule import Loop, Phase, Schedule, Sum
from codegen.targets.c_dialect import dialect
from codegen.targets.scalar_expressions import Elements, Writer
from derive.index import Axis, Entry, Index

START = {"sum": "0", "prod": "1", "max": "-(real)INFINITY", "min": "(real)INFINITY"}
SIGNS = {"sum": "+", "prod": "*", "max": "max", "min": "min"}


@dataclass(frozen=True)
class Frame:
    """What the lines need to know: the schedule, names in C, and the real type.

    `instead` has what is read in place of some names, {} standing for what they are read as.
    """

    plan: Schedule
    names: Mapping[str, str]
    leading: Mapping[str, str]
    real: str
    labels: frozenset[str]
    scaled: frozenset[str]
    tensors: Mapping[str, tuple[Axis, ...]] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    lookups: Mapping[str, str] = field(default_factory=dict)

    def writer(self, phase: Phase | Sum, real: str, loop: Loop | None = None) -> Writer:
        """Writes expressions in `real`; numbers of a row are kept in double, and cast."""
        elements = Elements(
            lambda entry: self.read(entry, phase, real, loop),
            lambda index: self.label(index, phase),
        )
        return Writer(dialect(real, loop is not None), elements)

    def read(self, entry: Entry, phase: Phase | Sum, real: str, loop: Loop | None = None) -> str:
        """An entry as C; what the same loop has just computed, by its own name."""
        name = entry.tensor.name
        if loop is not None and any(s.name == name and isinstance(s, Map) for s in loop.statements):
            return f"{self.names[name]}_now"
        if name in self.instead:
            return self.instead[name].format(self._read(entry, phase, real))
        return self._read(entry, phase, real)

    def _read(self, entry: Entry, phase: Phase | Sum, real: str) -> str:
        name = entry.tensor.name
        room = self.plan.rooms.get(name, "input")
        if entry.tensor.label is not None:
            return f"({real}){self.place(entry, phase)}"
        if room == "scalar":
            wide = self.is_wide(name)
            return f"(float){self.names[name]}" if real == "float" and wide else self.names[name]
        if not entry.indices:
            return self.names[name] if room == "input" else f"*{self.names[name]}"
        return self.cell(name, [self.place(i, phase) for i in entry.indices])

    def is_wide(self, name: str) -> bool:
        return self.plan.rooms.get(name) == "scalar"

    def cell(self, name: str, places: Sequence[str]) -> str:
        """An element of an array in memory."""
        room = self.plan.rooms.get(name, "input")
        if room == "shared":
            return self.cell(self.plan.hosts[name], places)
        axes = self.tensors[name]
        if room == "row":
            axes, places = axes[1:], places[1:]
        if not axes:
            return f"*{self.names[name]}"
        if self.plan.chunked and room == "array" and axes[0] == self.plan.kernel.batch:
            places = [f"({places[0]} - first)", *places[1:]]
        stride = self.leading.get(name)
        if stride is None:
            return f"{self.names[name]}[{_flat(axes, places)}]"
        inner = _flat(axes[1:], places[1:])
        return f"{self.names[name]}[{places[0]} * {stride} + {inner}]"

    def place(self, index: Basic, phase: Phase | Sum) -> str:
        """An index or a label as an integer, to look up with: 0 where the label is ignored."""
        text = self.label(index, phase)
        name = index.tensor.name if isinstance(index, Entry) else ""
        if name not in self.lookups:
            return text
        if isinstance(phase, Phase) and self.is_own_row(index, phase):
            return self.lookups[name]
        return f"({text} < 0 || {text} >= {index.tensor.label} ? 0 : {text})"

    def label(self, index: Basic, phase: Phase | Sum) -> str:
        """An index or a label as an integer, to compare."""
        if isinstance(index, Index):
            return index.name
        if isinstance(index, Entry):
            name = index.tensor.name
            if self.plan.rooms.get(name) == "scalar":
                return self.names[name]
            if name in self.labels and isinstance(phase, Phase) and self.is_own_row(index, phase):
                return f"{self.names[name]}_here"
            if not index.indices:
                return self.names[name]
            return self.cell(name, [self.place(i, phase) for i in index.indices])
        return f"(int64_t)({self.writer(phase, 'double')(index)})"

    def rows(self, index: Index) -> str:
        """The loop over an index; over the rows of this chunk, where there are chunks."""
        name, axis = index.name, index.axis
        if self.plan.chunked and axis == self.plan.kernel.batch:
            return f"for (int64_t {name} = first; {name} < first + count; ++{name})"
        return f"for (int64_t {name} = 0; {name} < {axis.name}; ++{name})"

    def size(self, index: Index) -> str:
        """How many values an index takes."""
        chunk = self.plan.chunked and index.axis == self.plan.kernel.batch
        return "count" if chunk else index.axis.name

    def work(self, indices: Iterable[Index]) -> str:
        """How many elements a nest of loops takes, as a double: it does not overflow."""
        return " * ".join(["1.0", *(self.size(index) for index in indices)])

    def matrix(self, name: str) -> str:
        """Where a matrix starts; where the rows of this chunk do."""
        of_rows = self.tensors[name][0] == self.plan.kernel.batch
        if self.plan.chunked and of_rows and self.plan.rooms.get(name) != "array":
            return f"{self.names[name]} + first * {self.stride(name)}"
        return self.names[name]

    def stride(self, name: str) -> str:
        """The distance between the rows of a matrix."""
        return self.leading.get(name, self.tensors[name][1].name)

    def is_own_row(self, label: Entry, phase: Phase) -> bool:
        return phase.row is not None and label.indices == (phase.row,)


def _flat(axes: Sequence[Axis], places: Sequence[str]) -> str:
    """The place of an element in a dense array."""
    flat = places[0]
    for axis, place in zip(axes[1:], places[1:], strict=True):
        left = f"({flat})" if " " in flat else flat
        flat = f"{left} * {axis.name} + {place}"
    return flat


def indent(lines: Iterable[str], by: int = 1) -> Iterator[str]:
    """The lines, moved in; directives stay at the margin of what follows them."""
    for line in lines:
        yield "    " * by + line if line else line


def store(name: str, indices: Sequence[Index], text: str, phase: Phase | Sum, frame: Frame) -> str:
    """The line that puts a result where the caller or a later phase finds it."""
    cell = frame.cell(name, [i.name for i in indices])
    if name in frame.scaled:
        text = f"scale * ({text})" if " " in text else f"scale * {text}"
    if isinstance(phase, Sum) and frame.plan.chunked:
        text = f"(first > 0 ? {cell} : 0) + {text}"
    return f"{cell} = ({frame.real})({text});" if frame.real == "float" else f"{cell} = {text};"
