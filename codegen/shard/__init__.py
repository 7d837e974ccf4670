"""A kernel over several ranks: classes, samples, or any axis split, and what the ranks exchange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codegen.kernel import Input, Kernel, defines
from codegen.lower.names import unique
from codegen.schedule.hoist import at_least_one
from codegen.schedule.rest import from_parts
from codegen.shard.labels import with_owners
from codegen.shard.program import AllReduce, Collective, Node, Program, Split, Step
from codegen.shard.rounds import in_rounds
from codegen.shard.separate import separated
from codegen.shard.split import split_axis
from derive.errors import KernelError
from derive.index import Axis, Entry, Tensor

__all__ = ["AllReduce", "Collective", "Program", "Split", "Step", "sharded"]


def sharded(kernel: Kernel, names: Sequence[str], later: Sequence[str] = ()) -> Program:
    """The program of a rank where the axes of these names are split over ranks.

    Inputs named in `later` are there for the gradients only, as a cotangent is.
    Raises KernelError for an axis that no input has.
    """
    splits = _splits(kernel, names)
    taken = {g.name for g in kernel.inputs} | {s.name for s in kernel.statements}
    outputs = [entry.tensor.name for _, entry in kernel.outputs]
    weight = kernel.weight
    outputs += [] if weight is None else [weight.tensor.name]
    statements = from_parts(list(kernel.statements), at_least_one(list(kernel.statements)))
    twins: dict[str, str] = {}
    for split in splits:
        statements = separated(statements, split.axis, taken, outputs)
    nodes: list[Node] = list(statements)
    for split in splits:
        nodes, more = with_owners(nodes, outputs, split, taken)
        twins |= more
    inputs = [g.tensor for g in kernel.inputs]
    arrays = {x.name: x for x in inputs}
    for split in splits:
        nodes, arrays = split_axis(nodes, inputs, split, taken, outputs)
        inputs = [arrays[x.name] for x in inputs]
    given = tuple(replace(g, tensor=arrays[g.name]) for g in kernel.inputs)
    results = tuple((key, _as_held(entry, arrays)) for key, entry in kernel.outputs)
    held = None if weight is None else _as_held(weight, arrays)
    loss = dict(results)[""].tensor.name
    first = (
        [loss] if held is None or held.tensor.name in arrays_of(given) else [loss, held.tensor.name]
    )
    others = [entry.tensor.name for key, entry in results if key]
    steps, forward = in_rounds(nodes, arrays_of(given), first, others, twins, later)
    batch = kernel.batch
    local = next((s.local for s in splits if s.axis == batch), batch)
    return Program(kernel.name, splits, given, steps, forward, results, local, held)


def arrays_of(inputs: Sequence[Input]) -> list[str]:
    """The names of the inputs."""
    return [given.name for given in inputs]


def _splits(kernel: Kernel, names: Sequence[str]) -> tuple[Split, ...]:
    tensors = [g.tensor for g in kernel.inputs]
    axes = {axis.name: axis for tensor in tensors for axis in tensor.axes}
    every = {a.name for s in kernel.statements for a in defines(s).axes} | set(axes)
    splits = []
    for name in dict.fromkeys(names):
        if name not in axes:
            raise KernelError(
                f"{kernel.name}: no input has an axis {name}; it has {', '.join(sorted(axes))}"
            )
        splits.append(Split(axes[name], Axis(unique(f"{name}_local", every))))
    return tuple(splits)


def _as_held(entry: Entry, arrays: dict[str, Tensor]) -> Entry:
    """An output as the rank has it: its part, or the whole array."""
    tensor = arrays[entry.tensor.name]
    indices = tuple(
        type(i)(i.name, axis) for i, axis in zip(entry.indices, tensor.axes, strict=True)
    )
    return Entry(tensor, *indices)
