"""The C99 target: one function for the loss, one for it and its gradients, in float and double."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from codegen.compile import library
from codegen.emit import render
from codegen.kernel import Kernel, reads
from codegen.schedule import Phase, Schedule, in_place, schedule, tensors_of
from codegen.targets.c_binding import binding
from codegen.targets.c_dialect import SUFFIX, helpers
from codegen.targets.c_frame import Frame, indent
from codegen.targets.c_function import Function, Parameter
from codegen.targets.c_functions import HEADERS, source
from codegen.targets.c_labels import other_labels
from codegen.targets.c_lines import phase_lines
from codegen.targets.c_names import identifier, identifiers
from codegen.targets.c_strips import strip_lines, strips_of
from codegen.targets.facts import Facts
from codegen.targets.target import Functions, Target, python_module
from derive.index import Axis, Tensor

CHUNKS = (
    "for (int64_t first = 0; first < N; first += PM_CHUNK) {",
    "    const int64_t count = PM_CHUNK_OF(N - first);",
)
DTYPES = {"float32": "float", "float64": "double"}
MOST_FEW = 16  # rows this short are turned into lanes


def emit(kernel: Kernel, facts: Facts, dtypes: tuple[str, ...]) -> dict[str, str]:
    """The .c and .h files, and a Python module that calls the compiled library."""
    found = tuple(f for dtype in dtypes if dtype in DTYPES for f in functions(kernel, dtype))
    weighted = f"pminusy_{kernel.name}_weight_*" if kernel.weight is not None else ""
    helper_texts = []
    for real in dict.fromkeys(f.real for f in found):
        text = "\n".join(line for f in found for line in (*f.lines, *f.strip))
        helper_texts.append(source(helpers(text, real), real))
    name = kernel.name
    shared = [key for key, _ in in_place(schedule(kernel, products=True))]
    values: dict[str, Any] = {"facts": facts, "functions": found, "in_place": shared}
    values |= {"weighted": weighted, "marks": [g.ignored for g in kernel.inputs if g.ignored]}
    return {
        f"{name}.c": render(
            "kernel.c.j2", **values, helpers=helper_texts, headers=HEADERS, header=f"{name}.h"
        ),
        f"{name}.h": render("kernel.h.j2", **values, guard=f"PMINUSY_{name.upper()}_H"),
        f"{name}.py": binding(kernel, facts, found, shared),
    }


def functions(kernel: Kernel, dtype: str) -> tuple[Function, ...]:
    """The functions of a kernel in one type: the loss, the loss with its gradients, and what each
    sample weighs."""
    keys = tuple(key for key, _ in kernel.outputs if key)
    parts = [("_loss", kernel.needed(""))]
    parts += [("", kernel.needed("", *keys))] if keys else []
    if kernel.weights is not None:
        parts.append(("_weight", _alone(kernel.weights)))
    return tuple(_function(part, suffix, DTYPES[dtype]) for suffix, part in parts)


def _alone(kernel: Kernel) -> Kernel:
    """The kernel with the arguments that it needs only."""
    names = {entry.tensor.name for s in kernel.statements for entry in reads(s)}
    names |= {g.ignored.name for g in kernel.inputs if g.name in names and g.ignored}
    return replace(kernel, inputs=tuple(g for g in kernel.inputs if g.name in names))


def function_name(kernel: Kernel, suffix: str, real: str) -> str:
    """The name of a C function."""
    return f"pminusy_{kernel.name}{suffix}_{SUFFIX[real]}"


def _function(kernel: Kernel, suffix: str, real: str) -> Function:
    plan = schedule(kernel, products=True, online=True)
    keys = tuple(key for key, _ in kernel.outputs)
    tensors = tensors_of(plan.kernel)
    found = [axis for of in tensors.values() for axis in of]
    found += [g.tensor.label for g in kernel.inputs if g.tensor.label is not None]
    axes = tuple(dict.fromkeys(found))
    taken = {axis.name for axis in axes} | _index_names(plan)
    outputs = {entry.tensor.name: key for key, entry in plan.kernel.outputs if key in keys}
    names = identifiers([given.name for given in kernel.inputs], taken)
    for name, key in outputs.items():
        names[name] = identifier(f"d{key}", taken) if key else "loss"
    rest = [name for name in tensors if name not in names]
    names |= identifiers(rest, taken)
    lookups = {g.name: identifier(f"{names[g.name]}_at", taken) for g in kernel.inputs if g.ignored}
    leading = {
        name: identifier(f"ld{names[name]}", taken)
        for name in tensors
        if len(tensors[name]) >= 2 and (name in outputs or name not in plan.rooms)
    }
    labels = frozenset(g.name for g in kernel.inputs if g.tensor.label is not None)
    scaled = frozenset(name for name, key in outputs.items() if key)
    frame = Frame(plan, names, leading, real, labels, scaled, tensors, lookups=lookups)
    lines = [line for phase in plan.phases for line in phase_lines(phase, frame)]
    if plan.chunked:
        lines = [*CHUNKS, *indent(lines), "}"]
    lines = [*other_labels(frame), *lines]
    parameters = _parameters(plan, frame, axes, outputs)
    scratch = _scratch(plan, frame)
    name = function_name(kernel, suffix, real)
    strips = strips_of(plan)
    strip = tuple(strip_lines(strips, frame)) if strips else ()
    few = strips.axis.name if strips and strips.axis else ""
    return Function(name, suffix, real, parameters, scratch, tuple(lines), strip, few)


def _index_names(plan: Schedule) -> set[str]:
    found = {"row"}
    for phase in plan.phases:
        if isinstance(phase, Phase):
            found |= {index.name for loop in phase.loops for index in loop.indices}
        else:
            found |= {i.name for i in (*phase.statement.indices, *phase.statement.over)}
    return found


def _parameters(
    plan: Schedule, frame: Frame, axes: tuple[Axis, ...], outputs: dict[str, str]
) -> tuple[Parameter, ...]:
    real, names = frame.real, frame.names
    found = [Parameter("size", a.name, f"int64_t {a.name}", a.name) for a in axes]
    for given in plan.kernel.inputs:
        found += _argument(given.tensor, names[given.name], frame)
    for name in sorted(outputs, key=lambda name: list(outputs.values()).index(outputs[name])):
        found.append(Parameter("result", names[name], f"{real} *{names[name]}", outputs[name]))
        if name in frame.leading:
            stride = frame.leading[name]
            found.append(Parameter("result stride", stride, f"int64_t {stride}", outputs[name]))
    if frame.scaled:
        found.append(Parameter("scale", "scale", "double scale"))
    found.append(Parameter("workspace", "workspace", "void *workspace"))
    return tuple(found)


def _argument(tensor: Tensor, name: str, frame: Frame) -> list[Parameter]:
    if tensor.label is not None and not tensor.axes:
        return [Parameter("label", name, f"int64_t {name}", tensor.name)]
    if not tensor.axes:
        return [Parameter("number", name, f"{frame.real} {name}", tensor.name)]
    kind = frame.real if tensor.label is None else "int64_t"
    found = [Parameter("array", name, f"const {kind} *{name}", tensor.name)]
    if tensor.name in frame.leading:
        stride = frame.leading[tensor.name]
        found.append(Parameter("stride", stride, f"int64_t {stride}", tensor.name))
    return found


def _scratch(plan: Schedule, frame: Frame) -> tuple[tuple[str, str], ...]:
    """(name, number of elements) of each array that the caller's workspace holds."""
    found = []
    for name, room in plan.rooms.items():
        axes = frame.tensors[name]
        if room == "array":
            words = [a.name for a in axes] or ["1"]
            if plan.chunked and axes[:1] == (plan.kernel.batch,):
                words[0] = f"PM_CHUNK_OF({words[0]})"
            found.append((frame.names[name], " * ".join(words)))
        elif room == "row":
            size = " * ".join(a.name for a in axes[1:])
            found.append((f"{frame.names[name]}_rows", f"PM_THREADS * ({size})"))
    return tuple(found)


def load(files: Mapping[str, str], kernel: Kernel) -> Functions:
    """Compile, and call through the binding; a short axis gets a library of its own."""
    name = kernel.name
    sources = {file: text for file, text in files.items() if not file.endswith(".py")}
    # A module of its own: that of another loss may have the same text, but not its library.
    module = python_module(files[f"{name}.py"])

    def specialise(size: int) -> None:
        """Only what this size needs is compiled."""
        few = size if size <= MOST_FEW else 0
        if few not in module["_libraries"]:
            defines = (f"-DPM_FEW={few}", "-DPM_FEW_ONLY") if few else ()
            module["load"](library(sources, name, defines), few)

    if "PM_FEW" in sources[f"{name}.c"]:
        module["specialise"] = specialise
    else:
        module["load"](library(sources, name))
    return module


TARGET = Target(
    "c",
    "C99 with OpenMP, and a Python module that calls it",
    emit,
    load,
    programs=("cc",),
    remedy="apt-get install gcc",
    compensates=True,
)
