"""A sharded kernel on ranks that are played one after the other, in rounded arithmetic.

The reference for everything that is generated: no framework, no network, the same numbers on
every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import product
from typing import Any

import numpy as np

from codegen.kernel import Map
from codegen.rounded import EMPTY, FOLDS, value
from codegen.shard.program import AllReduce, Collective, Program, Split, apart
from derive.index import Axis, Entry, Index, Tensor

Array = Any
Rank = dict[str, Array]
Parts = Mapping[str, Sequence[int]]  # for each split axis, by name, how much of it each rank has


def simulate(
    program: Program, arguments: Mapping[str, Any], parts: Parts
) -> tuple[Array, dict[str, Array], list[tuple[str, int]]]:
    """Loss and gradients put together again, and the messages: op, and numbers of one rank.

    `arguments` are whole arrays.  The results that every rank has are compared on the way.
    Parts that are more than the whole have padding at its end, which holds NaN, or the label -1.
    """
    names = [split.axis.name for split in program.splits]
    places = list(product(*(range(len(parts[name])) for name in names)))
    ranks = {
        place: _Rank(program, arguments, parts, dict(zip(names, place, strict=True)))
        for place in places
    }
    sent: list[tuple[str, int]] = []
    with np.errstate(all="ignore"):
        for step in program.steps:
            if isinstance(step, AllReduce):
                sent.append((step.op, _exchange(step, ranks, names)))
            else:
                for rank in ranks.values():
                    rank.run(step)
    found = {key: _whole(entry.tensor, ranks, program, names) for key, entry in program.outputs}
    return found.pop(""), found, sent


class _Rank:
    """What one rank has: its arrays, the sizes of the axes, and where its parts begin."""

    def __init__(
        self, program: Program, arguments: Mapping[str, Any], parts: Parts, place: dict[str, int]
    ) -> None:
        self.splits = program.splits
        self.starts = {
            s.local.name: sum(parts[s.axis.name][: place[s.axis.name]]) for s in program.splits
        }
        self.sizes = _wholes(program, arguments)
        self.sizes |= {s.local.name: parts[s.axis.name][place[s.axis.name]] for s in program.splits}
        self.arrays: Rank = {}
        for given in program.inputs:
            array = _padded(np.asarray(arguments[given.name]), given.tensor, program, parts)
            for axis, size in zip(given.tensor.axes, array.shape, strict=True):
                self.sizes.setdefault(axis.name, size)
            self.arrays[given.name] = array[self.slices(given.tensor)]

    def slices(self, tensor: Tensor) -> tuple[slice, ...]:
        """Where the rank's part of an array is in the whole one."""
        return tuple(
            slice(self.starts[a.name], self.starts[a.name] + self.sizes[a.name])
            if a.name in self.starts
            else slice(None)
            for a in tensor.axes
        )

    def run(self, step: Any) -> None:
        """Compute what a statement defines."""
        if isinstance(step, Map) and isinstance(step.expr, Entry) and apart(step.expr, self.splits):
            self.arrays[step.name] = self._read(step, step.expr)
        else:
            self.arrays[step.name] = value(step, self.arrays, self.sizes, self.starts)

    def _read(self, step: Map, entry: Entry) -> Array:
        """The entries that this rank holds, 0 for the others."""
        shape = tuple(self.sizes[i.axis.name] for i in step.indices)
        grid = dict(zip(step.indices, np.ogrid[tuple(map(slice, shape))], strict=True))
        array, there, places = self.arrays[entry.tensor.name], np.True_, []
        for index, axis in zip(entry.indices, entry.tensor.axes, strict=True):
            number = self._number(index, grid)
            place = number - self.starts.get(axis.name, 0)
            inside = (place >= 0) & (place < self.sizes[axis.name])
            there = there & inside
            places.append(np.where(inside, place, 0))
        if 0 in array.shape:
            return np.zeros(shape, array.dtype)
        return np.broadcast_to(np.where(there, array[tuple(places)], 0), shape)

    def _number(self, index: Any, grid: Mapping[Index, Array]) -> Array:
        if isinstance(index, Index):
            return grid[index] + self.starts.get(index.axis.name, 0)
        return self.arrays[index.tensor.name][tuple(grid[i] for i in index.indices)]


def _wholes(program: Program, arguments: Mapping[str, Any]) -> dict[str, int]:
    """The sizes of the split axes."""
    local = {split.local: split.axis.name for split in program.splits}
    return {
        local[axis]: size
        for given in program.inputs
        for axis, size in zip(given.tensor.axes, np.shape(arguments[given.name]), strict=True)
        if axis in local
    }


def _padded(array: Array, tensor: Tensor, program: Program, parts: Parts) -> Array:
    """The array with what its parts hold beyond its end."""
    local = {split.local: split.axis.name for split in program.splits}
    more = [
        (0, max(0, sum(parts[local[axis]]) - size) if axis in local else 0)
        for axis, size in zip(tensor.axes, array.shape, strict=True)
    ]
    if not any(after for _, after in more):
        return array
    beyond = np.nan if array.dtype.kind == "f" else -1
    return np.pad(array, more, constant_values=beyond)


def _exchange(step: AllReduce, ranks: Mapping[tuple[int, ...], _Rank], names: Sequence[str]) -> int:
    """Carry out a message among each group of ranks; how many numbers a rank sends."""
    own = names.index(step.split.axis.name)
    groups: dict[tuple[int, ...], list[_Rank]] = {}
    for place, rank in ranks.items():
        groups.setdefault((*place[:own], *place[own + 1 :]), []).append(rank)
    sent = 0
    for group in groups.values():
        for part in step.parts:
            whole = _combined(part, group)
            sent = max(
                sent, sum(np.size(group[0].arrays[p.source.tensor.name]) for p in step.parts)
            )
            for rank in group:
                rank.arrays[part.name] = whole
    return sent


def _combined(part: Collective, group: Sequence[_Rank]) -> Array:
    sources = [rank.arrays[part.source.tensor.name] for rank in group]
    if part.op != "argmax":
        return reduce(FOLDS[part.op], sources)
    assert part.value is not None
    values = [rank.arrays[part.value.tensor.name] for rank in group]
    most = reduce(np.maximum, values)
    size = group[0].sizes[part.split.axis.name]
    held = [rank.sizes[part.split.local.name] > 0 for rank in group]
    here = [
        np.where(~(x < most) & there, label, size)
        for x, label, there in zip(values, sources, held, strict=True)
    ]
    return reduce(np.minimum, here)


def _whole(
    tensor: Tensor, ranks: Mapping[tuple[int, ...], _Rank], program: Program, names: Sequence[str]
) -> Array:
    """The array put together from the parts of all ranks."""
    first = next(iter(ranks.values()))
    local: dict[Axis, Split] = {s.local: s for s in program.splits}
    shape = tuple(first.sizes[local[a].axis.name if a in local else a.name] for a in tensor.axes)
    whole, known = np.full(shape, EMPTY["sum"]), np.zeros(shape, bool)
    for rank in ranks.values():
        here = rank.slices(tensor)
        part, beyond = _without_padding(rank.arrays[tensor.name], whole[here].shape)
        if np.any(beyond):
            raise AssertionError(f"the padding of {tensor.name} is not 0")
        if not np.array_equal(whole[here][known[here]], part[known[here]], equal_nan=True):
            raise AssertionError(f"the ranks differ in {tensor.name}")
        whole[here], known[here] = part, True
    return whole


def _without_padding(part: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """What of a part is in the whole, and the rest of it."""
    beyond = np.ones(np.shape(part), bool)
    inside = tuple(map(slice, shape))
    beyond[inside] = False
    return part[inside], part[beyond]
