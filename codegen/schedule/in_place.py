"""Which outputs may be written into the memory of an input."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.kernel import reads
from codegen.schedule.plan import Schedule, Sum
from codegen.schedule.rooms import names_read
from derive.index import Index


def in_place(plan: Schedule) -> Iterator[tuple[str, str]]:
    """The pairs (input, output) that may be one memory."""
    tensors = {given.name: given.tensor for given in plan.kernel.inputs}
    for key, entry in plan.kernel.outputs:
        given = tensors.get(key)
        if given is None or given.axes != entry.tensor.axes or given.label or not given.axes:
            continue
        if _may_share(plan, key, entry.tensor.name):
            yield key, entry.tensor.name


def _may_share(plan: Schedule, given: str, output: str) -> bool:
    """Whether the input is never read once its memory may hold the output, or scratch of it."""
    guests = {output, *(name for name, host in plan.hosts.items() if host == output)}
    written = False
    for phase in plan.phases:
        if isinstance(phase, Sum):
            if given in names_read(phase) and (written or phase.statement.name == output):
                return False
            continue
        if written and given in names_read(phase):
            return False
        started: tuple[Index, ...] | None = None
        for loop in phase.loops:
            writers = [s.indices for s in loop.statements if s.name in guests]
            here = writers[0] if writers else started
            for entry in (e for s in loop.statements for e in reads(s) if e.tensor.name == given):
                if started is not None or (here is not None and entry.indices != here):
                    return False
            started = here
        written = written or started is not None
    return True
