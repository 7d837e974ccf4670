"""A rank's program as text: what `generate --shard K --explain` prints."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.kernel import Contract, Map
from codegen.shard.cost import cost_lines
from codegen.shard.program import AllReduce, Collective, Program, Step, count
from derive.index import Index

RANKS = (1, 8, 64, 1024)
SIZES = {"N": 8192, "K": 131072}
SIZE = 4096  # of any other axis


def program_lines(program: Program) -> Iterator[str]:
    """How arrays are split, the steps of loss and gradients, and the messages counted."""
    for split in program.splits:
        yield f"{split.axis.name} is split: a rank has {split.local.name} of them"
    yield "arguments: " + ", ".join(_array(g.name, g.tensor.axes) for g in program.inputs)
    for at, step in enumerate(program.steps):
        if at == 0:
            yield "loss"
        if at == program.forward:
            yield "gradients"
        yield f"  {_line(step)}"
    forward, backward = program.collectives()
    yield f"{_count(count(forward))} forward, {_count(count(backward))} backward"
    yield "results: " + ", ".join(
        _array(key or "loss", entry.tensor.axes) for key, entry in program.outputs
    )


def cost_table(program: Program) -> Iterator[str]:
    """The simulated cost on more and more ranks, for sizes of a large vocabulary."""
    axes = {a.name for g in program.inputs for a in g.tensor.axes}
    axes |= {split.axis.name for split in program.splits}
    axes -= {split.local.name for split in program.splits}
    sizes = {name: SIZES.get(name, SIZE) for name in sorted(axes)}
    said = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    each = " a split axis" if len(program.splits) > 1 else ""
    yield f"simulated cost, ranks{each}, float32, {said}"
    yield from cost_lines(program, RANKS, sizes)
    yield "  5 us a message, 50 GB/s between ranks, 2 TB/s of memory, no statements fused"


def _array(name: str, axes: tuple[object, ...]) -> str:
    return f"{name} ({', '.join(map(str, axes))})" if axes else name


def _count(number: int) -> str:
    return f"{number} all-reduce" if number == 1 else f"{number} all-reduces"


def _line(step: Step) -> str:
    if isinstance(step, AllReduce):
        sent = ", ".join(_head(part) for part in step.parts)
        return f"all-reduce {step.op} over the ranks of {step.split.axis.name}: {sent}"
    if isinstance(step, Map):
        return _head(step)
    op = "sum" if isinstance(step, Contract) else step.op
    return f"{_head(step)} = {op} over {', '.join(i.axis.name for i in step.over)}"


def _head(node: Step | Collective) -> str:
    assert not isinstance(node, AllReduce)
    return f"{node.name}[{_letters(node.indices)}]" if node.indices else node.name


def _letters(indices: tuple[Index, ...]) -> str:
    return ", ".join(index.name for index in indices)
