"""Names in a generated Triton module: of arguments, axes, arrays, and what is made of them."""

from __future__ import annotations

import keyword
from collections.abc import Sequence

from codegen.kernel import Input, Kernel
from codegen.schedule import Phase, tensors_of
from codegen.targets.numpy import safe_names
from codegen.targets.triton_frame import Names
from codegen.targets.triton_plan import Plan
from derive.index import Entry

ENDINGS = (
    *("", "_ptr", "_here", "_all", "_best", "_at", "_next"),
    *("_below", "_ties", "_grown", "_tied", "_power"),
)
RESERVED = (
    *(
        "torch",
        "triton",
        "tl",
        "os",
        "warnings",
        "wrap_triton",
        "triton_op",
        "float",
        "max",
        "slice",
        "range",
    ),
    *("tuple", "dict", "zip", "any", "int", "BLOCK", "TILE", "CHUNK_BYTES", "HALF", "ROWS"),
    *(
        "row",
        "in_rows",
        "one",
        "lone",
        "wrong",
        "scale",
        "scale_step",
        "start",
        "first",
        "step",
        "at",
    ),
    *("consts", "slopes", "each"),
    *("real", "tile", "layout", "options", "kernel", "grid", "loss", "given", "reduction"),
    *("on_empty", "check", "found", "total", "size", "wanted", "True", "False", "None"),
)


def is_number(given: Input) -> bool:
    """Whether an argument is a number that a caller writes."""
    return given.role == "const" and not given.tensor.axes


def row_input(kernel: Kernel) -> str:
    """The first argument that has rows."""
    return next(g.name for g in kernel.inputs if kernel.batch in g.tensor.axes)


def main_input(kernel: Kernel) -> str:
    """The first array of real numbers, whose dtype and device are those of the results."""
    found = [g for g in kernel.inputs if g.tensor.label is None and not is_number(g)]
    arrays = [g.name for g in found if kernel.batch in g.tensor.axes]
    return (arrays or [g.name for g in found])[0]


def argument_names(kernel: Kernel) -> dict[str, str]:
    """The name of each argument."""
    axes = {axis.name for given in kernel.inputs for axis in given.tensor.axes}
    taken = {*RESERVED, *axes, *(axis.lower() for axis in axes)}
    names = safe_names(kernel)
    found: dict[str, str] = {}
    for given in kernel.inputs:
        found[given.name] = _free(names[given.name], taken, ("",))
        taken.add(found[given.name])
    return found


def names_of(plan: Plan, keys: Sequence[str], value: str = "loss") -> Names:
    """A Python name for each axis and each array, and room beside it for what is made of it;
    `value` is what the output without a key is called."""
    kernel = plan.schedule.kernel
    tensors = tensors_of(kernel)
    outputs = {entry.tensor.name: key for key, entry in kernel.outputs if key in keys}
    letters = {
        index.name
        for phase in plan.schedule.phases
        if isinstance(phase, Phase)
        for loop in phase.loops
        for index in loop.indices
    }
    arrays = argument_names(kernel)
    taken = {*RESERVED, *letters, *(f"{p}_{x}" for x in letters for p in ("in", "has"))}
    taken |= {f"{name}{ending}" for name in arrays.values() for ending in ENDINGS}
    axes: dict[str, str] = {}
    for axis in dict.fromkeys(a.name for of in tensors.values() for a in of):
        axes[axis] = _free(axis, taken, ("",))
        taken.add(axes[axis])
    for tensor in tensors:
        if tensor in arrays:
            continue
        key = outputs.get(tensor)
        wanted = tensor if key is None else f"d{arrays[key]}" if key else value
        free = key == "" and value in RESERVED
        arrays[tensor] = wanted if free else _free(wanted, taken, ENDINGS)
        taken |= {f"{arrays[tensor]}{ending}" for ending in ENDINGS}
    marks = {g.name: Entry(g.ignored) for g in kernel.inputs if g.ignored is not None}
    return Names(arrays, axes, tensors, marks)


def _free(name: str, taken: set[str], endings: Sequence[str]) -> str:
    while keyword.iskeyword(name) or any(f"{name}{ending}" in taken for ending in endings):
        name += "_"
    return name
