"""Which statements run for a block of samples at a time, so that what they make stays in cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sympy import Basic

from codegen.kernel import Contract, Kernel, Map, Reduce, Statement, reads
from codegen.targets.numpy_exponentials import OF_ROWS, Call, renamed
from derive.index import Axis, Entry, Tensor, rebuild

LEAST = 256  # rows of a matrix product that keep it fast


@dataclass(frozen=True)
class Blocks:
    """Statements before the loop over blocks, and in it; `added` are summed over the blocks.

    `row` has the axes of the largest arrays of a sample, and `made` counts those that are computed.
    """

    before: tuple[Statement, ...]
    inside: tuple[Statement | Call, ...]
    added: tuple[str, ...]
    row: tuple[tuple[Axis, ...], ...]
    least: int
    made: int


def blocks_of(kernel: Kernel, statements: Sequence[Statement | Call]) -> Blocks | None:
    """None where samples depend on one another other than through sums that are results."""
    batch = kernel.batch
    if batch is None:
        return None
    results = {entry.tensor.name for key, entry in kernel.outputs if key}
    varying = {g.name for g in kernel.inputs if batch in g.tensor.axes}
    before: list[Statement] = []
    inside: list[Statement | Call] = []
    added: list[str] = []
    for statement in statements:
        names = {e.tensor.name for e in _reads(statement)}
        if names & set(added):
            return None
        if isinstance(statement, Call):
            varying |= set(statement.names)
        elif batch in (i.axis for i in statement.over):
            if statement.name not in results or not _adds(statement, batch):
                return None
            added.append(statement.name)
        elif batch in (i.axis for i in statement.indices):
            varying.add(statement.name)
        elif names & varying:
            return None
        else:
            before.append(statement)
            continue
        inside.append(statement)
    least = LEAST if any(isinstance(s, Contract) for s in inside) else 1
    row = _widest(kernel, inside)
    made = max(1, sum(_is_large(statement, row) for statement in inside))
    return Blocks(tuple(before), tuple(inside), tuple(added), row, least, made)


def _is_large(statement: Statement | Call, row: tuple[tuple[Axis, ...], ...]) -> bool:
    """Whether it makes an array that is as large as any."""
    if isinstance(statement, Call):
        own = () if statement.function in OF_ROWS else statement.arguments[0].indices
    else:
        own = statement.indices
    return not row or any(set(axes) <= {index.axis for index in own} for axes in row)


def _reads(statement: Statement | Call) -> tuple[Entry, ...]:
    return statement.arguments if isinstance(statement, Call) else tuple(reads(statement))


def _adds(statement: Statement, batch: Axis) -> bool:
    """Whether it is a sum over the samples, of nothing but what differs between them."""
    if batch in (i.axis for i in statement.indices):
        return False
    return not isinstance(statement, Reduce) or statement.op == "sum"


def _widest(kernel: Kernel, inside: Sequence[Statement | Call]) -> tuple[tuple[Axis, ...], ...]:
    """The axes of what one sample takes at the most, besides that of the samples."""
    found = [g.tensor.axes for g in kernel.inputs if kernel.batch in g.tensor.axes]
    for statement in inside:
        if isinstance(statement, Map | Reduce):
            found.append(tuple(i.axis for i in (*statement.indices, *statement.over)))
        elif isinstance(statement, Contract):
            found.append(tuple(i.axis for i in statement.indices))
    rows = {tuple(a for a in axes if a != kernel.batch) for axes in found if kernel.batch in axes}
    kept = [x for x in rows if x and not any(set(x) < set(y) for y in rows)]
    names = {tuple(sorted(axes, key=lambda a: a.name)) for axes in kept}
    return tuple(sorted(names, key=lambda axes: [a.name for a in axes]))


def without_gathered(
    statements: Sequence[Statement | Call], kernel: Kernel
) -> list[Statement | Call]:
    """An array that is read at one label a row only is computed there only."""
    done = list(statements)
    given = {g.name for g in kernel.inputs}
    outputs = {e.tensor.name for _, e in kernel.outputs}
    for statement in statements:
        if not isinstance(statement, Map) or statement.name in outputs:
            continue
        found = {e for s in done for e in _reads(s) if e.tensor.name == statement.name}
        labels = {_label(entry) for entry in found}
        if len(labels) == 1 and None not in labels and labels <= given:
            label = next(e.indices[1] for e in found)
            done = [_at_label(s, statement, label) for s in done]
    return done


def _label(entry: Entry) -> str | None:
    """The name of the labels, where the entry is x[n, labels[n]]."""
    if len(entry.indices) != 2 or not isinstance(entry.indices[1], Entry):
        return None
    row, label = entry.indices
    return str(label.tensor.name) if label.indices == (row,) else None


def _at_label(statement: Statement | Call, whole: Map, label: Entry) -> Statement | Call:
    """The statement with an array over the rows in the place of `whole`."""
    row, column = whole.indices
    if statement is whole:
        place = Entry(label.tensor, row)
        return Map(whole.name, (row,), renamed(whole.expr, {column: place}))
    tensor = Tensor(whole.name, (row.axis,))

    def visit(node: Basic) -> Basic:
        if isinstance(node, Entry) and node.tensor.name == whole.name:
            return Entry(tensor, node.indices[0])
        return rebuild(node, visit)

    return (
        replace(statement, expr=visit(statement.expr))
        if isinstance(statement, Map | Reduce)
        else statement
    )
