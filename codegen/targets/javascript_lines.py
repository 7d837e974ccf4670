"""A phase as lines of JavaScript: loops, accumulators and stores, row by row.

Sums keep what each addition rounds away: the additions wait for each other anyway.
"""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Expr, Mul

from codegen.kernel import Contract, Map, Reduce, reads
from codegen.schedule import Loop, Phase, Sum
from codegen.targets.c_elements import at_label
from codegen.targets.javascript_frame import Frame, indent
from derive.index import Choice, Entry, Index

START = {"sum": "0", "prod": "1", "max": "-Infinity", "min": "Infinity"}


def phase_lines(phase: Phase | Sum, frame: Frame) -> Iterator[str]:
    """One phase: its rows one after the other, or a sum over the rows of earlier phases."""
    lines = list(_sum_lines(phase, frame) if isinstance(phase, Sum) else _row_lines(phase, frame))
    if lines[0].startswith("for "):
        yield from lines
        return
    yield "{"
    yield from indent(lines)
    yield "}"


def _row_lines(phase: Phase, frame: Frame) -> Iterator[str]:
    for statement in (s for loop in phase.loops for s in loop.statements):
        if frame.plan.rooms[statement.name] == "row":
            size = frame.size([i.axis for i in statement.indices[1:]])
            yield f"const {frame.names[statement.name]} = new Float64Array({size});"
    body = [line for loop in phase.loops for line in _loop_lines(loop, phase, frame)]
    if phase.row is None:
        yield from body
        return
    yield frame.loop_over(phase.row)
    yield from indent(body)
    yield "}"


# Loops


def _loop_lines(loop: Loop, phase: Phase, frame: Frame) -> Iterator[str]:
    if not loop.indices:
        for statement in loop.statements:
            assert isinstance(statement, Map)
            yield _kept(statement, frame.writer()(statement.expr), frame)
        return
    for statement in loop.statements:
        if isinstance(statement, Reduce) and statement.op == "argmax":
            yield from _search_lines(statement, frame)
    rest = tuple(s for s in loop.statements if not isinstance(s, Reduce) or s.op != "argmax")
    if rest:
        yield from _nest(Loop(loop.indices, rest), 0, phase, frame)


def _kept(statement: Map | Reduce, text: str, frame: Frame) -> str:
    """A number of the row, by its own name or in an array."""
    if frame.plan.rooms[statement.name] == "scalar":
        return f"const {frame.names[statement.name]} = {text};"
    return frame.store(statement.name, statement.indices, text)


def _nest(loop: Loop, depth: int, phase: Phase, frame: Frame) -> Iterator[str]:
    """The loop over its index number `depth`, with the accumulators that start there."""
    here = [s for s in loop.statements if isinstance(s, Reduce) and _own(s, phase) == depth]
    for reduction in here:
        name = frame.names[reduction.name]
        lost = f", {name}_lost = 0" if _is_compensated(reduction) else ""
        yield f"let {name}_all = {START[reduction.op]}{lost};"
    fixes: list[str] = []
    yield frame.loop_over(loop.indices[depth])
    if depth == len(loop.indices) - 1:
        yield from indent(_innermost(loop, phase, frame, fixes))
    else:
        yield from indent(_nest(loop, depth + 1, phase, frame))
    yield "}"
    yield from fixes
    for reduction in here:
        name = frame.names[reduction.name]
        value = f"{name}_all"
        if _is_compensated(reduction):
            value = f"_total({name}_all, {name}_lost)"
        yield _kept(reduction, value, frame)


def _own(statement: Map | Reduce, phase: Phase) -> int:
    """How many of the loop's indices the statement's result has."""
    return len(statement.indices) - (phase.row is not None)


def _innermost(loop: Loop, phase: Phase, frame: Frame, fixes: list[str]) -> Iterator[str]:
    """What is done for one element; `fixes` takes what is done after the loop."""
    stores: list[str] = []
    for statement in loop.statements:
        if isinstance(statement, Reduce):
            text = frame.writer(loop)(statement.expr)
            yield from _added(statement, frame.names[statement.name], text)
        else:
            yield from _element_lines(statement, loop, phase, frame, stores, fixes)
    # Last, since a result may lie in the memory of an input.
    yield from stores


def _is_compensated(reduction: Reduce) -> bool:
    """Whether additions may round: they do not where whole numbers are counted."""
    expr = reduction.expr
    counts = isinstance(expr, Choice) and all(arg.is_Integer for arg in expr.args[1:])
    return reduction.op == "sum" and not counts


def _added(reduction: Reduce, name: str, text: str) -> Iterator[str]:
    """The lines that take one more number into a reduction."""
    op = reduction.op
    if _is_compensated(reduction):
        yield f"const {name}_term = {text};"
        yield f"const {name}_next = {name}_all + {name}_term;"
        yield f"{name}_lost += _lost({name}_all, {name}_term, {name}_next);"
        yield f"{name}_all = {name}_next;"
    elif op in ("sum", "prod"):
        yield f"{name}_all {'+' if op == 'sum' else '*'}= {text};"
    else:
        next_, sign = f"{name}_next", ">" if op == "max" else "<"
        yield f"const {next_} = {text};"
        yield f"if ({next_} {sign} {name}_all || {next_} !== {next_}) {name}_all = {next_};"


def _element_lines(
    statement: Map,
    loop: Loop,
    phase: Phase,
    frame: Frame,
    stores: list[str],
    fixes: list[str],
) -> Iterator[str]:
    name, expr = frame.names[statement.name], statement.expr
    stored = frame.plan.rooms[statement.name] != "local"
    read_here = any(e.tensor.name == statement.name for s in loop.statements for e in reads(s))
    found = at_label(expr, statement, phase) if stored and not read_here else None
    if found is not None:
        label, value, expr = found
        fixes.append(_fix(statement, label, value, frame))
    yield f"const {name}_now = {frame.writer(loop)(expr)};"
    if stored:
        stores.append(frame.store(statement.name, statement.indices, f"{name}_now"))


def _fix(statement: Map, label: Entry, value: Expr, frame: Frame) -> str:
    """The line that sets the one element which is different."""
    places = [frame.place(i) for i in (*statement.indices[:-1], label)]
    scale = "scale * " if statement.name in frame.scaled else ""
    return f"{frame.cell(statement.name, places)} = {scale}({frame.writer()(value)});"


def _search_lines(statement: Reduce, frame: Frame) -> Iterator[str]:
    """The first place of the maximum, or of a NaN."""
    (index,) = statement.over
    name, letter = frame.names[statement.name], frame.letters[index.name]
    here, best = f"{name}_next", f"{name}_best"
    yield f"let {name}_all = 0, {best} = -Infinity;"
    yield frame.loop_over(index)
    yield f"  const {here} = {frame.writer()(statement.expr)};"
    yield f"  if ({here} > {best} || ({here} !== {here} && {best} === {best})) {{"
    yield f"    {name}_all = {letter};"
    yield f"    {best} = {here};"
    yield "  }"
    yield "}"
    yield _kept(Map(statement.name, statement.indices, statement.expr), f"{name}_all", frame)


# Sums over rows


def _sum_lines(phase: Sum, frame: Frame) -> Iterator[str]:
    """All elements of the result together, in the order of the rows."""
    statement = phase.statement
    if isinstance(statement, Contract):
        product = Mul(*statement.operands)
        statement = Reduce(statement.name, statement.indices, "sum", statement.over, product)
    # Only gradients are taken over the rows of a batch that the loss does not name.
    assert statement.op == "sum"
    axes = [index.axis for index in statement.indices]
    name, size = frame.names[statement.name], frame.size(axes)
    all_, lost = f"{name}_all", f"{name}_lost"
    at = frame.flat(axes, [frame.place(i) for i in statement.indices])
    yield f"const {all_} = new Float64Array({size}), {lost} = new Float64Array({size});"
    inner = [
        f"const at = {at};",
        f"const {name}_term = {frame.writer()(statement.expr)};",
        f"const {name}_next = {all_}[at] + {name}_term;",
        f"{lost}[at] += _lost({all_}[at], {name}_term, {name}_next);",
        f"{all_}[at] = {name}_next;",
    ]
    yield from _inside((*statement.over, *statement.indices), inner, frame)
    total = f"_total({all_}[at], {lost}[at])"
    stored = frame.store(statement.name, statement.indices, total)
    yield from _inside(statement.indices, [f"const at = {at};", stored], frame)


def _inside(indices: tuple[Index, ...], lines: list[str], frame: Frame) -> Iterator[str]:
    """The lines inside loops over the indices."""
    if not indices:
        yield "{"
        yield from indent(lines)
        yield "}"
        return
    for depth, index in enumerate(indices):
        yield "  " * depth + frame.loop_over(index)
    yield from indent(lines, len(indices))
    for depth in reversed(range(len(indices))):
        yield "  " * depth + "}"
