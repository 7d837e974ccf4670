"""Names in a generated PyTorch module: identifiers that clash with nothing else there."""

from __future__ import annotations

import keyword
from collections.abc import Iterable

from codegen.kernel import Kernel, defines
from codegen.targets.array_expressions import lookup
from codegen.targets.autograd import Autograd
from derive.index import Tensor

RESERVED = """
    torch math dtype device reduction on_empty check loss needs ctx inputs output given valid
    slopes results grad saved self _ tuple zip len float int isinstance range print sum all any
""".split()  # noqa: SIM905
# Of nn.Module, and what a constructor's argument of that name would hide.
MODULE = """
    training forward parameters buffers modules children half float double bfloat16 type to cpu
    cuda xpu mtia ipu train eval apply compile share_memory state_dict load_state_dict zero_grad
    requires_grad_ extra_repr named_parameters named_buffers named_modules named_children
    register_buffer register_parameter register_module add_module get_parameter get_buffer
    get_submodule set_submodule get_extra_state set_extra_state dump_patches call_super_init
""".split()  # noqa: SIM905


def class_name(name: str) -> str:
    """softmax_cross_entropy as SoftmaxCrossEntropy."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def torch_names(kernel: Kernel, autograd: Autograd) -> dict[str, str]:
    """A Python identifier for each array of every pass."""
    kernels = [k for k in (kernel, autograd.backward, autograd.second) if k is not None]
    inputs = [g.tensor for k in kernels for g in k.inputs]
    made = [defines(s) for k in kernels for s in k.statements]
    module = class_name(kernel.name)
    taken = {*RESERVED, *MODULE, kernel.name, module, f"{module}Function"}
    taken |= _axes((*inputs, *made))
    names: dict[str, str] = {}
    for tensor in (*inputs, *made):
        if tensor.name in names:
            continue
        name = tensor.name
        while name in taken or keyword.iskeyword(name) or name.startswith("_"):
            name = f"{name.lstrip('_')}_"
        taken.add(name)
        names[tensor.name] = name
    for given in kernel.inputs:
        if given.ignored is not None:
            names[lookup(given.name)] = _unused(f"{names[given.name]}_at", taken)
    return names


def _unused(name: str, taken: set[str]) -> str:
    """The name, made new; it is taken from then on."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _axes(tensors: Iterable[Tensor]) -> set[str]:
    axes = {axis.name for tensor in tensors for axis in tensor.axes}
    return axes | {f"index_{axis}" for axis in axes}
