"""Kernel IR -> schedule: which statements share a loop, and where each array is kept.

A schedule is a list of phases.  A phase is one parallel loop over the rows of an axis, and inside
a row a list of loops that run one after the other; or a sum over the rows of an earlier phase.
Statements share a phase where each row needs no other row, and share a loop where each element
needs no other element: the reductions decide how often the class axis is passed over.
"""

from __future__ import annotations

from codegen.kernel import Kernel
from codegen.schedule.chunks import in_chunks
from codegen.schedule.in_place import in_place
from codegen.schedule.online import with_online
from codegen.schedule.phases import phases_of
from codegen.schedule.plan import Loop, Online, Phase, Schedule, Shifted, Sum, tensors_of
from codegen.schedule.prepare import prepare
from codegen.schedule.rooms import rooms_of
from codegen.schedule.show import schedule_lines

__all__ = [
    "Loop",
    "Online",
    "Phase",
    "Schedule",
    "Shifted",
    "Sum",
    "in_place",
    "schedule",
    "schedule_lines",
    "tensors_of",
]


def schedule(kernel: Kernel, products: bool = False, online: bool = False) -> Schedule:
    """Decide phases, loops and rooms; with `products` the products of matrices stay whole, with
    `online` a maximum and the sums of exponentials against it are one pass."""
    kernel, elements = prepare(kernel, products)
    phases = phases_of(kernel)
    rooms, hosts = rooms_of(kernel, phases)
    if online:
        phases = tuple(with_online(p, rooms) if isinstance(p, Phase) else p for p in phases)
    return Schedule(kernel, phases, rooms, hosts, elements, in_chunks(kernel, phases))
