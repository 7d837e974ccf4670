"""A phase as lines of C: loops, accumulators and stores."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Expr

from codegen.kernel import Map, Reduce, reads
from codegen.schedule import Loop, Phase, Sum
from codegen.targets.c_frame import SIGNS, START, Frame, indent, store
from codegen.targets.c_labels import label_checks, poison
from codegen.targets.c_sums import sum_over_rows
from derive.index import Choice, Condition, Entry, free_indices

BLOCK = 1024


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
        yield "PM_PARALLEL(reduction(| : status))" if checks else "PM_PARALLEL()"
        yield frame.rows(phase.row) + " {"
        yield from indent(checks)
        yield from indent(_scratch(phase, frame))
        for loop in phase.loops:
            yield from indent(_loop_lines(loop, phase, frame))
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
        yield from _started(reduction, frame)
    if depth == len(loop.indices) - 1:
        yield from _innermost(loop, phase, frame)
    else:
        yield f"for (int64_t {index.name} = 0; {index.name} < {index.axis.name}; ++{index.name}) {{"
        yield from indent(_nest(loop, depth + 1, phase, frame))
        yield "}"
    for reduction in here:
        yield from _finished(reduction, phase, frame)


def _own(statement: Map | Reduce, phase: Phase) -> int:
    """How many of the loop's indices the statement's result has."""
    return len(statement.indices) - (phase.row is not None)


def _started(reduction: Reduce, frame: Frame) -> Iterator[str]:
    name = frame.names[reduction.name]
    if reduction.op in ("sum", "prod"):
        yield f"double {name}_all = {START[reduction.op]};"
    else:
        start = START[reduction.op].replace("real", frame.real)
        yield f"{frame.real} {name}_all = {start};"
        yield f"int {name}_nan = 0;"


def _finished(reduction: Reduce, phase: Phase, frame: Frame) -> Iterator[str]:
    name = frame.names[reduction.name]
    value = f"{name}_all"
    if reduction.op in ("max", "min"):
        value = f"{name}_nan ? ({frame.real})NAN : {value}"
    if frame.plan.rooms[reduction.name] == "scalar":
        yield f"const double {name} = {value};"
    else:
        yield store(reduction.name, reduction.indices, value, phase, frame)


def _innermost(loop: Loop, phase: Phase, frame: Frame) -> Iterator[str]:
    """The vectorised loop; sums run in blocks, which are added up in double."""
    index, size = loop.indices[-1].name, loop.indices[-1].axis.name
    sums = [s for s in loop.statements if isinstance(s, Reduce) and s.op in ("sum", "prod")]
    clauses = [_clause(s, frame) for s in loop.statements if isinstance(s, Reduce)]
    head = "PM_SIMD(" + " ".join(clauses) + ")" if clauses else "PM_SIMD()"
    fixes: list[str] = []
    stores: list[str] = []
    body = [
        line
        for s in loop.statements
        for line in _element_lines(s, loop, phase, frame, stores, fixes)
    ]
    # Last, since a result may lie in the memory of an input.
    body += stores
    if not sums:
        yield head
        yield f"for (int64_t {index} = 0; {index} < {size}; ++{index}) {{"
        yield from indent(body)
        yield "}"
        yield from fixes
        return
    yield f"for (int64_t block = 0; block < {size}; block += {BLOCK}) {{"
    yield f"    const int64_t end = {size} - block < {BLOCK} ? {size} : block + {BLOCK};"
    yield from indent(_prefetch(loop, phase, frame))
    for s in sums:
        yield f"    {frame.real} {frame.names[s.name]}_part = {START[s.op]};"
    yield "    " + head
    yield f"    for (int64_t {index} = block; {index} < end; ++{index}) {{"
    yield from indent(body, 2)
    yield "    }"
    for s in sums:
        name = frame.names[s.name]
        yield f"    {name}_all {SIGNS[s.op]}= {name}_part;"
    yield "}"
    yield from fixes


def _prefetch(loop: Loop, phase: Phase, frame: Frame) -> Iterator[str]:
    """While this row is computed, the next one comes from memory."""
    if phase.row is None or len(loop.indices) != 1:
        return
    index = loop.indices[0]
    given = {e.tensor.name for s in loop.statements for e in reads(s)} - set(frame.plan.rooms)
    for name in sorted(given):
        if frame.tensors[name] != (phase.row.axis, index.axis):
            continue
        line = 64 // (4 if frame.real == "float" else 8)
        yield f"if (row + 1 < {phase.row.axis.name})"
        yield f"    for (int64_t ahead = block; ahead < end; ahead += {line})"
        yield f"        PM_PREFETCH(&{frame.cell(name, ['(row + 1)', 'ahead'])});"


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
