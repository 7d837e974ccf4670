"""The layout for few classes: strips of rows, transposed, so that vectors run along the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sympy import Basic

from codegen.kernel import Input, Map, Reduce, defines, reads
from codegen.schedule import Loop, Phase, Schedule
from codegen.targets.c_dialect import SUFFIX, dialect
from codegen.targets.c_frame import SIGNS, START, Frame, indent
from codegen.targets.c_labels import is_wrong
from codegen.targets.c_lanes import EACH_LANE, LANES, padded, turned_in, turned_out
from codegen.targets.scalar_expressions import Elements, Writer
from derive.index import Axis, Entry, Index, free_indices


@dataclass(frozen=True)
class Strips:
    """A phase that may run in strips: its class axis, None where a row is a few numbers."""

    phase: Phase
    axis: Axis | None


def strips_of(plan: Schedule) -> Strips | None:
    """The whole kernel as strips, where every row stands alone and has one short axis at most."""
    if len(plan.phases) != 1 or not isinstance(plan.phases[0], Phase):
        return None
    phase = plan.phases[0]
    statements = [s for loop in phase.loops for s in loop.statements]
    axes = {index.axis for loop in phase.loops for index in loop.indices}
    if phase.row is None or len(axes) > 1 or any(len(loop.indices) > 1 for loop in phase.loops):
        return None
    if any(isinstance(s, Reduce) and s.op == "argmax" for s in statements):
        return None
    if any(len(given.tensor.axes) > 2 for given in plan.kernel.inputs):
        return None
    if phase.row.axis in axes or any(_reads_other_rows(s, phase.row) for s in statements):
        return None
    return Strips(phase, next(iter(axes), None))


def _reads_other_rows(statement: Map | Reduce, row: Index) -> bool:
    return any(
        index != row and isinstance(index, Index) and index.axis == row.axis
        for entry in statement.expr.atoms(Entry)
        for index in entry.indices
    )


@dataclass(frozen=True)
class Lanes:
    """How a strip reads and writes: each array of rows has a copy with the lanes innermost."""

    strips: Strips
    frame: Frame

    @property
    def row(self) -> Index:
        assert self.strips.phase.row is not None
        return self.strips.phase.row

    def label_type(self, label: Axis, ignorable: bool) -> str:
        """As wide as the elements are, where the labels are few: vectors compare both."""
        few = label == self.strips.axis and self.frame.real == "float" and not ignorable
        return "int32_t" if few else "int64_t"

    def keeps(self, statement: Map | Reduce) -> bool:
        """Whether the strip has an array for it: what another loop reads, or the caller."""
        loops = self.strips.phase.loops
        if isinstance(statement, Reduce) or self.frame.plan.rooms[statement.name] == "output":
            return True
        return any(
            entry.tensor.name == statement.name
            for loop in loops
            if statement not in loop.statements
            for other in loop.statements
            for entry in reads(other)
        )

    def is_direct(self, statement: Map | Reduce) -> bool:
        """Whether whole strips of it are computed in the caller's memory."""
        output = self.frame.plan.rooms[statement.name] == "output"
        return output and isinstance(statement, Map) and len(statement.indices) == 1

    def scale(self, statement: Map | Reduce) -> str:
        """What a result is multiplied by."""
        if statement.name not in self.frame.scaled:
            return ""
        return "scale * " if self.frame.real == "double" else "(float)scale * "

    def writer(self, loop: Loop) -> Writer:
        elements = Elements(lambda entry: self.read(entry, loop), self.label)
        return Writer(dialect(self.frame.real), elements)

    def read(self, entry: Entry, loop: Loop) -> str:
        name = entry.tensor.name
        if entry.tensor.label is not None:
            return f"({self.frame.real}){self.place(entry)}"
        made = [s for s in loop.statements if s.name == name and isinstance(s, Map)]
        if made:
            return f"{self.frame.names[name]}_now"
        if self.row not in free_indices(entry):
            return self.frame.read(entry, self.strips.phase, self.frame.real)
        return self.cell(entry)

    def cell(self, entry: Entry) -> str:
        """An element of the strip's copy; at a label, of the array itself."""
        name = self.frame.names[entry.tensor.name]
        if len(entry.indices) == 1:
            if entry.indices[0] == self.row:
                return f"{name}_lanes[lane]"
            return f"{name}[{self.place(entry.indices[0])}]"
        first, second = entry.indices
        if first != self.row or not isinstance(second, Index):
            stride = self.frame.leading[entry.tensor.name]
            at = "first + (lane < count ? lane : 0)" if first == self.row else self.place(first)
            return f"{name}[({at}) * {stride} + {self.place(second)}]"
        return f"{name}_lanes[{second.name} * {LANES} + lane]"

    def place(self, index: Basic) -> str:
        """An index or a label, to look up with: 0 where the label is ignored."""
        name = index.tensor.name if isinstance(index, Entry) else ""
        if name in self.frame.lookups and index.indices == (self.row,):
            return f"{self.frame.lookups[name]}_lanes[lane]"
        return self.label(index)

    def label(self, index: Basic) -> str:
        """An index or a label, to compare."""
        if isinstance(index, Index):
            return "(first + lane)" if index == self.row else index.name
        assert isinstance(index, Entry)
        name = self.frame.names[index.tensor.name]
        return f"{name}_lanes[lane]" if index.indices == (self.row,) else name


def strip_lines(strips: Strips, frame: Frame) -> Iterator[str]:
    """The body of the function that computes one strip: `count` rows from `first` on."""
    lanes = Lanes(strips, frame)
    phase = strips.phase
    statements = [s for loop in phase.loops for s in loop.statements]
    checks = [g for g in frame.plan.kernel.inputs if g.name in frame.labels and g.tensor.axes]
    if checks:
        yield f"int wrong[{LANES}] = {{0}};"
        yield "int status = 0;"
    for given in _loaded(lanes):
        yield from _load(given, lanes)
    for statement in statements:
        if lanes.keeps(statement):
            yield from _room(statement, lanes)
    for loop in phase.loops:
        yield from _loop(loop, lanes)
    outputs = [s for s in statements if frame.plan.rooms[s.name] == "output"]
    for statement in outputs:
        yield from _store(statement, lanes)
    if checks:
        yield f"for (int lane = 0; lane < {LANES} && status; ++lane) {{"
        for statement in outputs:
            yield from indent(_poison(statement, lanes))
        yield "}"
    yield "return status;" if checks else "return 0;"


def _loaded(lanes: Lanes) -> list[Input]:
    """The inputs with a row, of which the strip keeps a copy."""
    phase = lanes.strips.phase
    entries = [e for loop in phase.loops for s in loop.statements for e in reads(s)]
    labels = lanes.frame.labels

    def is_copied(name: str) -> bool:
        plain = (e for e in entries if e.tensor.name == name)
        return name in labels or any(all(isinstance(i, Index) for i in e.indices) for e in plain)

    return [
        given
        for given in lanes.frame.plan.kernel.inputs
        if given.tensor.axes and given.tensor.axes[0] == lanes.row.axis and is_copied(given.name)
    ]


def _load(given: Input, lanes: Lanes) -> Iterator[str]:
    """The strip's copy of an input; numbers of whole strips are read where they are."""
    name, axes, label = given.name, given.tensor.axes, given.tensor.label
    plain, real = lanes.frame.names[name], lanes.frame.real
    if label is not None:
        at = lanes.frame.lookups.get(name)
        kind = lanes.label_type(label, at is not None)
        yield from padded(f"{plain}_given", plain, "int64_t")
        yield f"{kind} {plain}_lanes[{LANES}];"
        if at is not None:
            yield f"{kind} {at}_lanes[{LANES}];"
        yield "PM_SIMD(reduction(| : status))"
        yield f"{EACH_LANE} {{"
        yield f"    const int64_t label = {plain}_given[lane];"
        yield f"    const int bad = {is_wrong(given, 'label', lanes.frame)};"
        yield "    wrong[lane] |= bad;"
        yield "    status |= bad;"
        yield f"    {plain}_lanes[lane] = ({kind})(bad ? 0 : label);"
        if at is not None:
            yield f"    {at}_lanes[lane] = label < 0 || label >= {label} ? 0 : label;"
        yield "}"
    elif len(axes) == 1:
        yield from padded(f"{plain}_lanes", plain, real)
    else:
        yield f"{real} {plain}_lanes[PM_FEW * {LANES}];"
        yield from turned_in(plain, axes[1].name, lanes.frame.leading[name], SUFFIX[real])


def _room(statement: Map | Reduce, lanes: Lanes) -> Iterator[str]:
    """The strip's array for what a statement computes: the caller's own, where it can be."""
    name, real = lanes.frame.names[statement.name], lanes.frame.real
    if len(statement.indices) == 2:
        yield f"{real} {name}_lanes[PM_FEW * {LANES}];"
    elif lanes.is_direct(statement):
        yield f"{real} {name}_rest[{LANES}];"
        yield f"{real} *const {name}_lanes = count < {LANES} ? {name}_rest : {name} + first;"
    else:
        yield f"{real} {name}_lanes[{LANES}];"


def _loop(loop: Loop, lanes: Lanes) -> Iterator[str]:
    names, real = lanes.frame.names, lanes.frame.real
    reductions = [s for s in loop.statements if isinstance(s, Reduce)]
    for s in reductions:
        start = START[s.op].replace("real", real)
        yield f"{EACH_LANE} {names[s.name]}_lanes[lane] = {start};"
    stores: list[str] = []
    if loop.indices:
        index = loop.indices[0]
        yield f"for (int {index.name} = 0; {index.name} < {index.axis.name}; ++{index.name}) {{"
    body = [line for s in loop.statements for line in _element(s, loop, lanes, stores)]
    # Last, since a result may lie in the memory of an input.
    body += stores
    depth = 1 if loop.indices else 0
    yield "    " * depth + "PM_SIMD()"
    yield "    " * depth + EACH_LANE + " {"
    yield from indent(body, depth + 1)
    yield "    " * depth + "}"
    if loop.indices:
        yield "}"


def _element(statement: Map | Reduce, loop: Loop, lanes: Lanes, stores: list[str]) -> Iterator[str]:
    name, real = lanes.frame.names[statement.name], lanes.frame.real
    text = lanes.writer(loop)(statement.expr)
    if isinstance(statement, Reduce):
        cell = f"{name}_lanes[lane]"
        if statement.op in ("sum", "prod"):
            yield f"{cell} {SIGNS[statement.op]}= {text};"
        else:
            sign = ">" if statement.op == "max" else "<"
            yield f"const {real} {name}_next = {text};"
            here = f"{name}_next"
            yield f"{cell} = {here} {sign} {cell} || {here} != {here} ? {here} : {cell};"
        return
    yield f"const {real} {name}_now = {text};"
    if lanes.keeps(statement):
        entry = Entry(defines(statement), *statement.indices)
        stores.append(f"{lanes.cell(entry)} = {lanes.scale(statement)}{name}_now;")


def _store(statement: Map | Reduce, lanes: Lanes) -> Iterator[str]:
    """To the caller, what is not there yet."""
    name = lanes.frame.names[statement.name]
    if len(statement.indices) == 2:
        size = statement.indices[1].axis.name
        yield from turned_out(
            name, size, lanes.frame.leading[statement.name], SUFFIX[lanes.frame.real]
        )
        return
    scale = "" if isinstance(statement, Map) else lanes.scale(statement)
    test = f" && count < {LANES}" if lanes.is_direct(statement) else ""
    yield f"for (int lane = 0; lane < count{test}; ++lane)"
    yield f"    {name}[first + lane] = {scale}{name}_lanes[lane];"


def _poison(statement: Map | Reduce, lanes: Lanes) -> Iterator[str]:
    """NaN for every result of a row whose label is out of range."""
    name, nan = lanes.frame.names[statement.name], f"({lanes.frame.real})NAN"
    if len(statement.indices) == 2:
        stride = lanes.frame.leading[statement.name]
        yield f"for (int k = 0; k < {statement.indices[1].axis.name} && wrong[lane]; ++k)"
        yield f"    {name}[(first + lane) * {stride} + k] = {nan};"
    else:
        yield "if (wrong[lane])"
        yield f"    {name}[first + lane] = {nan};"
