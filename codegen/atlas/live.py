"""What the live part of a page needs: its kernels as modules, and which arguments they take."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from sympy import S

from codegen.atlas.sliders import arguments, sizes
from codegen.builder import KernelFunction, build
from codegen.kernel import Kernel
from codegen.targets.javascript_names import keys_of, module_names
from derive.errors import PminusyError
from derive.index import Index, Tensor, total
from derive.loss import Declaration, Definition, Loss
from derive.proof import decide

CLOSES_A_SCRIPT = re.compile(r"</script|<!--|<script", re.IGNORECASE)
IN_JSON = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True)
class Live:
    """Modules that leave their kernel in `globalThis.pminusy`, and the rest as JSON."""

    modules: tuple[str, ...]
    data: str
    definitions: bool
    simplex: str


def live(loss: Loss, function: KernelFunction, source: str) -> Live:
    """The live part of a loss: `source` is the JavaScript module of the kernel `function`."""
    modules = [_module("loss", function.kernel, source)]
    data: dict[str, Any] = {
        "loss": {**_call(function.kernel), "name": loss.value.name},
        "arguments": arguments(loss, function),
        "sizes": sizes(loss),
        "simplex": _distribution(loss),
    }
    watched, weights = probe(loss)
    if weights:
        try:
            found = build(watched, "javascript", list(weights.values()))
        except PminusyError:
            pass  # The page does without the definitions.
        else:
            modules.append(_module("definitions", found.kernel, found.source))
            of = {weight: name for name, weight in weights.items()}
            call = _call(found.kernel)
            for result in call["gradients"]:
                result["name"] = of[result["name"]]
            data["definitions"] = {**call, "weights": list(weights.values())}
            axes = {name: _axes(loss.tensor(name)) for name in weights}
            data["weights"] = {weight: axes[name] for name, weight in weights.items()}
            data["shapes"] = axes
    return Live(tuple(modules), script_json(data), "definitions" in data, data["simplex"])


def probe(loss: Loss) -> tuple[Loss, dict[str, str]]:
    """A loss whose gradient by a weight is a definition: the sum of each, weighted.

    So what a kernel gives, made stable as every gradient is, are the definitions' values.
    """
    watched, summed = loss, S.Zero
    weights: dict[str, str] = {}
    for definition in loss.definitions[:-1]:
        entry = definition.entry
        if entry.tensor.label is not None:
            continue
        weight = Tensor(watched.unused_name(f"w_{definition.name}"), entry.tensor.axes)
        weights[definition.name] = weight.name
        declared = Declaration(weight, "input")
        watched = replace(watched, declarations=(*watched.declarations, declared))
        term = weight[entry.indices] * entry
        for index in entry.indices:
            assert isinstance(index, Index)
            term = total(index, term)
        summed = summed + term
    if not weights:
        return loss, {}
    value = Definition(Tensor(watched.unused_name("probe"), ())[()], summed)
    return replace(watched, definitions=(*loss.definitions[:-1], value)), weights


def script_json(data: Any) -> str:
    """JSON that cannot end the script element it stands in, nor a line of it."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True)
    return "".join(IN_JSON.get(c, c) for c in text)


def _module(name: str, kernel: Kernel, source: str) -> str:
    if CLOSES_A_SCRIPT.search(source):
        raise PminusyError(f"{kernel.name}: its JavaScript cannot stand inside a page")
    run = module_names(kernel.name)["_value_and_gradient"]
    return f"{source}\nglobalThis.pminusy = {{ ...globalThis.pminusy, {name}: {run} }};\n"


def _call(kernel: Kernel) -> dict[str, Any]:
    """How a module is called: its arguments and its results, by our names and by its own."""
    axes, keys = keys_of(kernel)
    batch = kernel.batch.name if kernel.batch is not None else ""
    return {
        # One sample: the axis of the batch has the size 1.
        "axes": [{"key": key, "axis": "" if name == batch else name} for name, key in axes.items()],
        "arguments": [
            {"name": g.name, "key": keys[g.name], "array": bool(g.tensor.axes)}
            for g in kernel.inputs
        ],
        "gradients": [{"name": key, "key": keys[key]} for key, _ in kernel.outputs if key],
    }


def _axes(tensor: Tensor) -> list[str]:
    return [axis.name for axis in tensor.axes]


def _distribution(loss: Loss) -> str:
    """The first vector that is proved to sum to 1: an input, or a definition; "" without one."""
    for declaration in loss.declarations:
        if declaration.role == "input" and declaration.domain.kind == "simplex":
            return declaration.name
    for definition in loss.definitions[:-1]:
        entry = definition.entry
        if len(entry.indices) == 1 and isinstance(entry.indices[0], Index):
            mass = total(entry.indices[0], entry)
            if decide(loss, mass, S.One).status == "proved":
                return definition.name
    return ""
