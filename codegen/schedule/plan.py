"""What a schedule is: phases, the loops of a row, and the room of each array."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Expr

from codegen.kernel import Contract, Kernel, Map, Reduce, defines
from derive.index import Axis, Index


@dataclass(frozen=True)
class Loop:
    """Statements computed together for each value of the indices; straight-line without any."""

    indices: tuple[Index, ...]
    statements: tuple[Map | Reduce, ...]


@dataclass(frozen=True)
class Shifted:
    """A maximum, the exponentials of differences from it, and the sums of multiples of them.

    With each sum, how often it has the ties at the maximum; `count` is the sum of the ties alone.
    """

    maximum: Reduce
    exponentials: Map
    sums: tuple[tuple[Reduce, Expr], ...]
    count: Reduce | None


@dataclass(frozen=True)
class Online:
    """Loop number `at` of a row and the next are one pass, block by block."""

    at: int
    shifted: tuple[Shifted, ...]


@dataclass(frozen=True)
class Phase:
    """Loops for each row; with no row, they run once."""

    row: Index | None
    loops: tuple[Loop, ...]
    online: Online | None = None


@dataclass(frozen=True)
class Sum:
    """A sum over the rows that earlier phases computed, into an array over other axes."""

    statement: Reduce | Contract


@dataclass(frozen=True)
class Schedule:
    """Phases in order, and the room of each array that is computed.

    Rooms: "output" (the caller's), "scalar" (one number a row), "local" (one number an element),
    "row" (a row of scratch), "shared" (the row of the output that `hosts` names) and "array"
    (scratch for all rows).  `elements` are the numbers of a row that are elements of it, and
    rounded as such.
    """

    kernel: Kernel
    phases: tuple[Phase | Sum, ...]
    rooms: dict[str, str]
    hosts: dict[str, str]
    elements: frozenset[str]
    chunked: bool = False


def tensors_of(kernel: Kernel) -> dict[str, tuple[Axis, ...]]:
    """The axes of every array of a kernel, by name."""
    found = {given.name: given.tensor.axes for given in kernel.inputs}
    return found | {s.name: defines(s).axes for s in kernel.statements}
