"""The NumPy target: one pure function for the loss, one for its gradient, one for both."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codegen.emit import render
from codegen.kernel import Kernel, defines, trees
from codegen.targets.facts import Facts
from codegen.targets.numpy_lines import fitted, lines_of, tuple_of
from codegen.targets.target import Target, load_python
from derive.index import Entry

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
    "_",
)
BUILTINS = ("dict", "float", "int", "isinstance", "len", "tuple", "zip", "gradients")
HELPERS = ("_exp_difference", "_sigmoid", "_softplus", "_weighted", "_erf", "_lgamma")
SUMMARIES = {
    "": "The loss.",
    "_gradient": "The gradients, by name.",
    "_value_and_gradient": "The loss, and the gradients by name.",
}


@dataclass(frozen=True)
class Function:
    """A function as the template sees it: its name, signature, docstring, lines and results."""

    name: str
    signature: str
    summary: str
    unpack: tuple[str, ...]
    lines: tuple[str, ...]
    loss: str
    gradients: tuple[tuple[str, str], ...]


def emit(kernel: Kernel, facts: Facts, dtypes: tuple[str, ...]) -> dict[str, str]:
    """The module; `dtypes` are those it accepts."""
    names = safe_names(kernel)
    keys = tuple(key for key, _ in kernel.outputs if key)
    wanted = {"": ("",), "_gradient": keys, "_value_and_gradient": ("", *keys)}
    functions = tuple(
        _function(kernel, names, suffix, outputs)
        for suffix, outputs in wanted.items()
        if outputs and (keys or not suffix)
    )
    tensors = [given.tensor for given in kernel.inputs]
    body = "\n".join(line for function in functions for line in function.lines)
    text = render(
        "numpy.py.j2",
        facts=facts,
        functions=functions,
        batched=kernel.batch is not None,
        helpers=[helper for helper in HELPERS if f"{helper}(" in body],
        shapes=table_of(
            {names[g.name]: tuple(x.name for x in g.tensor.axes) for g in kernel.inputs}
        ),
        labels=table_of(
            {names[g.name]: str(g.tensor.label) for g in kernel.inputs if g.tensor.label}
        ),
        dtypes=tuple_of(f'"{dtype}"' for dtype in dtypes),
        has_labels=any(x.label for x in tensors),
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


def _function(
    kernel: Kernel, names: dict[str, str], suffix: str, keys: tuple[str, ...]
) -> Function:
    part = kernel.needed(*keys)
    statements, names = fitted(part.statements, dict(names))
    ranges: set[str] = set()
    lines = [text for statement in statements for text in lines_of(statement, names, ranges)]
    lines = [f"index_{axis} = np.arange({axis})" for axis in sorted(ranges)] + lines
    text = "\n".join(lines)
    used = {e.tensor.name for s in statements for tree in trees(s) for e in tree.atoms(Entry)}
    shown = {"": "_reduce({}, reduction, divisor)"} if kernel.batch is not None else {}
    results = {
        key: shown.get(key, "_scale({}, divisor)" if shown else "{}").format(names[e.tensor.name])
        for key, e in part.outputs
    }
    last = f"{results.get('', '')} = "
    if not shown and len(results) == 1 and lines[-1].startswith(last):
        results[""] = lines.pop().removeprefix(last)
    return Function(
        kernel.name + suffix,
        signature(kernel.name + suffix, kernel, names),
        SUMMARIES[suffix],
        _unpacked(kernel, names, used, text),
        tuple(lines),
        results.get("", ""),
        tuple((key, text) for key, text in results.items() if key),
    )


def signature(
    name: str, kernel: Kernel, names: Mapping[str, str], more: tuple[str, ...] = ()
) -> str:
    """The signature of a function: arrays first, then consts and options by name."""
    first = [names[g.name] for g in kernel.inputs if g.role != "const"]
    consts = [g for g in kernel.inputs if g.role == "const"]
    named = [names[g.name] for g in consts if g.default is None]
    named += [f"{names[g.name]}={float(g.default)!r}" for g in consts if g.default is not None]
    if kernel.batch is not None:
        named += ['reduction="none"', 'on_empty="nan"']
    named += more
    parameters = [*first, *(["*", *named] if named else [])]
    flat = f"def {name}({', '.join(parameters)}):"
    if len(flat) <= 100:
        return flat
    return _folded(f"def {name}(", parameters, "):", "    ")


def _folded(opening: str, items: Sequence[str], closing: str, margin: str) -> str:
    """A long list of arguments as the formatter would break it."""
    inner = f"{margin}{', '.join(items)}"
    if len(inner) > 100:
        inner = "\n".join(f"{margin}{item}," for item in items)
    return f"{opening}\n{inner}\n{margin[4:]}{closing}"


def _unpacked(
    kernel: Kernel, names: Mapping[str, str], used: set[str], text: str
) -> tuple[str, ...]:
    """The lines that check the arguments and give the arrays and sizes that are used."""
    given = [names[g.name] for g in kernel.inputs]
    arrays = [names[g.name] if g.name in used else "_" for g in kernel.inputs]
    words = set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())
    axes = sorted({a.name for g in kernel.inputs for a in g.tensor.axes} & words)
    if kernel.batch is not None:
        axes = sorted({*axes, kernel.batch.name})
    dtype = "dtype" if "dtype" in words else "_"
    sizes = "sizes" if axes else "_"
    left = f"{tuple_of(arrays)}, {dtype}, {sizes}"
    call = f"{left} = _prepare({', '.join(f'{name}={name}' for name in given)})"
    if len(call) > 96:
        given = [f"{name}={name}" for name in given]
        call = _folded(f"{left} = _prepare(", given, ")", " " * 8)
    return (call, *(f'{axis} = sizes["{axis}"]' for axis in axes))


def table_of(rows: Mapping[str, str | tuple[str, ...]]) -> tuple[str, ...]:
    """The rows of a dictionary, as the formatter would print them."""

    def value(item: str | tuple[str, ...]) -> str:
        if isinstance(item, str):
            return f'"{item}"'
        return tuple_of(f'"{x}"' for x in item) if item else "()"

    return tuple(f'"{name}": {value(item)}' for name, item in rows.items())


TARGET = Target("numpy", "NumPy: a module that imports numpy alone", emit, load_python)
