"""The Triton target: a module of kernels for GPUs, differentiable by PyTorch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codegen.emit import render
from codegen.kernel import Kernel
from codegen.targets.array_lines import tuple_of
from codegen.targets.facts import Facts
from codegen.targets.numpy import table_of
from codegen.targets.target import Target
from codegen.targets.torch_samples import samples_of
from codegen.targets.triton_dialect import helpers
from codegen.targets.triton_host import Host
from codegen.targets.triton_names import argument_names, is_number, main_input, names_of
from codegen.targets.triton_plan import check_arguments, plan_of
from codegen.targets.triton_process import REMEDY, load


@dataclass(frozen=True)
class Argument:
    """An argument of the functions: its name, its type in an operator, and what is said of it."""

    name: str
    kind: str
    default: str
    axes: tuple[str, ...]
    label: str
    tensor: bool


def emit(kernel: Kernel, facts: Facts, dtypes: tuple[str, ...]) -> dict[str, str]:
    """The module.  Raises KernelError where the kernel does not fit."""
    check_arguments(kernel)
    keys = tuple(key for key, _ in kernel.outputs if key)
    parts = {"value": ("",)} | ({"both": ("", *keys)} if keys else {})
    hosts = []
    for stem, wanted in parts.items():
        plan = plan_of(kernel.needed(*wanted))
        hosts.append(Host(stem, plan, names_of(plan, wanted)))
    arguments = _arguments(kernel)
    tensors = [a for a in arguments if a.tensor]
    lines = [line for h in hosts for k in h.kernels for form in (k.tile, k.blocks) for line in form]
    names = argument_names(kernel)
    labels = any(a.label for a in tensors)
    consts = [a.name for a in arguments if not a.tensor]
    text = render(
        "triton.py.j2",
        facts=facts,
        name=kernel.name,
        digest=hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8],
        hosts=[_operator(host, arguments, keys) for host in hosts],
        helpers=helpers(lines),
        chunked=any(host.plan.schedule.chunked for host in hosts),
        tensors=tensors,
        consts=[f"float({name})" for name in consts],
        keys=keys,
        main=names[main_input(kernel)],
        batch=str(kernel.batch),
        has_labels=labels,
        shapes=table_of({a.name: a.axes for a in tensors}),
        labels=table_of({a.name: a.label for a in tensors if a.label}),
        wrt=tuple_of(f'"{names[key]}"' for key in keys) if keys else "()",
        wrt_keys=tuple_of(f'"{key}"' for key in keys) if keys else "()",
        samples=samples_of(kernel, names, facts.domains),
        batched=_batched(kernel, names),
        signature=_signature(arguments),
        sep=", " if consts else ", *, ",
        more=", check=False" if labels else "",
        passed_check=", ".join(
            ["check" if labels else "False", *(f"{a.name}={a.name}" for a in tensors)]
        ),
    )
    return {f"{kernel.name}.py": text}


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
        found.append(
            Argument(
                names[given.name],
                "float" if number else "torch.Tensor",
                "" if given.default is None else repr(float(given.default)),
                tuple(axis.name for axis in given.tensor.axes),
                str(given.tensor.label or ""),
                not number,
            )
        )
    return found


def _signature(arguments: list[Argument]) -> str:
    """The parameters of the public functions, up to the reduction."""
    first = [a.name for a in arguments if a.tensor]
    named = [a.name + (f"={a.default}" if a.default else "") for a in arguments if not a.tensor]
    stars = ["*", *sorted(named, key=lambda text: "=" in text)] if named else []
    return ", ".join([*first, *stars])


TARGET = Target(
    "triton",
    "Triton: a module of GPU kernels, differentiable by PyTorch",
    emit,
    load,
    modules=("triton", "torch"),
    remedy=REMEDY,
)
