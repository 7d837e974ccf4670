"""The functions of a generated PyTorch module, over NumPy arrays as those of other targets are."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import partial
from typing import Any

from codegen.kernel import Kernel
from codegen.targets.numpy import safe_names
from codegen.targets.target import Functions, shared_module
from derive.errors import KernelError

REMEDY = "pip install 'pminusy[torch]'"
FLOATS = ("float32", "float64")


def load(files: Mapping[str, str], kernel: Kernel) -> Functions:
    """NAME, NAME_gradient and NAME_value_and_gradient, beside the names of the module."""
    if importlib.util.find_spec("torch") is None:
        raise KernelError(f"PyTorch is not installed: {REMEDY}; target='numpy' needs no more")
    module = shared_module(files[f"{kernel.name}.py"])
    parts = {"": (True, False), "_gradient": (False, True), "_value_and_gradient": (True, True)}
    functions = {
        kernel.name + suffix: partial(_call, module, kernel, wanted)
        for suffix, wanted in parts.items()
    }
    return {**module, **functions}


def _call(
    module: Functions, kernel: Kernel, wanted: tuple[bool, bool], *arrays: Any, **named: Any
) -> Any:
    """The loss, the gradients, or both."""
    import torch

    called = dict(zip(safe_names(kernel).values(), module["_SHAPES"], strict=False))
    given = dict(zip(module["_SHAPES"], arrays, strict=False))
    given |= {called.get(name, name): value for name, value in named.items()}
    options = {name: given.pop(name) for name in list(given) if name not in module["_SHAPES"]}
    if kernel.batch is not None:
        options.setdefault("reduction", "none")
    tensors = {name: _tensor(name, value, module) for name, value in given.items()}
    names = [list(module["_SHAPES"])[place] for place in module["_PLACES"]]
    keys = [key for key, _ in kernel.outputs if key]
    moved = {name: _moved(tensors[name], tensors) for name in names if name in tensors}
    loss = module[kernel.name](**{**tensors, **moved}, **options)
    value = loss.detach().numpy()[()]
    if not wanted[1]:
        return value
    slopes = torch.autograd.grad(loss.sum(), list(moved.values()))
    found = {key: slope.numpy() for key, slope in zip(keys, slopes, strict=True)}
    return (value, found) if wanted[0] else found


def _moved(value: Any, tensors: Mapping[str, Any]) -> Any:
    """A tensor to differentiate by; a number is one in the type of the others."""
    import torch

    if not isinstance(value, torch.Tensor):
        kinds = [x.dtype for x in tensors.values() if isinstance(x, torch.Tensor)]
        kinds = [kind for kind in kinds if kind.is_floating_point]
        value = torch.tensor(value, dtype=kinds[0] if kinds else torch.float64)
    return value.requires_grad_() if value.is_floating_point() else value


def _tensor(name: str, value: Any, module: Functions) -> Any:
    """A copy of an array as a tensor; a number stays one."""
    import numpy as np
    import torch

    if value is None or isinstance(value, int | float):
        return value
    array = np.asarray(value)
    if isinstance(value, np.generic):
        return array.item()
    label = name in module.get("_LABELS", {})
    if array.dtype.name not in FLOATS and array.dtype.kind not in "iub":
        wanted = "integer labels" if label else " or ".join(FLOATS)
        raise TypeError(f"{name}: expected {wanted}, found {array.dtype}")
    return torch.from_numpy(np.array(array, order="C"))
