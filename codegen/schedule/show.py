"""A schedule as text: what `generate --explain` prints of it."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.kernel import Contract, Map, Reduce
from codegen.schedule.in_place import in_place
from codegen.schedule.plan import Schedule, Sum
from derive.index import Index

KEPT = {
    "output": "",
    "scalar": "a number a row",
    "local": "not kept",
    "row": "a row of scratch",
    "array": "scratch for all rows",
}


def schedule_lines(plan: Schedule) -> Iterator[str]:
    """The phases, their loops, what each computes, and where it is kept."""
    for phase in plan.phases:
        if isinstance(phase, Sum):
            yield f"sum over the rows: {_head(phase.statement)}"
            continue
        yield f"for each row of {phase.row.axis.name}, in parallel" if phase.row else "once"
        for at, loop in enumerate(phase.loops):
            over = ", ".join(index.axis.name for index in loop.indices)
            again = phase.online is not None and at == phase.online.at + 1
            head = "  in the same pass, block by block" if again else f"  one pass over {over}"
            yield head if over else "  numbers of the row"
            for statement in loop.statements:
                kept = _kept(statement.name, plan)
                yield f"    {_head(statement)}" + (f"   ({kept})" if kept else "")
    pairs = list(in_place(plan))
    if pairs:
        yield "in place: " + ", ".join(f"{output} over {given}" for given, output in pairs)


def _head(statement: Map | Reduce | Contract) -> str:
    name = (
        f"{statement.name}[{_letters(statement.indices)}]" if statement.indices else statement.name
    )
    if isinstance(statement, Map):
        return name
    op = "sum" if isinstance(statement, Contract) else statement.op
    return f"{name} = {op} over {_letters(statement.over)}"


def _letters(indices: tuple[Index, ...]) -> str:
    return ", ".join(index.name for index in indices)


def _kept(name: str, plan: Schedule) -> str:
    if name in plan.hosts:
        return f"in the row of {plan.hosts[name]}"
    return KEPT[plan.rooms[name]]
