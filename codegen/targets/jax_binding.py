"""Calling a generated JAX module with NumPy arrays, as the functions of other targets are."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from codegen.kernel import Kernel
from codegen.targets.target import Functions, shared_module
from derive.errors import KernelError

FLOATS = ("float32", "float64")
REMEDY = "pip install 'pminusy[jax]'"


def load(files: Mapping[str, str], kernel: Kernel) -> Functions:
    """The functions of the module; those that give the loss take and give NumPy arrays."""
    if importlib.util.find_spec("jax") is None:
        raise KernelError(f"the jax target needs JAX: {REMEDY}")
    names = dict(shared_module(files[f"{kernel.name}.py"]))
    for name in (kernel.name, f"{kernel.name}_value_and_gradient"):
        if name in names:
            names[name] = _with_numpy(names[name])
    if f"{kernel.name}_value_and_gradient" not in names:
        loss = names[kernel.name]
        names[f"{kernel.name}_value_and_gradient"] = lambda **given: (loss(**given), {})
    return names


def _with_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function in NumPy's types, float64 among them."""

    def called(*arguments: Any, **named: Any) -> Any:
        import jax
        import numpy as np

        out = named.pop("out", None) or {}
        for name, value in named.items():
            kind = np.asarray(value).dtype
            if kind.kind == "f" and kind.name not in FLOATS:
                raise TypeError(f"{name}: expected {' or '.join(FLOATS)}, found {kind}")
        with jax.enable_x64(True):
            found = jax.tree.map(np.array, function(*arguments, **named))
        loss, gradients = found if isinstance(found, tuple) else (found, {})
        results = {"loss": loss, **gradients}
        for name, array in out.items():
            np.copyto(array, results[name])
            results[name] = array
        results = {name: x if x.ndim else x[()] for name, x in results.items()}
        loss = results.pop("loss")
        return (loss, results) if isinstance(found, tuple) else loss

    return called
