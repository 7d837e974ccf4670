"""A sharded kernel: what every rank computes by itself, and what the ranks add up together.

Along a split axis K each rank holds K_local entries.  In the statements of a rank

    an index over K_local, where it is compared or used as a number, is the number among all K;
    the axis K as a number is the size of the whole;
    x[n, t[n]] with a label t is the entry on the rank that holds it, and 0 on the others;
    x[n, k] with k over K but x over K_local is the entry on the rank that holds it, else 0;
    x[n, k] with k over K_local but x over K is the rank's own part of a whole array.

The last three stand alone in a Map, so that whoever writes or runs statements meets each of them
in one form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codegen.kernel import Input, Map, Reduce, Statement, defines
from derive.index import Axis, Entry, Index, Tensor


@dataclass(frozen=True)
class Split:
    """An axis that is split over ranks, and the axis of the part that a rank holds."""

    axis: Axis
    local: Axis


@dataclass(frozen=True)
class Collective:
    """`name[indices]` on every rank = op of `source[indices]` over the ranks of `split`.

    For argmax, `source` is the label of the largest entry of each rank and `value` that entry.
    """

    name: str
    indices: tuple[Index, ...]
    op: str
    source: Entry
    split: Split
    value: Entry | None = None

    @property
    def tensor(self) -> Tensor:
        return Tensor(self.name, tuple(i.axis for i in self.indices), self.source.tensor.label)


@dataclass(frozen=True)
class AllReduce:
    """Collectives of one op over the same ranks, sent as one message."""

    op: str
    split: Split
    parts: tuple[Collective, ...]


Node = Statement | Collective
Step = Statement | AllReduce


@dataclass(frozen=True)
class Program:
    """The kernel of one rank: inputs and outputs as the rank holds them, and its steps.

    The first `forward` steps give the loss and the `weight` of each sample in a mean; the others
    are for the gradients alone.
    """

    name: str
    splits: tuple[Split, ...]
    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    forward: int
    outputs: tuple[tuple[str, Entry], ...]
    batch: Axis | None = None
    weight: Entry | None = None

    def collectives(self) -> tuple[tuple[AllReduce, ...], tuple[AllReduce, ...]]:
        """The messages of the loss, and those that the gradients need besides."""
        found = [s for s in self.steps[: self.forward] if isinstance(s, AllReduce)]
        more = [s for s in self.steps[self.forward :] if isinstance(s, AllReduce)]
        return tuple(found), tuple(more)


def count(messages: Sequence[AllReduce]) -> int:
    """How many all-reduces they are: an argmax takes the largest value, then its first label."""
    return sum(2 * len(m.parts) if m.op == "argmax" else 1 for m in messages)


def made_by(node: Node) -> Tensor:
    """The array that a node defines."""
    return node.tensor if isinstance(node, Collective) else defines(node)


def whole_axis(axis: Axis, splits: tuple[Split, ...]) -> Axis:
    """The axis that a part belongs to; any other axis itself."""
    return next((s.axis for s in splits if s.local == axis), axis)


def is_apart(node: Node, splits: tuple[Split, ...]) -> bool:
    """Whether the node reads an array at places that another rank may hold, or a whole array at
    the places of this rank."""
    return isinstance(node, Map) and isinstance(node.expr, Entry) and bool(apart(node.expr, splits))


def apart(entry: Entry, splits: tuple[Split, ...]) -> tuple[int, ...]:
    """The places among the indices of an entry whose axis is not the array's own."""
    found = []
    for place, (index, axis) in enumerate(zip(entry.indices, entry.tensor.axes, strict=True)):
        own = index.axis if isinstance(index, Index) else getattr(index.tensor, "label", None)
        split = any(axis in (s.axis, s.local) for s in splits)
        if split and own != axis:
            found.append(place)
    return tuple(found)


def is_local_sum(node: Node, splits: tuple[Split, ...]) -> bool:
    """Whether the node reduces over a part of a split axis."""
    parts = {s.local for s in splits}
    return isinstance(node, Reduce) and any(i.axis in parts for i in node.over)
