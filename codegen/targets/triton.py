"""The Triton target: a module of kernels for GPUs, differentiable by PyTorch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codegen.emit import render
from codegen.kernel import Input, Kernel
from codegen.targets.array_lines import tuple_of
from codegen.targets.facts import Facts
from codegen.targets.numpy import table_of
from codegen.targets.target import Target
from codegen.targets.torch_samples import samples_of
from codegen.targets.triton_dialect import helpers
from codegen.targets.triton_host import Host
from codegen.targets.triton_names import (
    argument_names,
    is_number,
    main_input,
    names_of,
    row_input,
)
from codegen.targets.triton_plan import plan_of
from codegen.targets.triton_process import REMEDY, load

CAVEAT = """triton: measured on the GPU where there is one, else in Triton's interpreter, with the
exp and log of NumPy: that measures the algorithm.  In float32 an NVIDIA GPU adds up to 3 ULP in
each exp, 1 in a log and 2 in a quotient, and its exp is 0 below 1.2e-38; in float64 1 in each."""


@dataclass(frozen=True)
class Argument:
    """An argument of the functions: its name, its type in an operator, and what is said of it."""

    name: str
    kind: str
    default: str
    axes: tuple[str, ...]
    label: str
    tensor: bool
    const: bool


def emit(kernel: Kernel, facts: Facts, dtypes: tuple[str, ...]) -> dict[str, str]:
    """The module.  Raises KernelError where the kernel does not fit."""
    keys = tuple(key for key, _ in kernel.outputs if key)
    hosts = _hosts(kernel, keys)
    arguments = _arguments(kernel)
    tensors = [a for a in arguments if a.tensor]
    lines = [line for h in hosts for k in h.kernels for form in (k.tile, k.blocks) for line in form]
    names = argument_names(kernel)
    labels = any(a.label for a in tensors)
    consts = [_number(a) for a in arguments if not a.tensor]
    text = render(
        "triton.py.j2",
        facts=facts,
        name=kernel.name,
        digest=hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8],
        hosts=[_operator(host, arguments, keys) for host in hosts],
        helpers=helpers(lines),
        transcendental=re.search(r"_exp|_log|_pow|_soft|_sig", "\n".join(lines)) is not None,
        chunked=any(host.plan.schedule.chunked for host in hosts),
        tensors=tensors,
        count=len(consts),
        consts=tuple_of(consts) if consts else "()",
        marked=any("_whole(" in text for text in consts),
        keys=keys,
        main=names[main_input(kernel)],
        batch=str(kernel.batch),
        rows=names[row_input(kernel)],
        weighted=kernel.weight is not None,
        has_labels=labels,
        shapes=table_of({a.name: a.axes for a in tensors}),
        labels=table_of({a.name: a.label for a in tensors if a.label}),
        ignored=_ignored(kernel, names),
        defaults=[f'"{a.name}": {a.default}' for a in tensors if a.default],
        wrt=tuple_of(f'"{names[key]}"' for key in keys) if keys else "()",
        wrt_keys=tuple_of(f'"{key}"' for key in keys) if keys else "()",
        samples=samples_of(kernel, names, facts.domains),
        batched=_batched(kernel, names),
        signature=_signature(arguments),
        more=", check=False" if labels else "",
        passed=", ".join(f"{a.name}={a.name}" for a in tensors),
    )
    return {f"{kernel.name}.py": text}


def _hosts(kernel: Kernel, keys: tuple[str, ...]) -> list[Host]:
    """The loss; the loss and its gradients; and what the samples weigh in a mean."""
    parts = {"value": ("",)} | ({"both": ("", *keys)} if keys else {})
    hosts = []
    for stem, wanted in parts.items():
        plan = plan_of(kernel.needed(*wanted))
        hosts.append(Host(stem, plan, names_of(plan, wanted)))
    if kernel.weights is not None:
        plan = plan_of(kernel.weights)
        hosts.append(Host("weights", plan, names_of(plan, ("",), "row_weight")))
    return hosts


def _number(argument: Argument) -> str:
    """A number as it is passed on."""
    name = argument.name
    return f'_whole("{name}", {name})' if argument.kind == "int" else f"float({name})"


def _ignored(kernel: Kernel, names: Mapping[str, str]) -> list[str]:
    """The rows of a table: labels that may be ignored, and the place of the mark among numbers."""
    numbers = [g.name for g in kernel.inputs if is_number(g)]
    return [
        f'"{names[g.name]}": {numbers.index(g.ignored.name)}' for g in kernel.inputs if g.ignored
    ]


def _operator(host: Host, arguments: list[Argument], keys: tuple[str, ...]) -> dict[str, Any]:
    """What the template shows of the functions that compute the loss, or it and its gradients."""
    ordered = [*(a for a in arguments if a.tensor), *(a for a in arguments if not a.tensor)]
    parameters = [f"{a.name}: {a.kind}" for a in ordered]
    loss, *slopes = host.results
    total = f"({loss} * scale).sum() + 0 * scale[0]"
    fake = [
        *host.sizes(),
        f"{loss} = {host.main}.new_empty({host.size}, dtype=_real_dtype({host.main}))",
    ]
    results, returned = loss, "torch.Tensor"
    fakes = loss
    if host.stem == "both":
        parameters.append("scale: torch.Tensor")
        results = ", ".join([loss, total, *slopes])
        fakes = ", ".join([loss, f"{loss}.sum()", *(f"torch.empty_like({x})" for x in host.given)])
        returned = f"tuple[{', '.join(['torch.Tensor'] * (2 + len(slopes)))}]"
    return {
        "stem": host.stem,
        "signature": ", ".join(parameters),
        "returned": returned,
        "whole": host.whole(),
        "results": results,
        "fake": [*fake, f"return {fakes}"],
        "parameters": ", ".join(host.parameters()),
        "steps": host.steps(),
        "kernels": host.kernels,
    }


def _batched(kernel: Kernel, names: Mapping[str, str]) -> str:
    """The inputs that have rows."""
    inputs = [g for g in kernel.inputs if g.role == "input" and g.tensor.label is None]
    found = [names[g.name] for g in inputs if kernel.batch in g.tensor.axes]
    return tuple_of(f'"{name}"' for name in found) if found else ""


def _arguments(kernel: Kernel) -> list[Argument]:
    names = argument_names(kernel)
    found = []
    for given in kernel.inputs:
        number = is_number(given)
        kind = "int" if given.is_mark else "float"
        found.append(
            Argument(
                names[given.name],
                kind if number else "torch.Tensor",
                _default(given),
                tuple(axis.name for axis in given.tensor.axes),
                str(given.tensor.label or ""),
                not number,
                given.role == "const",
            )
        )
    return found


def _default(given: Input) -> str:
    """The default of a number or of each entry of an array."""
    if given.default is None:
        return ""
    return str(given.default) if given.is_mark else repr(float(given.default))


def _signature(arguments: list[Argument]) -> str:
    """The parameters of the public functions, up to the reduction."""
    first = [a.name for a in arguments if not a.const]
    named = []
    for a in (a for a in arguments if a.const):
        default = "None" if a.tensor else a.default
        named.append(f"{a.name}={default}" if a.default else a.name)
    return ", ".join([*first, "*", *sorted(named, key=lambda text: "=" in text)])


TARGET = Target(
    "triton",
    "Triton: a module of GPU kernels, differentiable by PyTorch",
    emit,
    load,
    modules=("triton", "torch"),
    remedy=REMEDY,
    caveat=CAVEAT,
)
