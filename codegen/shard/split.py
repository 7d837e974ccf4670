"""Splitting one axis: every array gets the part that a rank holds, every reduction a collective.

Each statement runs over the rank's part of one of its indices.  What it reads at another index of
the split axis is gathered first; what it reduces over the part is reduced over the ranks after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sympy import Basic

from codegen.kernel import Contract, Map, Reduce, Statement, reads
from codegen.lower.names import unique
from codegen.shard.program import Collective, Node, Split, made_by
from derive.index import Entry, Index, Tensor, free_indices, rebuild, substitute

NOMINAL = 1000  # entries of an axis, to weigh a way to split against another


@dataclass
class _Splitting:
    """The arrays as a rank holds them, by name, and the nodes so far."""

    split: Split
    taken: set[str]
    arrays: dict[str, Tensor]
    maxima: bool = False  # whether there are any over the axis
    results: frozenset[str] = frozenset()  # arrays that are split as inputs are
    nodes: list[Node] = field(default_factory=list)
    made: dict[Entry, Entry] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        self.nodes.append(node)
        self.arrays[node.name] = made_by(node)


def split_axis(
    nodes: Sequence[Node],
    inputs: Sequence[Tensor],
    split: Split,
    taken: set[str],
    results: Iterable[str] = (),
) -> tuple[list[Node], dict[str, Tensor]]:
    """The nodes of a rank, and every array as it holds it; inputs and results are split along the
    first of their axes that is the split one."""
    maxima = any(_is_over(node, "max", split) for node in nodes)
    arrays = {x.name: local_input(x, split) for x in inputs}
    to = _Splitting(split, taken, arrays, maxima, frozenset(results))
    for node in nodes:
        if isinstance(node, Collective):
            _split_collective(node, to)
        else:
            _split_statement(node, to)
    return to.nodes, to.arrays


def _is_over(node: Node, op: str, split: Split) -> bool:
    """Whether the node is such a reduction over the axis."""
    return isinstance(node, Reduce) and node.op == op and split.axis in {i.axis for i in node.over}


def local_input(tensor: Tensor, split: Split) -> Tensor:
    """An input as a rank holds it: split along the first of its axes that is the split one."""
    axes = list(tensor.axes)
    if split.axis in axes:
        axes[axes.index(split.axis)] = split.local
    return Tensor(tensor.name, tuple(axes), tensor.label)


def _split_collective(node: Collective, to: _Splitting) -> None:
    source = to.arrays[node.source.tensor.name]
    new = {i: Index(i.name, axis) for i, axis in zip(node.indices, source.axes, strict=True)}
    indices = tuple(new[i] for i in node.indices)
    value = node.value
    if value is not None:
        value = Entry(to.arrays[value.tensor.name], *indices)
    to.add(replace(node, indices=indices, source=Entry(source, *indices), value=value))


def _split_statement(statement: Statement, to: _Splitting) -> None:
    index = _best(statement, to)
    local = {} if index is None else {index: Index(index.name, to.split.local)}
    indices = tuple(local.get(i, i) for i in statement.indices)
    over = tuple(local.get(i, i) for i in statement.over)

    def visit(node: Basic) -> Basic:
        if not isinstance(node, Entry):
            return rebuild(node, visit)
        return _at_hand(Entry(to.arrays[node.tensor.name], *(visit(i) for i in node.indices)), to)

    if isinstance(statement, Contract):
        operands = tuple(visit(substitute(x, local)) for x in statement.operands)
        new: Statement = replace(statement, indices=indices, over=over, operands=operands)
    elif isinstance(statement, Map):
        new = replace(statement, indices=indices, expr=visit(substitute(statement.expr, local)))
    else:
        expr = visit(substitute(statement.expr, local))
        new = replace(statement, indices=indices, over=over, expr=expr)
    if index is not None and index in statement.over:
        _reduced(new, to)
    else:
        to.add(new)


def _best(statement: Statement, to: _Splitting) -> Index | None:
    """The index to split at: the one that asks for the least to be sent; of a result, the first."""
    first = [i for i in statement.indices if i.axis == to.split.axis]
    if statement.name in to.results and first:
        return first[0]
    lookup = any(
        isinstance(i, Entry) and own == to.split.local
        for e in reads(statement)
        for i, own in zip(e.indices, to.arrays[e.tensor.name].axes, strict=True)
    )
    found = [i for i in (*statement.indices, *statement.over) if i.axis == to.split.axis]
    if lookup or not found:
        return None
    return min(found, key=lambda index: _sent(statement, index, to))


def _sent(statement: Statement, index: Index, to: _Splitting) -> int:
    """Numbers that are sent if the statement is split at the index."""
    sent = NOMINAL ** len(statement.indices) if index in statement.over else 0
    for entry in set(reads(statement)):
        axes = to.arrays[entry.tensor.name].axes
        for place, axis in zip(entry.indices, axes, strict=True):
            if axis == to.split.local and place != index:
                sent += NOMINAL ** len(axes)
    return sent


def _at_hand(entry: Entry, to: _Splitting) -> Entry:
    """The entry of an array that has just the axes of the indices; gathered or cut out."""
    split = to.split
    places = [
        k
        for k, (i, axis) in enumerate(zip(entry.indices, entry.tensor.axes, strict=True))
        if isinstance(i, Index) and i.axis in (split.axis, split.local) and i.axis != axis
    ]
    if not places:
        return entry
    if any(entry.tensor.axes[k] == split.local for k in places):
        entry = _gathered(entry, to)
        return _at_hand(entry, to)
    return _cut_out(entry, to)


def _gathered(entry: Entry, to: _Splitting) -> Entry:
    """The same entry of the whole array: each rank puts its part in, the others add 0."""
    tensor, split = entry.tensor, to.split
    plain = tuple(Index(f"i{k}", axis) for k, axis in enumerate(tensor.axes))
    key = Entry(tensor, *plain)
    if key not in to.made:
        whole = tuple(Index(i.name, split.axis) if i.axis == split.local else i for i in plain)
        name = unique(f"{tensor.name}_whole", to.taken)
        part = Map(unique(f"{name}_part", to.taken), whole, Entry(tensor, *whole))
        to.nodes.append(part)
        source = Entry(Tensor(part.name, tuple(i.axis for i in whole), tensor.label), *whole)
        to.add(Collective(name, whole, "sum", source, split))
        to.made[key] = Entry(to.arrays[name], *whole)
    return Entry(to.made[key].tensor, *entry.indices)


def _cut_out(entry: Entry, to: _Splitting) -> Entry:
    """The rank's part of a whole array, as an array of its own."""
    if entry not in to.made:
        indices = tuple(sorted(free_indices(entry), key=_place_in(entry)))
        name = unique(f"{entry.tensor.name}_part", to.taken)
        to.add(Map(name, indices, entry))
        axes = tuple(i.axis for i in indices)
        to.arrays[name] = Tensor(name, axes, entry.tensor.label)
        to.made[entry] = Entry(to.arrays[name], *indices)
    return to.made[entry]


def _reduced(statement: Statement, to: _Splitting) -> None:
    """The reduction over the rank's part, then over the ranks."""
    assert isinstance(statement, Reduce | Contract)
    op = "sum" if isinstance(statement, Contract) else statement.op
    part = replace(statement, name=unique(f"{statement.name}_part", to.taken))
    to.add(part)
    source = Entry(made_by(part), *statement.indices)
    value = None
    if isinstance(part, Reduce) and op == "argmax":
        most = replace(part, name=unique(f"{statement.name}_most", to.taken), op="max")
        to.add(most)
        value = Entry(made_by(most), *statement.indices)
    if op == "min" and to.maxima:
        _by_maximum(statement.name, source, to)
    else:
        to.add(Collective(statement.name, statement.indices, op, source, to.split, value))


def _by_maximum(name: str, part: Entry, to: _Splitting) -> None:
    """The minimum as -max(-x), which goes in one message with the maxima."""
    indices = tuple(i for i in part.indices if isinstance(i, Index))
    turned = Map(unique(f"{part.tensor.name}_turned", to.taken), indices, -part)
    to.add(turned)
    greatest = unique(f"{name}_turned", to.taken)
    to.add(Collective(greatest, indices, "max", Entry(made_by(turned), *indices), to.split))
    to.add(Map(name, indices, -Entry(to.arrays[greatest], *indices)))


def _place_in(entry: Entry) -> Callable[[Index], int]:
    """The first place at which an index occurs in the entry."""
    return lambda index: next(
        k for k, place in enumerate(entry.indices) if index in free_indices(place)
    )
