"""The Numba target: one module, with compiled functions for each phase in float and double."""

from __future__ import annotations

import importlib.util
import keyword
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codegen.compile import cached_file
from codegen.emit import render
from codegen.kernel import Kernel
from codegen.schedule import Phase, Schedule, Sum, in_place, schedule, tensors_of
from codegen.targets.array_lines import tuple_of
from codegen.targets.c_strips import strips_of
from codegen.targets.facts import Facts
from codegen.targets.numba_frame import Frame
from codegen.targets.numba_functions import called, source
from codegen.targets.numba_lines import phase_lines, sum_lines
from codegen.targets.numba_strips import strip_lines
from codegen.targets.numpy import SUMMARIES, safe_names, signature, table_of, tables
from codegen.targets.numpy_function import call_of
from codegen.targets.target import Functions, Target
from derive.errors import KernelError
from derive.index import Axis

REALS = {"float32": ("f32", "float"), "float64": ("f64", "double")}
REMEDY = "pip install 'pminusy[numba]'"
ENDINGS = ("", "_all", "_now", "_part", "_next", "_best", "_lanes", "_at")
RESERVED = (
    *("np", "math", "njit", "prange", "f32", "f64", "abs", "min", "max", "range"),
    *("first", "end", "outer", "block", "count", "lane", "lanes", "start", "scale", "row"),
    *("row_at", "step", "at", "lanes_f32", "lanes_f64", "job", "strips", "loss"),
)


@dataclass(frozen=True)
class Piece:
    """A compiled function: its lines, and what its parallel driver counts."""

    name: str
    kind: str
    lines: tuple[str, ...]
    axis: str = ""
    outer: str = ""


@dataclass(frozen=True)
class Kernels:
    """What one Python function calls, for one type: pieces, and arrays that they share."""

    suffix: str
    real: str
    arguments: str
    pieces: tuple[Piece, ...]
    strip: Piece | None
    few: str
    scratch: tuple[tuple[str, str], ...]

    @property
    def compiled(self) -> tuple[Piece, ...]:
        """Every piece; the strip stands alone, and shares nothing."""
        return (self.strip, *self.pieces) if self.strip else self.pieces

    def given(self, piece: Piece) -> str:
        """The arguments of a piece."""
        shared = [] if piece is self.strip else [name for name, _ in self.scratch]
        return ", ".join([self.arguments, *shared])


@dataclass(frozen=True)
class Function:
    """A Python function of the module."""

    suffix: str
    signature: str
    summary: str
    passed: str
    results: tuple[str, ...]
    gradients: bool


def emit(kernel: Kernel, facts: Facts, dtypes: tuple[str, ...]) -> dict[str, str]:
    """The module."""
    names = safe_names(kernel)
    keys = tuple(key for key, _ in kernel.outputs if key)
    parts = {"": ("",)} | ({"_value_and_gradient": ("", *keys)} if keys else {})
    computed = {suffix: kernel.needed(*wanted) for suffix, wanted in parts.items()}
    if kernel.weights is not None:
        computed["_weight"] = kernel.weights
    axes = _axes(schedule(kernel))
    found = [
        _kernels(part, suffix, axes, REALS[dtype][0])
        for suffix, part in computed.items()
        for dtype in dtypes
        if dtype in REALS
    ]
    given = [f"{names[g.name]}={names[g.name]}" for g in kernel.inputs]
    passed = call_of("sizes, dtype, arrays = _arguments(", given)
    functions = [
        Function(
            suffix,
            signature(kernel.name + suffix, kernel, names, ("out=None",)),
            SUMMARIES[suffix],
            passed,
            wanted,
            bool(suffix),
        )
        for suffix, wanted in parts.items()
    ]
    shared = [key for key, _ in in_place(schedule(kernel))]
    results = {key: tuple(a.name for a in entry.tensor.axes) for key, entry in kernel.outputs}
    text = render(
        "numba.py.j2",
        facts=facts,
        functions=functions,
        kernels=found,
        helpers=_helpers(found),
        keys=keys,
        scales=False,
        in_place=shared,
        in_place_set=tuple_of(f'"{key}"' for key in shared),
        **tables(kernel, names),
        dtypes=tuple_of(f'"{dtype}"' for dtype in dtypes if dtype in REALS),
        results=table_of(results),
        axes=[axis.name for axis in axes],
    )
    return {f"{kernel.name}.py": text}


def _helpers(found: Sequence[Kernels]) -> list[str]:
    text = "\n".join(line for k in found for piece in k.compiled for line in piece.lines)
    return [
        helper for suffix, real in REALS.values() for helper in source(called(text, suffix), real)
    ]


def _axes(plan: Schedule) -> tuple[Axis, ...]:
    return tuple(dict.fromkeys(axis for of in tensors_of(plan.kernel).values() for axis in of))


def _kernels(kernel: Kernel, suffix: str, axes: tuple[Axis, ...], real: str) -> Kernels:
    plan = schedule(kernel)
    tensors = tensors_of(plan.kernel)
    keys = tuple(key for key, _ in kernel.outputs)
    outputs = {entry.tensor.name: key for key, entry in plan.kernel.outputs if key in keys}
    names = _names(plan, {axis.name for axis in axes} | set(_indices(plan)), outputs)
    scaled = frozenset(name for name, key in outputs.items() if key)
    frame = Frame(plan, names, real, scaled, tensors)
    stem = f"_{kernel.name}{suffix}_{real}"
    results = sorted(outputs, key=lambda name: keys.index(outputs[name]))
    scratch = tuple(
        (names[name], tuple_of([axis.name for axis in tensors[name]] or ["1"]))
        for name, room in plan.rooms.items()
        if room == "array"
    )
    given = [given.name for given in plan.kernel.inputs]
    arguments = [axis.name for axis in axes] + [names[name] for name in (*given, *results)]
    strips = strips_of(plan)
    strip = None
    if strips:
        lines = tuple(strip_lines(strips, frame))
        strip = Piece(f"{stem}_strips", "rows", lines, strips.phase.row.axis.name)  # type: ignore[union-attr]
    whole = strips is not None and strips.axis is None
    pieces = () if whole else tuple(_piece(p, frame, stem, n) for n, p in enumerate(plan.phases))
    few = strips.axis.name if strips and strips.axis else ""
    return Kernels(suffix, real, ", ".join([*arguments, "scale"]), pieces, strip, few, scratch)


def _piece(phase: Phase | Sum, frame: Frame, stem: str, number: int) -> Piece:
    name = f"{stem}_{number + 1}"
    if isinstance(phase, Sum):
        *outer, last = (index.axis.name for index in phase.statement.indices)
        return Piece(name, "sum", tuple(sum_lines(phase, frame)), last, outer[0] if outer else "")
    lines = tuple(phase_lines(phase, frame))
    return Piece(
        name, "rows" if phase.row else "once", lines, phase.row.axis.name if phase.row else ""
    )


def _indices(plan: Schedule) -> list[str]:
    found = []
    for phase in plan.phases:
        if isinstance(phase, Phase):
            found += [index.name for loop in phase.loops for index in loop.indices]
        else:
            found += [i.name for i in (*phase.statement.indices, *phase.statement.over)]
    return found


def _names(plan: Schedule, used: set[str], outputs: Mapping[str, str]) -> dict[str, str]:
    """A Python name for each array, and room beside it for what the lines make of it."""
    taken = {*RESERVED, *used, *(f"{name}_at" for name in used)}
    names: dict[str, str] = {}
    for tensor in tensors_of(plan.kernel):
        key = outputs.get(tensor)
        name = tensor if key is None else f"d{key}" if key else "loss_of_row"
        while keyword.iskeyword(name) or any(f"{name}{ending}" in taken for ending in ENDINGS):
            name += "_"
        taken |= {f"{name}{ending}" for ending in ENDINGS}
        names[tensor] = name
    return names


def load(files: Mapping[str, str], kernel: Kernel) -> Functions:
    """Import the module from the cache of the user's, where Numba keeps what it compiles of it."""
    if importlib.util.find_spec("numba") is None:
        raise KernelError(f"Numba is not installed: {REMEDY}; target='numpy' needs no compiler")
    place = cached_file(f"numba_{kernel.name}", ".py", files[f"{kernel.name}.py"])
    key = place.stem
    spec = importlib.util.spec_from_file_location(key, place)
    if spec is None or spec.loader is None:
        raise KernelError(f"{place} cannot be imported")
    if key not in sys.modules:
        module = importlib.util.module_from_spec(spec)
        sys.modules[key] = module
        spec.loader.exec_module(module)
    return vars(sys.modules[key])


TARGET = Target(
    "numba",
    "Numba: a module of functions that are compiled when they are first called",
    emit,
    load,
    modules=("numba",),
    remedy=REMEDY,
    compensates=True,
)
