"""The schedule of a kernel for Triton, and which kernels fit it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.kernel import Contract, Kernel, Map, Reduce, Statement, defines, reads
from codegen.schedule import Phase, Schedule, Sum
from codegen.schedule.by_rows import by_rows
from codegen.schedule.chunks import in_chunks
from codegen.schedule.loops import loops_of
from codegen.schedule.phases import phases_of
from codegen.schedule.prepare import prepare
from codegen.schedule.rooms import names_read, rooms_of
from codegen.targets.target import Misfit
from derive.index import Axis, Entry, Index

INSTEAD = "use target='torch'"


@dataclass(frozen=True)
class Plan:
    """A schedule whose rows are those of the batch; the arrays that carry a row's scale; the
    arrays of all rows that may be written into the memory of another; and the phases that are the
    same for all rows, and come first."""

    schedule: Schedule
    batch: Axis
    scaled: frozenset[str]
    over: dict[str, str]
    once: tuple[Phase | Sum, ...]


def plan_of(kernel: Kernel) -> Plan:
    """The plan.  Raises Misfit where rows do not suffice."""
    if kernel.batch is None:
        raise Misfit(f"target triton: {kernel.name} joins the rows of its batch; {INSTEAD}")
    prepared, elements = prepare(kernel, products=True)
    prepared, scaled = by_rows(prepared)
    phases = _sums_apart(phases_of(prepared), kernel.batch)
    rooms, hosts = rooms_of(prepared, phases)
    once = _once(phases, kernel.batch)
    wide = any(rooms.get(s.name) == "array" and len(s.indices) == 2 for s in prepared.statements)
    chunked = wide and in_chunks(prepared, tuple(phase for phase in phases if phase not in once))
    schedule = Schedule(prepared, phases, rooms, hosts, elements, chunked)
    reason = next(_misfits(schedule, kernel.batch), "")
    if reason:
        raise Misfit(f"target triton: {kernel.name}: {reason}; {INSTEAD}")
    return Plan(schedule, kernel.batch, scaled, dict(_overwritten(schedule)), once)


def _sums_apart(phases: tuple[Phase | Sum, ...], batch: Axis) -> tuple[Phase | Sum, ...]:
    """The phases, sums over the batch that give one number apart from what is computed once."""
    found: list[Phase | Sum] = []
    for phase in phases:
        if isinstance(phase, Sum) or phase.row is not None:
            found.append(phase)
            continue
        for statement in (s for loop in phase.loops for s in loop.statements):
            if isinstance(statement, Reduce) and any(i.axis == batch for i in statement.over):
                found.append(Sum(statement))
            elif found and isinstance(found[-1], Phase) and found[-1].row is None:
                before = [s for loop in found[-1].loops for s in loop.statements]
                found[-1] = Phase(None, loops_of([*before, statement], False))
            else:
                found.append(Phase(None, loops_of([statement], False)))
    return tuple(found)


def _once(phases: tuple[Phase | Sum, ...], batch: Axis) -> tuple[Phase | Sum, ...]:
    """The phases in which nothing is read of a row: they are the same for all of them."""
    found: list[Phase | Sum] = []
    of_rows: set[str] = set()
    for phase in phases:
        made = statements_of(phase)
        axes = [e.tensor.axes for s in made for e in reads(s)] + [defines(s).axes for s in made]
        if any(batch in of for of in axes) or not of_rows.isdisjoint(names_read(phase)):
            of_rows |= {s.name for s in made}
        else:
            found.append(phase)
    return tuple(found)


def statements_of(phase: Phase | Sum) -> tuple[Statement, ...]:
    """The statements of a phase, in order."""
    if isinstance(phase, Sum):
        return (phase.statement,)
    return tuple(s for loop in phase.loops for s in loop.statements)


def _misfits(schedule: Schedule, batch: Axis) -> Iterator[str]:
    """Why a schedule does not fit: each reason names the array."""
    for given in schedule.kernel.inputs:
        is_label = given.tensor.label is not None and not given.is_mark
        if is_label and given.tensor.axes != (batch,):
            yield f"{given.name} has other labels than one a row"
    for phase in schedule.phases:
        if isinstance(phase, Phase):
            for statement in (s for loop in phase.loops for s in loop.statements):
                yield from _misfit(statement, phase, schedule)
        elif not _is_plain_sum(phase.statement, batch):
            yield f"the sum {phase.statement.name} reads more than plain arrays"


def _misfit(statement: Map | Reduce, phase: Phase, schedule: Schedule) -> Iterator[str]:
    name, batch = statement.name, schedule.kernel.batch
    axis = None if phase.row is None else phase.row.axis
    if axis != batch and schedule.rooms[name] == "output":
        yield f"{name} is the same for all rows"
    dims = (*statement.indices, *statement.over)
    own_dims = dims if axis is None else dims[1:]
    if len(own_dims) > 1:
        axes = ", ".join(str(i.axis) for i in dims)
        yield f"{name} takes loops over {axes} inside one another"
    own = {s.name: s for loop in phase.loops for s in loop.statements}
    for entry in reads(statement):
        made = own.get(entry.tensor.name)
        if made is not None and entry.indices != _at(made, dims):
            yield f"{name} reads other elements of {entry.tensor.name} than its own"
        if any(i.axis == batch and i != phase.row for i in entry.indices if isinstance(i, Index)):
            yield f"{name} reads other rows of {entry.tensor.name}"


def _at(made: Map | Reduce, dims: tuple[Index, ...]) -> tuple[Index, ...]:
    return made.indices if len(made.indices) < 2 else dims


def _is_plain_sum(statement: Statement, batch: Axis) -> bool:
    """Whether it sums products of whole arrays."""
    if isinstance(statement, Contract):
        return True
    is_sum = isinstance(statement, Reduce) and statement.op == "sum"
    if not is_sum or not isinstance(statement, Reduce):
        return False
    expr, wanted = statement.expr, (*statement.over, *statement.indices)
    return isinstance(expr, Entry) and expr.indices == wanted and statement.over[0].axis == batch


def _overwritten(schedule: Schedule) -> Iterator[tuple[str, str]]:
    """An array that is written last into the memory of one that is read no longer."""
    made = {p.statement.name: p.statement for p in schedule.phases if isinstance(p, Sum)}
    free = {n for n, s in made.items() if schedule.rooms[n] == "array" and len(s.indices) == 2}
    for at, phase in enumerate(schedule.phases):
        if not isinstance(phase, Phase):
            continue
        later = frozenset[str]().union(*map(names_read, schedule.phases[at + 1 :]))
        before = frozenset(s.name for s in map(_sum_of, schedule.phases[:at]) if s)
        for end, loop in enumerate(phase.loops):
            for statement in loop.statements:
                fits = schedule.rooms[statement.name] == "array" and isinstance(statement, Map)
                if not fits or len(statement.indices) != 2:
                    continue
                for name in sorted((free & before) - later):
                    same = defines(made[name]).axes == defines(statement).axes
                    if same and _done_with(name, phase, end, statement):
                        free.discard(name)
                        yield statement.name, name
                        break


def _sum_of(phase: Phase | Sum) -> Statement | None:
    return phase.statement if isinstance(phase, Sum) else None


def _done_with(name: str, phase: Phase, end: int, writer: Map | Reduce) -> bool:
    """Whether `name` is read no later than where it is overwritten, and there at its element."""
    for at, loop in enumerate(phase.loops):
        for entry in (e for s in loop.statements for e in reads(s) if e.tensor.name == name):
            if at > end or (at == end and entry.indices != writer.indices):
                return False
    return True
