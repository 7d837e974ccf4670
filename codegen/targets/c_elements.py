"""The innermost loop of a nest as lines of C: what it does at each element, and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sympy import Expr

from codegen.kernel import Map, Reduce, reads
from codegen.schedule import Loop, Phase
from codegen.targets.c_frame import SIGNS, START, Frame, indent, store
from derive.index import Choice, Condition, Entry, free_indices


@dataclass(frozen=True)
class Inner:
    """A loop over elements: its sums, its directive, its body, and what comes after the row."""

    index: str
    real: str
    sums: tuple[tuple[str, str], ...]
    head: str
    body: tuple[str, ...]
    fixes: tuple[str, ...]

    def loop(self, start: str, end: str) -> Iterator[str]:
        """The loop alone."""
        yield self.head
        yield f"for (int64_t {self.index} = {start}; {self.index} < {end}; ++{self.index}) {{"
        yield from indent(self.body)
        yield "}"

    def block(self) -> Iterator[str]:
        """The loop from `block` to `end`, its sums added to those of the row."""
        for name, op in self.sums:
            yield f"{self.real} {name}_part = {START[op]};"
        yield from self.loop("block", "end")
        for name, op in self.sums:
            yield f"{name}_all {SIGNS[op]}= {name}_part;"


def inner_of(loop: Loop, phase: Phase, frame: Frame) -> Inner:
    """The innermost loop, with the statements of the whole nest."""
    reductions = [s for s in loop.statements if isinstance(s, Reduce)]
    sums = [(frame.names[s.name], s.op) for s in reductions if s.op in ("sum", "prod")]
    fixes: list[str] = []
    stores: list[str] = []
    body = [
        line
        for s in loop.statements
        for line in _element_lines(s, loop, phase, frame, stores, fixes)
    ]
    head = f"PM_SIMD({' '.join(_clause(s, frame) for s in reductions)})"
    # The stores last, since a result may lie in the memory of an input.
    lines = (*body, *stores)
    return Inner(loop.indices[-1].name, frame.real, tuple(sums), head, lines, tuple(fixes))


def block_head(size: str, step: str) -> Iterator[str]:
    """The loop over the blocks of a row."""
    yield f"for (int64_t block = 0; block < {size}; block += {step}) {{"
    yield f"    const int64_t end = {size} - block < {step} ? {size} : block + {step};"


def started(reduction: Reduce, frame: Frame) -> Iterator[str]:
    """The accumulators of a reduction."""
    name = frame.names[reduction.name]
    if reduction.op in ("sum", "prod"):
        yield f"double {name}_all = {START[reduction.op]};"
    else:
        start = START[reduction.op].replace("real", frame.real)
        yield f"{frame.real} {name}_all = {start};"
        yield f"int {name}_nan = 0;"


def finished(reduction: Reduce, phase: Phase, frame: Frame) -> Iterator[str]:
    """What was accumulated, as a number of the row or where the caller finds it."""
    name = frame.names[reduction.name]
    value = f"{name}_all"
    if reduction.op in ("max", "min"):
        value = f"{name}_nan ? ({frame.real})NAN : {value}"
    if frame.plan.rooms[reduction.name] == "scalar":
        yield f"const double {name} = {value};"
    else:
        yield store(reduction.name, reduction.indices, value, phase, frame)


def _clause(reduction: Reduce, frame: Frame) -> str:
    name = frame.names[reduction.name]
    if reduction.op in ("sum", "prod"):
        return f"reduction({SIGNS[reduction.op]} : {name}_part)"
    return f"reduction({SIGNS[reduction.op]} : {name}_all) reduction(| : {name}_nan)"


def _element_lines(
    statement: Map | Reduce,
    loop: Loop,
    phase: Phase,
    frame: Frame,
    stores: list[str],
    fixes: list[str],
) -> Iterator[str]:
    """What a statement does for one element; `fixes` takes what is done after the loop."""
    write = frame.writer(phase, frame.real, loop)
    name = frame.names[statement.name]
    if isinstance(statement, Reduce):
        text = write(statement.expr)
        if statement.op in ("sum", "prod"):
            yield f"{name}_part {SIGNS[statement.op]}= {text};"
        else:
            sign = ">" if statement.op == "max" else "<"
            yield f"const {frame.real} {name}_next = {text};"
            yield f"{name}_all = {name}_next {sign} {name}_all ? {name}_next : {name}_all;"
            yield f"{name}_nan |= {name}_next != {name}_next;"
        return
    expr = statement.expr
    stored = frame.plan.rooms[statement.name] != "local"
    read_here = any(e.tensor.name == statement.name for s in loop.statements for e in reads(s))
    found = at_label(expr, statement, phase) if stored and not read_here else None
    if found is not None:
        label, value, expr = found
        places = [*(i.name for i in statement.indices[:-1]), frame.place(label, phase)]
        scale = "scale * " if statement.name in frame.scaled else ""
        text = frame.writer(phase, "double")(value)
        fixes.append(f"{frame.cell(statement.name, places)} = ({frame.real})({scale}({text}));")
    yield f"const {frame.real} {name}_now = {write(expr)};"
    if stored:
        scale = ""
        if statement.name in frame.scaled:
            scale = "scale * " if frame.real == "double" else "(float)scale * "
        cell = frame.cell(statement.name, [i.name for i in statement.indices])
        stores.append(f"{cell} = {scale}{name}_now;")


def at_label(expr: Expr, statement: Map, phase: Phase) -> tuple[Entry, Expr, Expr] | None:
    """(label, value there, value elsewhere), where one element of the last axis is different."""
    if not isinstance(expr, Choice) or len(statement.indices) != 2 or phase.row is None:
        return None
    condition, value, otherwise = expr.args
    if not isinstance(condition, Condition) or condition.op != "==":
        return None
    sides = condition.operands
    for index, label in (sides, sides[::-1]):
        is_label = isinstance(label, Entry) and label.tensor.label is not None
        if index != statement.indices[-1] or not is_label:
            continue
        if free_indices(label) <= {phase.row} and free_indices(value) <= {phase.row}:
            return label, value, otherwise
    return None
