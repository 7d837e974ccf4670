"""The schedule of a kernel for Triton, and which kernels fit it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.kernel import Contract, Kernel, Map, Reduce, Statement, defines, reads
from codegen.schedule import Phase, Schedule, Sum
from codegen.schedule.by_rows import by_rows
from codegen.schedule.chunks import in_chunks
from codegen.schedule.phases import phases_of
from codegen.schedule.prepare import prepare
from codegen.schedule.rooms import names_read, rooms_of
from codegen.targets.target import Misfit
from derive.index import Axis, Entry, Index

INSTEAD = "use target='torch'"


@dataclass(frozen=True)
class Plan:
    """A schedule whose rows are those of the batch; the arrays that carry a row's scale; and the
    arrays of all rows that may be written into the memory of another."""

    schedule: Schedule
    batch: Axis
    scaled: frozenset[str]
    over: dict[str, str]


def plan_of(kernel: Kernel) -> Plan:
    """The plan.  Raises Misfit where rows do not suffice."""
    if kernel.batch is None:
        raise Misfit(f"target triton: {kernel.name} joins the rows of its batch; {INSTEAD}")
    prepared, elements = prepare(kernel, products=True)
    prepared, scaled = by_rows(prepared)
    phases = phases_of(prepared)
    rooms, hosts = rooms_of(prepared, phases)
    chunked = in_chunks(prepared, phases)
    schedule = Schedule(prepared, phases, rooms, hosts, elements, chunked)
    reason = next(_misfits(schedule, kernel.batch), "")
    if reason:
        raise Misfit(f"target triton: {kernel.name}: {reason}; {INSTEAD}")
    return Plan(schedule, kernel.batch, scaled, dict(_overwritten(schedule)))


def check_arguments(kernel: Kernel) -> None:
    """Raise Misfit for arguments and means that the rows do not take."""
    if kernel.weight is not None:
        raise Misfit(f"target triton: {kernel.name} is weighted in the mean; {INSTEAD}")
    for given in kernel.inputs:
        if given.ignored is not None or given.is_mark:
            raise Misfit(f"target triton: {kernel.name} ignores labels; {INSTEAD}")
        if given.default is not None and given.tensor.axes:
            raise Misfit(f"target triton: {given.name} has axes and a default; {INSTEAD}")


def _misfits(schedule: Schedule, batch: Axis) -> Iterator[str]:
    """Why a schedule does not fit: each reason names the array."""
    for given in schedule.kernel.inputs:
        if given.tensor.label is not None and given.tensor.axes != (batch,):
            yield f"{given.name} has other labels than one a row"
    for phase in schedule.phases:
        if isinstance(phase, Phase):
            for statement in (s for loop in phase.loops for s in loop.statements):
                yield from _misfit(statement, phase, batch)
        elif not _is_plain_sum(phase.statement, batch):
            yield f"the sum {phase.statement.name} reads more than plain arrays"


def _misfit(statement: Map | Reduce, phase: Phase, batch: Axis) -> Iterator[str]:
    name = statement.name
    if phase.row is None:
        if not isinstance(statement, Reduce) or not _is_plain_sum(statement, batch):
            yield f"{name} is the same for all rows"
        return
    if phase.row.axis != batch:
        yield f"{name} has rows of {phase.row.axis}"
    dims = (*statement.indices, *statement.over)
    if len(dims) > 2 or (isinstance(statement, Reduce) and len(statement.indices) > 1):
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
