"""The order of a rank's program: as few messages as there can be, each as full as it can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sympy import Basic

from codegen.kernel import Contract, reads
from codegen.shard.program import AllReduce, Collective, Node, Split, Step
from derive.errors import KernelError
from derive.index import Entry, Tensor, rebuild

Kind = tuple[str, Split]
MOST = 12  # messages in a row that are tried


def in_rounds(
    nodes: Sequence[Node],
    inputs: Iterable[str],
    wanted: Sequence[str],
    results: Sequence[str],
    twins: Mapping[str, str],
    later: Sequence[str] = (),
) -> tuple[tuple[Step, ...], int]:
    """The nodes as steps, the collectives of a round in one message; how many give what is wanted.

    That, the loss first of all, takes the fewest messages that it can.  What is of its size, and
    for the gradients alone, goes in one of them; anything larger waits for the gradients.  `twins`
    are the arrays of the owners of labels with those of the same values on every rank, read as
    soon as they are there.  Inputs `later` are there after the loss.
    """
    known = set(inputs) - set(later)
    parents = {node.name: _parents(node) - known for node in nodes}
    graph = Graph(nodes, parents)
    early = graph.ancestors(wanted)
    first = graph.shortest(set(), wanted, early)
    size = len(next(node for node in nodes if node.name == wanted[0]).indices)
    for node in nodes:
        if isinstance(node, Collective) and len(node.indices) <= size:
            early |= _packable(node, graph, first, early)
    steps, done = graph.steps(set(), first, early)
    forward = len(steps)
    every = set(parents)
    done |= set(later)
    more, _ = graph.steps(done, graph.shortest(done, results, every), every)
    return _without_twins((*steps, *more), twins), forward


def _packable(node: Collective, graph: Graph, row: Sequence[Kind], early: set[str]) -> set[str]:
    """The node and what it needs, where it fits into the messages of the row."""
    wanted = early | graph.ancestors([node.name])
    done: set[str] = set()
    for kind in row:
        done = graph.after(done, kind, wanted)
    return wanted if node.name in graph.settled(done, wanted) else set()


def _parents(node: Node) -> set[str]:
    if isinstance(node, Collective):
        sources = (node.source, node.value)
        return {entry.tensor.name for entry in sources if entry is not None}
    return {entry.tensor.name for entry in reads(node)}


@dataclass(frozen=True)
class Graph:
    """Nodes in an order that works, and what each is made of."""

    nodes: Sequence[Node]
    parents: Mapping[str, set[str]]

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """The names, and all that they are made of."""
        found = set(names)
        for node in reversed(self.nodes):
            if node.name in found:
                found |= self.parents[node.name]
        return found

    def settled(self, done: set[str], among: set[str]) -> set[str]:
        """What there is without a further message."""
        there = set(done)
        for node in self.nodes:
            local = not isinstance(node, Collective) and node.name in among
            if local and self.parents[node.name] <= there:
                there.add(node.name)
        return there

    def ready(self, there: set[str], among: set[str]) -> list[Collective]:
        """The collectives whose parts are there."""
        return [
            node
            for node in self.nodes
            if isinstance(node, Collective)
            and node.name in among - there
            and self.parents[node.name] <= there
        ]

    def after(self, done: set[str], kind: Kind, among: set[str]) -> set[str]:
        """What there is after a message of this kind with all that is ready for it."""
        there = self.settled(done, among)
        return there | {n.name for n in self.ready(there, among) if (n.op, n.split) == kind}

    def shortest(self, done: set[str], wanted: Sequence[str], among: set[str]) -> tuple[Kind, ...]:
        """The shortest row of kinds of messages that gives what is wanted."""
        reached: dict[frozenset[str], tuple[Kind, ...]] = {frozenset(self.settled(done, among)): ()}
        for _ in range(MOST):
            for state, row in reached.items():
                if set(wanted) <= state:
                    return row
            further: dict[frozenset[str], tuple[Kind, ...]] = {}
            for state, row in reached.items():
                kinds = [(n.op, n.split) for n in self.ready(set(state), among)]
                for kind in dict.fromkeys(kinds):
                    after = self.settled(self.after(set(state), kind, among), among)
                    further.setdefault(frozenset(after), (*row, kind))
            reached = further
        raise KernelError(f"more than {MOST} messages between the ranks")

    def steps(
        self, done: set[str], row: Sequence[Kind], among: set[str]
    ) -> tuple[list[Step], set[str]]:
        """The steps of a row of messages, and what there is after them."""
        steps: list[Step] = []
        for kind in (*row, None):
            there = self.settled(done, among)
            new = there - done
            steps += [n for n in self.nodes if n.name in new and not isinstance(n, Collective)]
            done = there
            if kind is not None:
                sent = [n for n in self.ready(done, among) if (n.op, n.split) == kind]
                steps.append(AllReduce(*kind, tuple(sent)))
                done = done | {n.name for n in sent}
        return steps, done


def _without_twins(steps: Sequence[Step], twins: Mapping[str, str]) -> tuple[Step, ...]:
    """Arrays that the owner alone has are not read where every rank has the same already."""
    there: set[str] = set()
    new: dict[str, str] = {}
    done: list[Step] = []

    def visit(node: Basic) -> Basic:
        if isinstance(node, Entry):
            name = str(node.tensor.name)
            tensor = Tensor(new.get(name, name), node.tensor.axes, node.tensor.label)
            return Entry(tensor, *(visit(i) for i in node.indices))
        return rebuild(node, visit)

    for step in steps:
        if isinstance(step, AllReduce):
            there |= {part.name for part in step.parts}
            new |= {own: other for own, other in twins.items() if other in there}
        elif twins.get(step.name) in there:
            new[step.name] = twins[step.name]
            continue
        elif isinstance(step, Contract):
            step = replace(step, operands=tuple(visit(x) for x in step.operands))
        else:
            step = replace(step, expr=visit(step.expr))
        if not isinstance(step, AllReduce):
            there.add(step.name)
        done.append(step)
    return tuple(done)
