"""Where each array that is computed is kept."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.kernel import Kernel, Map, Reduce, reads
from codegen.schedule.plan import Loop, Phase, Sum


def rooms_of(
    kernel: Kernel, phases: Sequence[Phase | Sum]
) -> tuple[dict[str, str], dict[str, str]]:
    """The room of each array, and the hosts of those that share one."""
    outputs = {entry.tensor.name for _, entry in kernel.outputs}
    rooms: dict[str, str] = {}
    for phase in phases:
        if isinstance(phase, Sum):
            rooms[phase.statement.name] = "array"
            continue
        for loop in phase.loops:
            for statement in loop.statements:
                rooms[statement.name] = _room(statement, loop, phase, phases)
    rooms |= {name: "output" for name in outputs if name in rooms}
    hosts: dict[str, str] = {}
    for phase in phases:
        if isinstance(phase, Phase):
            hosts |= _shared(phase, rooms, kernel)
    return rooms | dict.fromkeys(hosts, "shared"), hosts


def _room(statement: Map | Reduce, loop: Loop, phase: Phase, phases: Sequence[Phase | Sum]) -> str:
    if any(statement.name in names_read(other) for other in phases if other is not phase):
        return "array"
    if len(statement.indices) == (phase.row is not None):
        return "scalar"
    if isinstance(statement, Map) and not any(
        statement.name in _loop_reads(other) for other in phase.loops if other is not loop
    ):
        return "local"
    return "row"


def names_read(phase: Phase | Sum) -> frozenset[str]:
    """The arrays that a phase reads."""
    if isinstance(phase, Sum):
        return frozenset(entry.tensor.name for entry in reads(phase.statement))
    return frozenset[str]().union(*(_loop_reads(loop) for loop in phase.loops))


def _loop_reads(loop: Loop) -> frozenset[str]:
    return frozenset(e.tensor.name for s in loop.statements for e in reads(s))


def _shared(phase: Phase, rooms: dict[str, str], kernel: Kernel) -> dict[str, str]:
    """Rows of scratch that fit into the row of an output which is only written later."""
    made = {s.name: (at, s) for at, loop in enumerate(phase.loops) for s in loop.statements}
    free = [name for name in made if rooms[name] == "output" and len(made[name][1].indices) > 1]
    hosts: dict[str, str] = {}
    for name, (_, statement) in made.items():
        if rooms[name] != "row" or isinstance(statement, Reduce):
            continue
        for host in free:
            end, owner = made[host]
            if not isinstance(owner, Map) or owner.indices != statement.indices:
                continue
            if _last_read(name, phase, end, owner) and _never_read(host, phase):
                hosts[name] = host
                free.remove(host)
                break
    return hosts


def _last_read(name: str, phase: Phase, end: int, owner: Map) -> bool:
    """Whether `name` is read no later than where `owner` is written, and there at its element."""
    for at, loop in enumerate(phase.loops):
        for entry in (e for s in loop.statements for e in reads(s) if e.tensor.name == name):
            if at > end or (at == end and entry.indices != owner.indices):
                return False
    return True


def _never_read(name: str, phase: Phase) -> bool:
    return not any(name in _loop_reads(loop) for loop in phase.loops)
