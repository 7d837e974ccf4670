"""A rank's program as text: what `generate --shard ... --explain` prints."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.kernel import Contract, Map
from codegen.shard.program import AllReduce, Collective, Program, Step
from derive.index import Index

BACKWARD = {0: "the gradients need no more"}


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
    yield f"{_count(len(forward))} forward, {_count(len(backward))} backward"
    yield "results: " + ", ".join(
        _array(key or "loss", entry.tensor.axes) for key, entry in program.outputs
    )


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
