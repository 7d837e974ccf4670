"""Whether a kernel may run over some rows at a time, so that nothing of all rows is held."""

from __future__ import annotations

from codegen.kernel import Contract, Kernel, reads
from codegen.schedule.plan import Phase, Sum
from derive.index import Axis, Entry, Index


def is_product(statement: Contract) -> bool:
    """Whether it is the product of two matrices."""
    if len(statement.operands) != 2 or len(statement.over) != 1 or len(statement.indices) != 2:
        return False
    shapes = [frozenset(x.indices) for x in statement.operands]
    wanted = [frozenset((i, *statement.over)) for i in statement.indices]
    return all(len(x.indices) == 2 for x in statement.operands) and (
        shapes in (wanted, wanted[::-1])
    )


def in_chunks(kernel: Kernel, phases: tuple[Phase | Sum, ...]) -> bool:
    """Whether every phase takes rows one by one, or adds them up, and a product is among them."""
    batch = kernel.batch
    if batch is None or not any(_is_matrix_product(phase) for phase in phases):
        return False
    added: set[str] = set()
    for phase in phases:
        if isinstance(phase, Phase):
            entries = [e for loop in phase.loops for s in loop.statements for e in reads(s)]
            if phase.row is None or phase.row.axis != batch:
                return False
            rows: tuple[Index, ...] = (phase.row,)
        else:
            entries = list(reads(phase.statement))
            dims = (*phase.statement.indices, *phase.statement.over)
            rows = tuple(i for i in dims if i.axis == batch)
            if len(rows) != 1 or _op(phase) != "sum":
                return False
        if any(e.tensor.name in added or not _own_row(e, rows[0], batch) for e in entries):
            return False
        if isinstance(phase, Sum) and rows[0] in phase.statement.over:
            added.add(phase.statement.name)
    return True


def _op(phase: Sum) -> str:
    return "sum" if isinstance(phase.statement, Contract) else phase.statement.op


def _is_matrix_product(phase: Phase | Sum) -> bool:
    return isinstance(phase, Sum) and isinstance(phase.statement, Contract)


def _own_row(entry: Entry, row: Index, batch: Axis) -> bool:
    places = [i for i in entry.indices if isinstance(i, Index) and i.axis == batch]
    leads = bool(entry.tensor.axes) and entry.tensor.axes[0] == batch
    return places == ([row] if leads else []) and (not leads or entry.indices[0] == row)
