"""A phase as lines of a Numba function: loops, accumulators and stores."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Mul

from codegen.kernel import Contract, Map, Reduce, reads
from codegen.schedule import Loop, Phase, Sum
from codegen.targets.c_elements import at_label
from codegen.targets.numba_frame import Frame, indent, loop_over
from derive.index import Entry

BLOCK = 1024
LANES = 64


def phase_lines(phase: Phase, frame: Frame) -> Iterator[str]:
    """The rows from `first` to `end`; without a row, what is computed once."""
    yield from _scratch(phase, frame)
    body = [line for loop in phase.loops for line in _loop_lines(loop, phase, frame)]
    if phase.row is None:
        yield from body
        return
    yield "for row_at in range(first, end):"
    yield "    row = np.uintp(row_at)"
    yield from indent(body)


def _scratch(phase: Phase, frame: Frame) -> Iterator[str]:
    """Rows of scratch, and room for the elements of a block."""
    wide: set[str] = set()
    for statement in (s for loop in phase.loops for s in loop.statements):
        name = frame.names[statement.name]
        if frame.plan.rooms[statement.name] == "row":
            shape = ", ".join(i.axis.name for i in statement.indices[1:])
            yield f"{name} = np.empty(({shape},), {frame.real})"
        if isinstance(statement, Reduce) and statement.op != "argmax":
            yield f"{name}_part = np.empty({BLOCK}, {frame.real})"
            wide.add("f64" if statement.op in ("sum", "prod") else frame.real)
    for real in sorted(wide):
        yield f"lanes_{real} = np.empty({LANES}, {real})"


def _loop_lines(loop: Loop, phase: Phase, frame: Frame) -> Iterator[str]:
    if not loop.indices:
        for statement in loop.statements:
            assert isinstance(statement, Map)
            yield from _number_lines(statement, frame)
    elif any(isinstance(s, Reduce) and s.op == "argmax" for s in loop.statements):
        yield from _search_lines(loop, phase, frame)
    else:
        yield from _nest(loop, 0, phase, frame)


def _number_lines(statement: Map, frame: Frame) -> Iterator[str]:
    """A number of the row, computed and kept in double."""
    real = frame.real if statement.name in frame.plan.elements else "f64"
    text = frame.writer(real)(statement.expr)
    if frame.plan.rooms[statement.name] != "scalar":
        yield frame.store(statement.name, statement.indices, text)
    elif isinstance(statement.expr, Entry) and statement.expr.tensor.label is not None:
        yield f"{frame.names[statement.name]} = {frame.place(statement.expr)}"
    else:
        yield f"{frame.names[statement.name]} = f64({text})"


def _nest(loop: Loop, depth: int, phase: Phase, frame: Frame) -> Iterator[str]:
    """The loop over its index number `depth`, with the accumulators that start there."""
    here = [s for s in loop.statements if isinstance(s, Reduce) and _own(s, phase) == depth]
    for reduction in here:
        yield f"{frame.names[reduction.name]}_all = {frame.start(reduction.op)}"
    if depth == len(loop.indices) - 1:
        yield from _innermost(loop, phase, frame)
    else:
        yield from loop_over(loop.indices[depth])
        yield from indent(_nest(loop, depth + 1, phase, frame))
    for reduction in here:
        name = frame.names[reduction.name]
        if frame.plan.rooms[reduction.name] == "scalar":
            yield f"{name} = f64({name}_all)"
        else:
            yield frame.store(reduction.name, reduction.indices, f"{name}_all")


def _own(statement: Map | Reduce, phase: Phase) -> int:
    """How many of the loop's indices the statement's result has."""
    return len(statement.indices) - (phase.row is not None)


def _innermost(loop: Loop, phase: Phase, frame: Frame) -> Iterator[str]:
    """The vectorised loop; what is reduced is kept for a block, and then folded."""
    index = loop.indices[-1]
    reductions = [s for s in loop.statements if isinstance(s, Reduce)]
    fixes: list[str] = []
    stores: list[str] = []
    body = [
        line
        for s in loop.statements
        for line in _element_lines(s, loop, phase, frame, stores, fixes)
    ]
    # Last, since a result may lie in the memory of an input.
    body += stores
    if not reductions:
        yield from loop_over(index)
        yield from indent(body)
        yield from fixes
        return
    yield f"for block in range(0, {index.axis.name}, {BLOCK}):"
    yield f"    count = min({BLOCK}, {index.axis.name} - block)"
    yield "    for lane in range(count):"
    yield f"        {index.name} = np.uintp(block + lane)"
    yield from indent(body, 2)
    for reduction in reductions:
        yield f"    {_folded(reduction, frame)}"
    yield from fixes


def _folded(reduction: Reduce, frame: Frame) -> str:
    """The line that adds a block to a reduction."""
    name, op = frame.names[reduction.name], reduction.op
    if op in ("sum", "prod"):
        sign = "+" if op == "sum" else "*"
        return f"{name}_all {sign}= _{op}_{frame.real}({name}_part, count, lanes_f64)"
    both = "largest" if op == "max" else "smallest"
    block = f"_{op}_{frame.real}({name}_part, count, lanes_{frame.real})"
    return f"{name}_all = _{both}_{frame.real}({name}_all, {block})"


def _element_lines(
    statement: Map | Reduce,
    loop: Loop,
    phase: Phase,
    frame: Frame,
    stores: list[str],
    fixes: list[str],
) -> Iterator[str]:
    """What a statement does for one element; `fixes` takes what is done after the loop."""
    write = frame.writer(frame.real, loop)
    name = frame.names[statement.name]
    if isinstance(statement, Reduce):
        yield f"{name}_part[lane] = {write(statement.expr)}"
        return
    expr = statement.expr
    stored = frame.plan.rooms[statement.name] != "local"
    read_here = any(e.tensor.name == statement.name for s in loop.statements for e in reads(s))
    found = at_label(expr, statement, phase) if stored and not read_here else None
    if found is not None:
        label, value, expr = found
        places = [*(i.name for i in statement.indices[:-1]), frame.place(label)]
        scale = "scale * " if statement.name in frame.scaled else ""
        text = frame.writer("f64")(value)
        fixes.append(f"{frame.cell(statement.name, places)} = {frame.real}({scale}({text}))")
    yield f"{name}_now = {write(expr)}"
    if stored:
        scale = f"{frame.real}(scale) * " if statement.name in frame.scaled else ""
        cell = frame.cell(statement.name, [i.name for i in statement.indices])
        stores.append(f"{cell} = {scale}{name}_now")


def _search_lines(loop: Loop, phase: Phase, frame: Frame) -> Iterator[str]:
    """The first place of the maximum, or of a NaN."""
    for statement in loop.statements:
        if not isinstance(statement, Reduce) or statement.op != "argmax":
            yield from _nest(Loop(loop.indices, (statement,)), 0, phase, frame)
            continue
        (index,) = loop.indices
        name = frame.names[statement.name]
        here, best = f"{name}_next", f"{name}_best"
        yield f"{name} = np.uintp(0)"
        yield f"{best} = {frame.start('max')}"
        yield from loop_over(index)
        yield f"    {here} = {frame.writer(frame.real)(statement.expr)}"
        yield f"    if {here} > {best} or ({here} != {here} and {best} == {best}):"
        yield f"        {name} = {index.name}"
        yield f"        {best} = {here}"


def sum_lines(phase: Sum, frame: Frame) -> Iterator[str]:
    """Places `first` to `end` of the last axis of a sum over rows, at `outer` of the first axis:
    each is summed in double, in the order of the rows, whatever the number of threads."""
    statement = phase.statement
    if isinstance(statement, Contract):
        product = Mul(*statement.operands)
        statement = Reduce(statement.name, statement.indices, "sum", statement.over, product)
    *outer, last = statement.indices
    name = f"{frame.names[statement.name]}_all"
    yield f"{name} = np.empty(end - first, f64)"
    if outer:
        yield f"{outer[0].name} = np.uintp(outer)"
    depth = 0
    for index in outer[1:]:
        yield from indent(loop_over(index), depth)
        depth += 1
    yield "    " * depth + f"{name}[:] = {frame.start(statement.op)}"
    deep = depth
    for index in statement.over:
        yield from indent(loop_over(index), deep)
        deep += 1
    text = frame.writer(frame.real)(statement.expr)
    element = ["for lane in range(end - first):", f"    {last.name} = np.uintp(first + lane)"]
    yield from indent((*element, f"    {_added(f'{name}[lane]', statement.op, text)}"), deep)
    result = frame.store(statement.name, statement.indices, f"{name}[lane]")
    yield from indent((*element, f"    {result}"), depth)


def _added(total: str, op: str, text: str) -> str:
    """The line that takes one more number into a reduction, in double."""
    if op in ("sum", "prod"):
        return f"{total} {'+' if op == 'sum' else '*'}= {text}"
    return f"{total} = _{'largest' if op == 'max' else 'smallest'}_f64({total}, f64({text}))"
