"""What a sharded kernel costs on many ranks: a simulation with latency and bandwidth.

The alpha-beta model (Hockney 1994; Thakur, Rabenseifner and Gropp 2005).  An all-reduce of n bytes
over p ranks takes the faster of

    a ring     2 (p - 1) alpha + 2 (p - 1)/p n beta
    a tree     2 ceil(log2 p) (alpha + n beta)

and the statements of a rank take the time that its memory needs to read their operands and write
their results, each array once a statement: nothing is fused, so that this is an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log2, prod

from codegen.kernel import reads
from codegen.shard.program import AllReduce, Program, Step, made_by
from derive.index import Tensor


@dataclass(frozen=True)
class Network:
    """Seconds a message, seconds a byte between ranks, seconds a byte of a rank's memory."""

    alpha: float = 5e-6
    beta: float = 1 / 50e9
    memory: float = 1 / 2e12


@dataclass(frozen=True)
class Cost:
    """Seconds of the statements and of the messages of one call, and the bytes a rank sends."""

    ranks: int
    local: float
    messages: float
    sent: int

    @property
    def whole(self) -> float:
        return self.local + self.messages


def cost(
    program: Program,
    ranks: int,
    sizes: Mapping[str, int],
    network: Network | None = None,
    width: int = 4,
) -> Cost:
    """The cost of loss and gradients on so many ranks a split axis; `width` bytes a number.

    `sizes` are those of the whole axes; every rank has an equal part.
    """
    network = network or Network()
    parts = {s.local.name: ceil(sizes[s.axis.name] / ranks) for s in program.splits}
    known = {**sizes, **parts}
    local = messages = 0.0
    sent = 0
    for step in program.steps:
        if isinstance(step, AllReduce):
            size = width * sum(_size(part.tensor, known) for part in step.parts)
            messages += all_reduce(size, ranks, network)
            sent += size
        else:
            local += network.memory * width * _moved(step, known)
    return Cost(ranks, local, messages, sent)


def all_reduce(size: int, ranks: int, network: Network) -> float:
    """Seconds of an all-reduce of so many bytes."""
    if ranks == 1:
        return 0.0
    ring = 2 * (ranks - 1) * (network.alpha + size * network.beta / ranks)
    tree = 2 * ceil(log2(ranks)) * (network.alpha + size * network.beta)
    return min(ring, tree)


def _moved(step: Step, sizes: Mapping[str, int]) -> int:
    assert not isinstance(step, AllReduce)
    arrays = {entry.tensor for entry in reads(step)} | {made_by(step)}
    return sum(_size(tensor, sizes) for tensor in arrays)


def _size(tensor: Tensor, sizes: Mapping[str, int]) -> int:
    return prod(sizes[axis.name] for axis in tensor.axes)


def cost_lines(
    program: Program, ranks: Sequence[int], sizes: Mapping[str, int], network: Network | None = None
) -> Iterator[str]:
    """The costs as a table, with the whole time relative to the first number of ranks."""
    yield "  ranks   statements     messages        whole   speed-up    sent a rank"
    first = None
    for number in ranks:
        found = cost(program, number, sizes, network)
        first = first or found.whole * number / ranks[0]
        yield (
            f"  {number:5}   {_milliseconds(found.local)}  {_milliseconds(found.messages)}"
            f"  {_milliseconds(found.whole)}   {first / found.whole:8.1f}  {_bytes(found.sent)}"
        )


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:8.3f} ms"


def _bytes(number: int) -> str:
    return f"{number / 1e6:8.3f} MB"
