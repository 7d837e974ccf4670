"""Where the numbers of a schedule stand in JavaScript: flat arrays, row after row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sympy import Basic

from codegen.kernel import Map
from codegen.schedule import Loop, Schedule
from codegen.targets.javascript_dialect import DIALECT
from codegen.targets.scalar_expressions import ATOM, Elements, Writer
from derive.index import Axis, Entry, Index


@dataclass(frozen=True)
class Frame:
    """What the lines need to know: the schedule, and names for arrays, indices and axes."""

    plan: Schedule
    names: Mapping[str, str]
    letters: Mapping[str, str]
    axes: Mapping[str, str]
    scaled: frozenset[str]
    tensors: Mapping[str, tuple[Axis, ...]]

    def writer(self, loop: Loop | None = None) -> Writer:
        """Writes expressions; in a loop, what it has just computed by its own name."""
        elements = Elements(lambda entry: self.read(entry, loop), self.label)
        return _Writer(elements, self.axes)

    def read(self, entry: Entry, loop: Loop | None = None) -> str:
        """An entry."""
        name = entry.tensor.name
        if loop is not None and any(s.name == name and isinstance(s, Map) for s in loop.statements):
            return f"{self.names[name]}_now"
        return self.label(entry)

    def place(self, index: Basic) -> str:
        """An index, or a label to look up with: 0 where it is ignored."""
        text = self.label(index)
        if not isinstance(index, Entry):
            return text
        given = next((g for g in self.plan.kernel.inputs if g.name == index.tensor.name), None)
        if given is None or given.ignored is None or given.tensor.label is None:
            return text
        return f"_inside({text}, {self.axes[given.tensor.label.name]})"

    def label(self, index: Basic) -> str:
        """An index, a label to compare, or a number at its place."""
        if isinstance(index, Index):
            return self.letters[index.name]
        if isinstance(index, Entry):
            name = index.tensor.name
            if self.plan.rooms.get(name) == "scalar":
                return self.names[name]
            return self.cell(name, [self.place(i) for i in index.indices])
        return self.writer()(index)

    def cell(self, name: str, places: Sequence[str]) -> str:
        """An element of an array in memory; a number that the caller gives, as it is."""
        room = self.plan.rooms.get(name, "input")
        if room == "shared":
            return self.cell(self.plan.hosts[name], places)
        axes = self.tensors[name]
        if room == "row":
            axes, places = axes[1:], places[1:]
        if not axes:
            return self.names[name] if room == "input" else f"{self.names[name]}[0]"
        return f"{self.names[name]}[{self.flat(axes, places)}]"

    def flat(self, axes: Sequence[Axis], places: Sequence[str]) -> str:
        """The place of an element in a flat array."""
        text = places[0] if places else "0"
        for axis, place in zip(axes[1:], places[1:], strict=True):
            left = f"({text})" if " " in text else text
            text = f"{left} * {self.axes[axis.name]} + {place}"
        return text

    def size(self, axes: Sequence[Axis]) -> str:
        """How many elements an array has."""
        return " * ".join(self.axes[axis.name] for axis in axes) or "1"

    def store(self, name: str, indices: Sequence[Index], text: str) -> str:
        """The line that puts a result where the caller or a later phase finds it."""
        if name in self.scaled:
            whole = " " not in text or re.fullmatch(r"\w+\([^()]*\)", text)
            text = f"scale * {text}" if whole else f"scale * ({text})"
        return f"{self.cell(name, [self.place(i) for i in indices])} = {text};"

    def loop_over(self, index: Index) -> str:
        """The head of a loop."""
        name = self.letters[index.name]
        return f"for (let {name} = 0; {name} < {self.axes[index.axis.name]}; ++{name}) {{"


class _Writer(Writer):
    """Axes have names of their own here: a user's may be a word of the language."""

    def __init__(self, elements: Elements, axes: Mapping[str, str]) -> None:
        super().__init__(DIALECT, elements)
        self.axes = axes

    def _piece(self, expr: Basic) -> tuple[str, int]:
        return (self.axes[expr.name], ATOM) if isinstance(expr, Axis) else super()._piece(expr)


def indent(lines: Iterable[str], by: int = 1) -> Iterator[str]:
    """The lines, moved in."""
    for line in lines:
        yield "  " * by + line
