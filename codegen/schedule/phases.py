"""Which statements share a parallel loop over rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from codegen.kernel import Contract, Kernel, Map, Reduce, Statement, reads
from codegen.schedule.loops import loops_of
from codegen.schedule.plan import Phase, Sum
from derive.index import Axis, Entry, Index


@dataclass
class Group:
    """Statements for the rows of one axis (none: once), or one sum over the rows of others."""

    row: Axis | None
    is_sum: bool
    statements: list[Statement] = field(default_factory=list)

    def takes(self, other: Group) -> bool:
        """Whether statements of the other kind may join."""
        return self.row == other.row and not self.is_sum and not other.is_sum


def phases_of(kernel: Kernel) -> tuple[Phase | Sum, ...]:
    """The statements in phases: each in the first that has what it reads."""
    groups: list[Group] = []
    place: dict[str, int] = {}
    for statement in kernel.statements:
        kind = _kind(statement, kernel)
        first = max((_after(e, kind, groups, place) for e in reads(statement)), default=0)
        at = next((k for k in range(first, len(groups)) if groups[k].takes(kind)), len(groups))
        if at == len(groups):
            groups.append(kind)
        groups[at].statements.append(statement)
        place[statement.name] = at
    return tuple(_phase(group) for group in groups)


def _kind(statement: Statement, kernel: Kernel) -> Group:
    """An empty group of the kind that the statement belongs to."""
    over_rows = any(index.axis == kernel.batch for index in statement.over)
    if isinstance(statement, Contract) or (over_rows and statement.indices):
        return Group(None, True)
    return Group(statement.indices[0].axis if statement.indices else None, False)


def _after(entry: Entry, kind: Group, groups: list[Group], place: dict[str, int]) -> int:
    """The first phase in which a statement of this kind may read the entry."""
    if entry.tensor.name not in place:
        return 0
    at = place[entry.tensor.name]
    if not groups[at].takes(kind):
        return at + 1
    if kind.row is None:
        return at
    own_row = bool(entry.indices) and entry.indices[0] == Index("row", kind.row)
    return at if own_row else at + 1


def _phase(group: Group) -> Phase | Sum:
    if group.is_sum:
        (statement,) = group.statements
        assert isinstance(statement, Contract | Reduce)
        return Sum(statement)
    row = None if group.row is None else Index("row", group.row)
    plain = [s for s in group.statements if isinstance(s, Map | Reduce)]
    return Phase(row, loops_of(plain, row is not None))
