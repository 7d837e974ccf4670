"""Names in a generated JAX module: identifiers that clash with nothing else there."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Sequence

from codegen.kernel import Kernel, defines
from derive.index import Tensor

RESERVED = (
    *("jax", "jnp", "np", "dtype", "wide", "reduction", "on_empty", "given", "sizes", "divisor"),
    *("loss", "gradients", "gradient", "cotangents", "directions", "along", "found", "kept"),
    *("values", "check_grads", "partial", "dict", "zip", "tuple", "list", "range", "len", "print"),
    *("isinstance", "shard_map", "valid", "SymbolicZero"),
)


def jax_names(name: str, kernels: Sequence[Kernel]) -> dict[str, str]:
    """A Python identifier for each array of every kernel."""
    tensors = [g.tensor for k in kernels for g in k.inputs]
    tensors += [defines(s) for k in kernels for s in k.statements]
    return identifiers(tensors, {name, f"{name}_value_and_gradient"})


def identifiers(tensors: Iterable[Tensor], taken: set[str]) -> dict[str, str]:
    """The identifiers of arrays, none of them among those taken, reserved or of an axis."""
    arrays = list(tensors)
    axes = {axis.name for tensor in arrays for axis in tensor.axes}
    taken = {*taken, *RESERVED, *axes, *(f"index_{axis}" for axis in axes)}
    names: dict[str, str] = {}
    for tensor in arrays:
        if tensor.name in names:
            continue
        name = tensor.name.lstrip("_") or "array"
        while name in taken or keyword.iskeyword(name):
            name += "_"
        taken.add(name)
        names[tensor.name] = name
    return names
