"""The NumPy target: one pure function for the loss, one for its gradient, one for both."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any

from codegen.emit import render
from codegen.kernel import Input, Kernel, defines
from codegen.targets.array_lines import tuple_of
from codegen.targets.facts import Facts
from codegen.targets.numpy_function import function, weights_function
from codegen.targets.target import Target, load_python

RESERVED = (
    "np",
    "math",
    "dtype",
    "reduction",
    "on_empty",
    "sizes",
    "divisor",
    "loss",
    "gradients",
    "blocks",
    "given",
    "out",
    "results",
    "rows",
    "_",
)
BUILTINS = ("dict", "float", "int", "isinstance", "len", "max", "tuple", "zip", "gradients")
HELPERS = (
    *("_exp_difference", "_largest", "_exponentials", "_sums", "_sigmoid", "_softplus"),
    *("_decay", "_sigmoids", "_softpluses", "_where"),
    *("_weighted", "_erf", "_erfc", "_lgamma", "_blocks", "_room", "_put", "_weights"),
    *("_sum_lost", "_product_lost", "_leading", "_corrected"),
)
SUMMARIES = {
    "": "The loss.",
    "_gradient": "The gradients, by name.",
    "_value_and_gradient": "The loss, and the gradients by name.",
}


def emit(kernel: Kernel, facts: Facts, dtypes: tuple[str, ...]) -> dict[str, str]:
    """The module; `dtypes` are those it accepts."""
    names = safe_names(kernel)
    keys = tuple(key for key, _ in kernel.outputs if key)
    wanted = {"": ("",), "_gradient": keys, "_value_and_gradient": ("", *keys)}
    functions = []
    for suffix, outputs in wanted.items():
        if outputs and (keys or not suffix):
            head = signature(kernel.name + suffix, kernel, names, ("out=None",))
            functions.append(function(kernel, names, head, SUMMARIES[suffix], outputs))
    weights = weights_function(kernel, names)
    body = "\n".join(line for each in (*functions, *weights) for line in each.lines)
    results = {key: tuple(a.name for a in entry.tensor.axes) for key, entry in kernel.outputs}
    rows = [key for key, entry in kernel.outputs if key and kernel.batch in entry.tensor.axes]
    text = render(
        "numpy.py.j2",
        facts=facts,
        functions=(*functions, *weights),
        helpers={helper for helper in HELPERS if re.search(rf"(?<!\w){helper}\(", body)},
        keys=keys,
        results=table_of(results),
        in_place=rows,
        in_place_set=tuple_of(f'"{key}"' for key in rows),
        dtypes=tuple_of(f'"{dtype}"' for dtype in dtypes),
        **tables(kernel, names),
        scales=kernel.batch is not None and bool(keys),
    )
    return {f"{kernel.name}.py": text}


def safe_names(kernel: Kernel) -> dict[str, str]:
    """For each array a Python identifier that clashes with nothing else in the module."""
    tensors = [given.tensor for given in kernel.inputs] + [defines(s) for s in kernel.statements]
    axes = {axis.name for tensor in tensors for axis in tensor.axes}
    taken = {*RESERVED, *BUILTINS, *HELPERS, *axes, *(f"index_{axis}" for axis in axes)}
    taken |= {kernel.name + suffix for suffix in ("", "_gradient", "_value_and_gradient")}
    names: dict[str, str] = {}
    for tensor in tensors:
        name = tensor.name
        while name in taken or keyword.iskeyword(name):
            name += "_"
        taken.add(name)
        names[tensor.name] = name
    return names


def signature(
    name: str, kernel: Kernel, names: Mapping[str, str], more: tuple[str, ...] = ()
) -> str:
    """The signature of a function: arrays first, then consts and options by name."""
    first = [names[g.name] for g in kernel.inputs if g.role != "const"]
    consts = [g for g in kernel.inputs if g.role == "const"]
    named = [names[g.name] for g in consts if g.default is None]
    named += [f"{names[g.name]}={default_of(g)}" for g in consts if g.default is not None]
    if kernel.batch is not None:
        named += ['reduction="none"', 'on_empty="nan"']
    named += more
    parameters = [*first, *(["*", *named] if named else [])]
    return folded(f"def {name}(", parameters, "):", "    ")


def folded(opening: str, items: Sequence[str], closing: str, margin: str) -> str:
    """A list of arguments as the formatter would break it, `margin` before what is inside."""
    flat = f"{opening}{', '.join(items)}{closing}"
    if len(margin) - 4 + len(flat) <= 100:
        return flat
    inner = f"{margin}{', '.join(items)}"
    if len(inner) > 100:
        inner = "\n".join(f"{margin}{item}," for item in items)
    return f"{opening}\n{inner}\n{margin[4:]}{closing}"


def default_of(given: Input) -> str:
    """The default of a const as Python: None for an array, which is then made when it is called."""
    assert given.default is not None
    if given.tensor.axes:
        return "None"
    return str(given.default) if given.is_mark else repr(float(given.default))


def tables(kernel: Kernel, names: Mapping[str, str]) -> dict[str, Any]:
    """What `python_tables` and `python_arguments` say of the arguments and of the mean."""
    labels = {names[g.name]: str(g.tensor.label) for g in kernel.inputs if g.tensor.label}
    ignored = {names[g.name]: names[g.ignored.name] for g in kernel.inputs if g.ignored}
    arrays = [g for g in kernel.inputs if g.default is not None and g.tensor.axes]
    return {
        "batched": kernel.batch is not None,
        "weighted": kernel.weight is not None,
        "has_labels": bool(labels),
        "shapes": table_of(
            {names[g.name]: tuple(x.name for x in g.tensor.axes) for g in kernel.inputs}
        ),
        "labels": table_of(labels),
        "ignored": table_of(ignored),
        "defaults": tuple(f'"{names[g.name]}": {float(g.default or 0)!r}' for g in arrays),
    }


def table_of(rows: Mapping[str, str | tuple[str, ...]]) -> tuple[str, ...]:
    """The rows of a dictionary, as the formatter would print them."""

    def value(item: str | tuple[str, ...]) -> str:
        if isinstance(item, str):
            return f'"{item}"'
        return tuple_of(f'"{x}"' for x in item) if item else "()"

    return tuple(f'"{name}": {value(item)}' for name, item in rows.items())


TARGET = Target(
    "numpy", "NumPy: a module that imports numpy alone", emit, load_python, compensates=True
)
