"""Python functions over a generated ES module, which Node runs: made when it is loaded."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from codegen.emit import render
from codegen.kernel import Kernel
from codegen.schedule import in_place, schedule
from codegen.targets.array_lines import tuple_of
from codegen.targets.javascript_names import keys_of, module_names
from codegen.targets.javascript_node import NODE
from codegen.targets.numpy import SUMMARIES, safe_names, signature, table_of, tables
from codegen.targets.target import Functions, python_module
from derive.index import Tensor

Answer = tuple[Any, dict[str, Any]]


def bound(kernel: Kernel, path: Path) -> Functions:
    """The functions of the module at `path`, called as those of the other targets are."""
    module = python_module(_text(kernel))
    module["_run"] = partial(_run, kernel, path)
    return module


def _text(kernel: Kernel) -> str:
    names = safe_names(kernel)
    keys = [key for key, _ in kernel.outputs if key]
    parts = {"": ("",)} | (
        {"_gradient": tuple(keys), "_value_and_gradient": ("", *keys)} if keys else {}
    )
    shared = [key for key, _ in in_place(schedule(kernel))]
    results = {key: tuple(a.name for a in entry.tensor.axes) for key, entry in kernel.outputs}
    return render(
        "javascript_binding.py.j2",
        functions=[
            {
                "suffix": suffix,
                "signature": signature(kernel.name + suffix, kernel, names, ("out=None",)),
                "summary": SUMMARIES[suffix],
                "wanted": tuple_of(f'"{key}"' for key in wanted),
            }
            for suffix, wanted in parts.items()
        ],
        passed=", ".join(f"{names[g.name]}={names[g.name]}" for g in kernel.inputs),
        scales=False,
        in_place_set=tuple_of(f'"{key}"' for key in shared),
        **tables(kernel, names),
        dtypes=tuple_of(('"float64"',)),
        results=table_of(results),
    )


def _run(
    kernel: Kernel,
    path: Path,
    suffix: str,
    given: Sequence[Any],
    sizes: Mapping[str, int],
    options: Mapping[str, str],
    samples: int,
) -> tuple[Any, Any, dict[str, Any]]:
    """The loss of each sample, their sum or mean where it is wanted, and the gradients."""
    import numpy as np

    axes, names = keys_of(kernel)
    packed: list[tuple[str, str, Any]] = [(axes[axis], "size", n) for axis, n in sizes.items()]
    for argument, array in zip(kernel.inputs, given, strict=True):
        packed.append((names[argument.name], *_packed(argument.tensor, array)))
    name = module_names(kernel.name)[suffix]
    request = {"path": path.as_uri(), "name": name, "part": suffix, "given": packed}
    answer = NODE.ask({**request, "options": dict(options), "samples": samples})
    each, total = (
        None if answer[key] is None else np.frombuffer(b64decode(answer[key]))
        for key in ("each", "total")
    )
    slopes = {
        key: np.frombuffer(b64decode(answer["gradients"][names[key]]))
        for key, _ in kernel.outputs
        if key and names[key] in answer["gradients"]
    }
    return each, None if total is None else total[0], slopes


def _packed(tensor: Tensor, array: Any) -> tuple[str, str]:
    """The kind of an argument, and its numbers as text."""
    import numpy as np

    kind = ("label" if tensor.label else "number") + ("s" if tensor.axes else "")
    whole = np.ascontiguousarray(array, np.int32 if tensor.label else np.float64)
    return kind, b64encode(whole.tobytes()).decode("ascii")
