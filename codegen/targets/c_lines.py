"""A phase as lines of C: loops, accumulators and stores."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.kernel import Map, Reduce
from codegen.schedule import Loop, Phase, Sum
from codegen.targets.c_elements import block_head, finished, inner_of, started
from codegen.targets.c_frame import Frame, indent, store
from codegen.targets.c_labels import label_checks, poison
from codegen.targets.c_online import brought_down, one_pass, reads_exponentials
from codegen.targets.c_sums import sum_over_rows
from derive.index import Entry


def phase_lines(phase: Phase | Sum, frame: Frame) -> Iterator[str]:
    """One phase: a parallel loop over its rows, or over strips of a sum's result."""
    if isinstance(phase, Sum):
        yield from sum_over_rows(phase, frame)
    elif phase.row is None:
        yield "{"
        for loop in phase.loops:
            yield from indent(_loop_lines(loop, phase, frame))
        yield "}"
    else:
        checks = label_checks(phase, frame)
        indices = {i for loop in phase.loops for i in loop.indices if i != phase.row}
        work = frame.work((phase.row, *sorted(indices, key=lambda i: i.name)))
        yield f"PM_PARALLEL({work}, {'reduction(| : status)' if checks else ''})"
        yield frame.rows(phase.row) + " {"
        yield from indent(checks)
        yield from indent(_scratch(phase, frame))
        yield from indent(_row_lines(phase, frame))
        if checks:
            yield from indent(poison(phase, frame))
        yield "}"


def _scratch(phase: Phase, frame: Frame) -> Iterator[str]:
    """Pointers to this thread's rows of scratch."""
    for statement in (s for loop in phase.loops for s in loop.statements):
        if frame.plan.rooms[statement.name] == "row":
            name = frame.names[statement.name]
            size = " * ".join(i.axis.name for i in statement.indices[1:])
            yield f"{frame.real} *const {name} = {name}_rows + PM_THREAD * ({size});"


# Loops


def _row_lines(phase: Phase, frame: Frame) -> Iterator[str]:
    """The loops of a row, one after the other, or two in one pass."""
    online = phase.online
    for at, loop in enumerate(phase.loops):
        if online and at == online.at:
            yield from one_pass(online, phase, frame)
        elif online and at > online.at + 1 and reads_exponentials(loop, online):
            yield from brought_down(loop, online, phase, frame)
        elif not online or at != online.at + 1:
            yield from _loop_lines(loop, phase, frame)


def _loop_lines(loop: Loop, phase: Phase, frame: Frame) -> Iterator[str]:
    if not loop.indices:
        for statement in loop.statements:
            assert isinstance(statement, Map)
            yield from _number_lines(statement, phase, frame)
        return
    if any(isinstance(s, Reduce) and s.op == "argmax" for s in loop.statements):
        yield from _search_lines(loop, phase, frame)
        return
    yield from _nest(loop, 0, phase, frame)


def _number_lines(statement: Map, phase: Phase, frame: Frame) -> Iterator[str]:
    """A number of the row, computed and kept in double."""
    real = frame.real if statement.name in frame.plan.elements else "double"
    text = frame.writer(phase, real)(statement.expr)
    if frame.plan.rooms[statement.name] == "scalar":
        if isinstance(statement.expr, Entry) and statement.expr.tensor.label is not None:
            label = frame.place(statement.expr, phase)
            yield f"const int64_t {frame.names[statement.name]} = {label};"
        else:
            yield f"const double {frame.names[statement.name]} = {text};"
    else:
        yield store(statement.name, statement.indices, text, phase, frame)


def _nest(loop: Loop, depth: int, phase: Phase, frame: Frame) -> Iterator[str]:
    """The loop over its index number `depth`, with the accumulators that start there."""
    index = loop.indices[depth]
    here = [s for s in loop.statements if isinstance(s, Reduce) and _own(s, phase) == depth]
    for reduction in here:
        yield from started(reduction, frame)
    if depth == len(loop.indices) - 1:
        yield from _innermost(loop, phase, frame)
    else:
        yield f"for (int64_t {index.name} = 0; {index.name} < {index.axis.name}; ++{index.name}) {{"
        yield from indent(_nest(loop, depth + 1, phase, frame))
        yield "}"
    for reduction in here:
        yield from finished(reduction, phase, frame)


def _own(statement: Map | Reduce, phase: Phase) -> int:
    """How many of the loop's indices the statement's result has."""
    return len(statement.indices) - (phase.row is not None)


def _innermost(loop: Loop, phase: Phase, frame: Frame) -> Iterator[str]:
    """The vectorised loop; sums run in blocks, which are added up in double."""
    size = loop.indices[-1].axis.name
    inner = inner_of(loop, phase, frame)
    if inner.sums:
        yield from block_head(size, "PM_BLOCK")
        yield from indent(inner.block())
        yield "}"
    else:
        yield from inner.loop("0", size)
    yield from inner.fixes


def _search_lines(loop: Loop, phase: Phase, frame: Frame) -> Iterator[str]:
    """The first place of the maximum, or of a NaN."""
    for statement in loop.statements:
        if not isinstance(statement, Reduce) or statement.op != "argmax":
            yield from _nest(Loop(loop.indices, (statement,)), 0, phase, frame)
            continue
        (index,) = loop.indices
        name, size = frame.names[statement.name], index.axis.name
        yield f"int64_t {name} = 0;"
        yield f"{frame.real} {name}_best = -({frame.real})INFINITY;"
        yield f"for (int64_t {index.name} = 0; {index.name} < {size}; ++{index.name}) {{"
        here, best = f"{name}_next", f"{name}_best"
        text = frame.writer(phase, frame.real)(statement.expr)
        yield f"    const {frame.real} {here} = {text};"
        yield f"    if ({here} > {best} || ({here} != {here} && {best} == {best})) {{"
        yield f"        {name} = {index.name};"
        yield f"        {name}_best = {name}_next;"
        yield "    }"
        yield "}"
