"""Sums over a batch as sums of what its rows give one by one: a target whose rows run side by
side leaves those to a library, and scales each of them once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from codegen.kernel import Contract, Kernel, Map, Reduce, Statement, reads
from codegen.lower.names import unique
from codegen.schedule.prepare import canonical
from derive.index import Axis, Entry, Index, Tensor


def by_rows(kernel: Kernel) -> tuple[Kernel, frozenset[str]]:
    """The same kernel, in which a sum over the batch adds up one array, or products of some; and
    the arrays through which a scale of each row reaches the gradients that are such sums or
    products: each of those reads exactly one."""
    if kernel.batch is None:
        return kernel, frozenset()
    work = _Work(kernel, kernel.batch)
    for statement in kernel.statements:
        work.add(statement)
    return replace(kernel, statements=tuple(work.done)), frozenset(work.scaled)


@dataclass
class _Work:
    kernel: Kernel
    batch: Axis
    done: list[Statement] = field(default_factory=list)
    scaled: set[str] = field(default_factory=set)
    copies: dict[str, Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.taken = {given.name for given in self.kernel.inputs}
        self.own = {s.name for s in self.kernel.statements if not isinstance(s, Contract)}
        self.taken |= {s.name for s in self.kernel.statements}
        self.outputs = {entry.tensor.name for key, entry in self.kernel.outputs if key}

    def add(self, statement: Statement) -> None:
        if not self._is_sum(statement):
            self.done.append(statement)
        elif self._operands(statement) is None:
            assert isinstance(statement, Reduce)
            self.done.append(self._parted(statement))
        elif statement.name in self.outputs:
            self.done.append(self._scaled_once(statement))
        else:
            self.done.append(statement)

    def _is_sum(self, statement: Statement) -> bool:
        over_batch = any(i.axis == self.batch for i in statement.over)
        is_sum = isinstance(statement, Reduce) and statement.op == "sum"
        return isinstance(statement, Contract) or (is_sum and over_batch)

    def _operands(self, statement: Statement) -> tuple[Entry, ...] | None:
        """The entries that are multiplied and summed; None where it is not as simple."""
        if isinstance(statement, Contract):
            return statement.operands
        assert isinstance(statement, Reduce)
        expr, wanted = statement.expr, (*statement.over, *statement.indices)
        simple = isinstance(expr, Entry) and expr.indices == wanted and len(statement.over) == 1
        return (expr,) if simple and expr.tensor.name in self.own else None

    def _parted(self, statement: Reduce) -> Reduce:
        """Each row gives its part, by a sum of its own over what else is summed."""
        row = next(i for i in statement.over if i.axis == self.batch)
        rest = tuple(i for i in statement.over if i != row)
        name = unique(f"{statement.name}_part", self.taken)
        dims = (row, *statement.indices)
        part: Statement = Map(name, dims, statement.expr)
        if rest:
            part = Reduce(name, dims, "sum", rest, statement.expr)
        self.done.append(canonical(part))
        if statement.name in self.outputs:
            self.scaled.add(name)
        entry = Entry(Tensor(name, tuple(i.axis for i in dims)), *dims)
        whole = canonical(replace(statement, over=(row,), expr=entry))
        assert isinstance(whole, Reduce)
        return whole

    def _scaled_once(self, statement: Statement) -> Statement:
        """It reads one array that is scaled: a copy where others read what it reads."""
        operands = self._operands(statement) or ()
        carriers = [x for x in operands if x.tensor.axes[:1] == (self.batch,)]
        if not carriers or any(x.tensor.name in self.scaled for x in carriers):
            return statement
        for operand in carriers:
            if self._has_only_sums(operand.tensor.name):
                self.scaled.add(operand.tensor.name)
                return statement
        old = carriers[0]
        new = self._copy(old)
        if isinstance(statement, Contract):
            return replace(
                statement, operands=tuple(new if x is old else x for x in statement.operands)
            )
        assert isinstance(statement, Reduce)
        return replace(statement, expr=new)

    def _copy(self, old: Entry) -> Entry:
        """A scaled copy of an array."""
        key = old.tensor.name
        if key not in self.copies:
            name = unique(f"{key}_scaled", self.taken)
            indices = tuple(i for i in old.indices if isinstance(i, Index))
            self.done.append(canonical(Map(name, indices, old)))
            self.scaled.add(name)
            self.copies[key] = Entry(Tensor(name, old.tensor.axes), *old.indices)
        return Entry(self.copies[key].tensor, *old.indices)

    def _has_only_sums(self, name: str) -> bool:
        """Whether an array is computed row by row, and read only by sums that are gradients and
        read nothing else that is scaled."""
        if name not in self.own or name in self.outputs:
            return False
        for other in self.kernel.statements:
            names = [e.tensor.name for e in reads(other)]
            if name not in names:
                continue
            simple = self._is_sum(other) and self._operands(other) is not None
            if not simple or other.name not in self.outputs or names.count(name) > 1:
                return False
            if any(n in self.scaled for n in names):
                return False
        return True
