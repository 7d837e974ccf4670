"""What is read at a class label when the classes are split over ranks.

Only the rank that holds the class can read the entry.  Where the result is selected at k = t[n]
that rank is the only one that needs it; anywhere else the owner's value goes to every rank, as a
sum over ranks in which the others add 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sympy import Basic, Expr, Integer, Mul

from codegen.kernel import Contract, Map, Statement, reads
from codegen.lower.names import unique
from codegen.shard.program import Collective, Node, Split
from derive.index import (
    Axis,
    Choice,
    Condition,
    Delta,
    Entry,
    Index,
    Tensor,
    rebuild,
    substitute,
)

Labels = frozenset[Entry]
NONE: Labels = frozenset()


def with_owners(
    nodes: Sequence[Node], outputs: Sequence[str], split: Split, taken: set[str]
) -> tuple[list[Node], dict[str, str]]:
    """The nodes that the outputs need, with what is read at a label made by its owner.

    Also each array that the owner alone has, with the one of the same values on every rank.
    """
    nodes = _picked(nodes, split.axis, taken)
    to = _Owners(split, taken, {node.name: node for node in nodes})
    for node in nodes:
        to.owners[node.name] = to.owners_of(node)
    for name in outputs:
        to.need(name, NONE)
    both = [name for name, own in to.made if own and (name, False) in to.made]
    twins = {to.made[name, True]: to.made[name, False] for name in both}
    return to.nodes, twins


def _picked(nodes: Sequence[Node], axis: Axis, taken: set[str]) -> list[Node]:
    """Each entry at a label is an array of its own.

    Of what takes a message to compute, it is computed there from what does not.
    """
    maps: dict[str, Map] = {}
    late: set[str] = set()
    found: dict[Entry, Entry] = {}
    done: list[Node] = []

    def pick(node: Basic) -> Basic:
        node = rebuild(node, pick)
        if not isinstance(node, Entry) or not _is_lookup(node, axis):
            return node
        if node not in found:
            found[node] = _at_label(node)
        return found[node]

    def _at_label(node: Entry) -> Entry:
        indices = tuple(dict.fromkeys(_indices(node)))
        name = unique(f"{node.tensor.name}_at_{_label_of(node, axis).tensor.name}", taken)
        made = maps.get(node.tensor.name)
        expr: Basic = node
        if made is not None:
            expr = pick(substitute(made.expr, dict(zip(made.indices, node.indices, strict=True))))
        done.append(Map(name, indices, expr))
        late.add(name)
        return Entry(Tensor(name, tuple(i.axis for i in indices)), *indices)

    for statement in nodes:
        if isinstance(statement, Collective):
            late.add(statement.name)
            done.append(statement)
            continue
        if isinstance(statement, Contract):
            operands = tuple(pick(operand) for operand in statement.operands)
            statement = replace(statement, operands=operands)
        else:
            statement = replace(statement, expr=pick(_switched(statement.expr)))
        done.append(statement)
        reduced = any(index.axis == axis for index in statement.over)
        if reduced or any(e.tensor.name in late for e in reads(statement)):
            late.add(statement.name)
            if isinstance(statement, Map):
                maps[statement.name] = statement
    return done


def _indices(node: Entry) -> list[Index]:
    """The indices of an entry in order, those of its labels among them."""
    found: list[Index] = []
    for index in node.indices:
        found += [index] if isinstance(index, Index) else _indices(index)
    return found


def _is_lookup(node: Entry, axis: Axis) -> bool:
    return any(
        isinstance(i, Entry) and own == axis
        for i, own in zip(node.indices, node.tensor.axes, strict=True)
    )


def _label_of(node: Entry, axis: Axis) -> Entry:
    pairs = zip(node.indices, node.tensor.axes, strict=True)
    return next(i for i, own in pairs if isinstance(i, Entry) and own == axis)


def _switched(expr: Expr) -> Expr:
    """Deltas as choices: as a factor it leaves alone what it does not select."""

    def visit(node: Basic) -> Basic:
        if isinstance(node, Delta):
            return Choice(Condition("==", *node.args), Integer(1), Integer(0))
        deltas = [a for a in node.args if isinstance(a, Delta)] if isinstance(node, Mul) else []
        if not deltas:
            return rebuild(node, visit)
        chosen = visit(Mul(*(a for a in node.args if a not in deltas)))
        for delta in deltas:
            chosen = Choice(Condition("==", *delta.args), chosen, Integer(0))
        return chosen

    return visit(expr)


@dataclass
class _Owners:
    """The nodes so far; each array that depends on a label in one version or in two."""

    split: Split
    taken: set[str]
    known: dict[str, Node]
    owners: dict[str, Labels] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    made: dict[tuple[str, bool], str] = field(default_factory=dict)

    def owners_of(self, statement: Node) -> Labels:
        """The labels whose owner alone can compute the statement from what it has."""
        axis = self.split.axis
        read = statement.expr if isinstance(statement, Map) else None
        if isinstance(read, Entry) and _is_lookup(read, axis):
            return frozenset((_label_of(read, axis),))
        if isinstance(statement, Collective) or self._own_index(statement) is not None:
            return NONE
        return NONE.union(*(self.owners.get(e.tensor.name, NONE) for e in reads(statement)))

    def need(self, name: str, here: Labels) -> str:
        """The array as the owner of the labels `here` has it, or on every rank; its name."""
        statement = self.known.get(name)
        if statement is None:
            return name
        labels = self.owners[name]
        own = bool(labels) and labels <= here
        if (name, own) not in self.made:
            self.made[name, own] = unique(f"{name}_here", self.taken) if own else name
            self._make(statement, self.made[name, own], labels if own else NONE)
        return self.made[name, own]

    def _make(self, statement: Node, name: str, here: Labels) -> None:
        if isinstance(statement, Collective):
            for entry in (statement.source, statement.value):
                if entry is not None:
                    self.need(entry.tensor.name, NONE)
            self.nodes.append(statement)
            return
        labels, expr = self.owners[statement.name], getattr(statement, "expr", None)
        if labels and not here and isinstance(expr, Entry) and _is_lookup(expr, self.split.axis):
            source = self.need(statement.name, labels)
            axes = tuple(i.axis for i in statement.indices)
            entry = Entry(Tensor(source, axes, expr.tensor.label), *statement.indices)
            self.nodes.append(Collective(name, statement.indices, "sum", entry, self.split))
            return
        index = self._own_index(statement)
        if isinstance(statement, Contract):
            operands = tuple(self._visit(x, here, index) for x in statement.operands)
            self.nodes.append(replace(statement, name=name, operands=operands))
        else:
            new = self._visit(statement.expr, here, index)
            self.nodes.append(replace(statement, name=name, expr=new))

    def _own_index(self, statement: Statement) -> Index | None:
        """The one index of the statement over the split axis, if there is just one."""
        found = [i for i in (*statement.indices, *statement.over) if i.axis == self.split.axis]
        return found[0] if len(found) == 1 else None

    def _visit(self, node: Basic, here: Labels, index: Index | None) -> Basic:
        if isinstance(node, Choice):
            condition, value, otherwise = node.args
            there = here | _selected(condition, index)
            tested = self._visit(condition, there, index)
            chosen = self._visit(value, there, index)
            return Choice(tested, chosen, self._visit(otherwise, here, index))
        node = rebuild(node, lambda arg: self._visit(arg, here, index))
        if isinstance(node, Entry):
            name = self.need(node.tensor.name, here)
            tensor = Tensor(name, node.tensor.axes, node.tensor.label)
            return Entry(tensor, *node.indices)
        return node


def _selected(condition: Condition, index: Index | None) -> Labels:
    """The labels that equal the index wherever the condition holds."""
    if condition.op == "and":
        return NONE.union(*(_selected(part, index) for part in condition.operands))
    if condition.op != "==" or index is None or index not in condition.operands:
        return NONE
    return frozenset(x for x in condition.operands if isinstance(x, Entry))
