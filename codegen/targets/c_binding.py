"""The Python module that calls a compiled kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codegen.emit import render
from codegen.kernel import Kernel
from codegen.targets.array_lines import tuple_of
from codegen.targets.c_function import Function
from codegen.targets.facts import Facts
from codegen.targets.numpy import SUMMARIES, safe_names, signature, table_of, tables
from codegen.targets.numpy_function import call_of

SUFFIXES = {"_loss": "", "": "_value_and_gradient"}


@dataclass(frozen=True)
class Bound:
    """A Python function that calls a C function."""

    signature: str
    summary: str
    passed: str
    suffix: str
    gradients: bool


def binding(
    kernel: Kernel, facts: Facts, functions: Sequence[Function], in_place: Sequence[str]
) -> str:
    """The text of the module."""
    names = safe_names(kernel)
    keys = [key for key, _ in kernel.outputs if key]
    first = functions[0].real
    mine = [f for f in functions if f.real == first]
    given = [f"{names[g.name]}={names[g.name]}" for g in kernel.inputs]
    passed = call_of("sizes, dtype, arrays = _arguments(", given)
    bound = []
    for function in mine:
        if function.suffix not in SUFFIXES:
            continue
        suffix = SUFFIXES[function.suffix]
        text = signature(kernel.name + suffix, kernel, names, ("out=None",))
        bound.append(Bound(text, SUMMARIES[suffix], passed, function.suffix, bool(suffix)))
    results = {key: tuple(a.name for a in entry.tensor.axes) for key, entry in kernel.outputs}
    return render(
        "binding.py.j2",
        facts=facts,
        name=kernel.name,
        functions=bound,
        keys=keys,
        few=next((f.few for f in mine if f.few), ""),
        scales=False,
        in_place=in_place,
        in_place_set=tuple_of(f'"{key}"' for key in in_place),
        **tables(kernel, names),
        dtypes=tuple_of(('"float32"', '"float64"')),
        results=table_of(results),
        parameters=[
            (
                f.suffix,
                [
                    (p.kind, p.of if "result" in p.kind else names.get(p.of, p.of))
                    for p in f.parameters
                ],
            )
            for f in mine
        ],
        prefix=f"pminusy_{kernel.name}",
    )
