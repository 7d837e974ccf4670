"""The layout for few classes: strips of rows, transposed, so that vectors run along the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sympy import Basic

from codegen.kernel import Map, Reduce, defines, reads
from codegen.schedule import Loop
from codegen.targets.c_strips import Strips
from codegen.targets.numba_dialect import dialect
from codegen.targets.numba_frame import Frame, indent, loop_over
from codegen.targets.scalar_expressions import Elements, Writer
from derive.index import Entry, Index, free_indices

LANES = 64
EACH_LANE = f"for lane in range({LANES}):"


@dataclass(frozen=True)
class Lanes:
    """How a strip reads and writes: each array of rows has a copy with the lanes innermost."""

    strips: Strips
    frame: Frame

    @property
    def row(self) -> Index:
        assert self.strips.phase.row is not None
        return self.strips.phase.row

    @property
    def statements(self) -> list[Map | Reduce]:
        return [s for loop in self.strips.phase.loops for s in loop.statements]

    def keeps(self, statement: Map | Reduce) -> bool:
        """Whether the strip has an array for it: what another loop reads, or the caller."""
        if isinstance(statement, Reduce) or self.frame.plan.rooms[statement.name] == "output":
            return True
        return any(
            entry.tensor.name == statement.name
            for loop in self.strips.phase.loops
            if statement not in loop.statements
            for other in loop.statements
            for entry in reads(other)
        )

    def writer(self, loop: Loop) -> Writer:
        elements = Elements(lambda entry: self.read(entry, loop), self.label)
        return Writer(dialect(self.frame.real), elements)

    def read(self, entry: Entry, loop: Loop) -> str:
        name = entry.tensor.name
        if entry.tensor.label is not None:
            return f"{self.frame.real}({self.place(entry)})"
        if any(s.name == name and isinstance(s, Map) for s in loop.statements):
            return f"{self.frame.names[name]}_now"
        if self.row not in free_indices(entry):
            return self.frame.read(entry, self.frame.real)
        return self.cell(entry)

    def cell(self, entry: Entry) -> str:
        """An element of the strip's copy; at a label, of the array itself."""
        name = self.frame.names[entry.tensor.name]
        first, *rest = entry.indices
        if first == self.row and all(isinstance(index, Index) for index in rest):
            places = [self.place(index) for index in rest]
            return f"{name}_lanes[{', '.join([*places, 'lane'])}]"
        here = "np.uintp(start + min(lane, count - 1))" if first == self.row else self.place(first)
        return f"{name}[{', '.join([here, *(self.place(index) for index in rest)])}]"

    def place(self, index: Basic) -> str:
        """An index or a label, to look up with: 0 where the label is ignored."""
        text = self.label(index)
        if not isinstance(index, Entry) or index.tensor.name not in self.frame.ignored:
            return text
        return f"({text} if {text} < np.uintp({index.tensor.label}) else np.uintp(0))"

    def label(self, index: Basic) -> str:
        """An index or a label, to compare."""
        if isinstance(index, Index):
            return "np.uintp(start + lane)" if index == self.row else index.name
        if isinstance(index, Entry):
            return self.cell(index) if index.indices else self.frame.names[index.tensor.name]
        return self.frame.label(index)

    @property
    def copied(self) -> list[str]:
        """The inputs with a row, of which the strip keeps a copy."""
        plain = {
            entry.tensor.name
            for statement in self.statements
            for entry in statement.expr.atoms(Entry)
            if self.row in entry.indices[:1] and all(isinstance(i, Index) for i in entry.indices)
        }
        return [given.name for given in self.frame.plan.kernel.inputs if given.name in plain]


def strip_lines(strips: Strips, frame: Frame) -> Iterator[str]:
    """The rows from `first` to `end`, a strip at a time."""
    lanes = Lanes(strips, frame)
    for name in lanes.copied:
        label = next(g.tensor.label for g in frame.plan.kernel.inputs if g.name == name)
        shape = _shape(frame.tensors[name])
        # Lanes beyond the last row hold numbers too, which are computed with and then dropped.
        kind = "np.uintp" if label else frame.real
        yield f"{frame.names[name]}_lanes = np.zeros({shape}, {kind})"
    for statement in filter(lanes.keeps, lanes.statements):
        shape = _shape(defines(statement).axes)
        yield f"{frame.names[statement.name]}_lanes = np.empty({shape}, {frame.real})"
    yield f"for start in range(first, end, {LANES}):"
    yield f"    count = min({LANES}, end - start)"
    for name in lanes.copied:
        yield from indent(_moved(name, frame, into=True))
    for loop in strips.phase.loops:
        yield from indent(_loop(loop, lanes))
    for statement in lanes.statements:
        if frame.plan.rooms[statement.name] == "output":
            yield from indent(_moved(statement.name, frame, into=False))


def _shape(axes: tuple[object, ...]) -> str:
    sizes = [str(axis) for axis in axes[1:]]
    return f"({', '.join([*sizes, str(LANES)])})" if sizes else str(LANES)


def _moved(name: str, frame: Frame, into: bool) -> Iterator[str]:
    """Rows into lanes, or lanes into rows."""
    plain, rank = frame.names[name], len(frame.tensors[name])
    scale = f"{frame.real}(scale) * " if name in frame.scaled else ""
    yield "for lane in range(count):"
    row, lanes = "np.uintp(start + lane)", "lane"
    if rank == 2:
        yield f"    for at in range({frame.tensors[name][1].name}):"
        row, lanes = f"{row}, at", f"at, {lanes}"
    line = f"{plain}_lanes[{lanes}] = {plain}[{row}]"
    if not into:
        line = f"{plain}[{row}] = {scale}{plain}_lanes[{lanes}]"
    yield "    " * rank + line


def _loop(loop: Loop, lanes: Lanes) -> Iterator[str]:
    frame = lanes.frame
    for statement in loop.statements:
        if isinstance(statement, Reduce):
            start = f"{frame.real}({frame.start(statement.op)})"
            yield f"{frame.names[statement.name]}_lanes[:] = {start}"
    depth = 0
    if loop.indices:
        yield from loop_over(loop.indices[0])
        depth = 1
    yield "    " * depth + EACH_LANE
    for statement in loop.statements:
        yield from indent(_element(statement, loop, lanes), depth + 1)


def _element(statement: Map | Reduce, loop: Loop, lanes: Lanes) -> Iterator[str]:
    name, real = lanes.frame.names[statement.name], lanes.frame.real
    text = lanes.writer(loop)(statement.expr)
    if isinstance(statement, Map):
        yield f"{name}_now = {text}"
        if lanes.keeps(statement):
            yield f"{lanes.cell(Entry(defines(statement), *statement.indices))} = {name}_now"
    elif statement.op in ("sum", "prod"):
        yield f"{name}_lanes[lane] {'+' if statement.op == 'sum' else '*'}= {text}"
    else:
        both = "largest" if statement.op == "max" else "smallest"
        yield f"{name}_lanes[lane] = _{both}_{real}({name}_lanes[lane], {text})"
