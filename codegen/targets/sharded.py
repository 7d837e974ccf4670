"""Kernels over several ranks as modules: for torch.distributed, and for JAX's shard_map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from codegen.emit import render
from codegen.kernel import Input, Kernel, defines
from codegen.shard.padded import padded
from codegen.shard.program import AllReduce, Program, count
from codegen.targets.array_dialect import ArrayDialect
from codegen.targets.array_lines import tuple_of
from codegen.targets.facts import Facts, wrapped
from codegen.targets.jax_dialect import JAX
from codegen.targets.jax_names import identifiers
from codegen.targets.numpy import default_of, tables
from codegen.targets.sharded_checks import checks_of
from codegen.targets.sharded_lines import folded, made_in, over, passes_of, size, sizes_of, start
from codegen.targets.torch_dialect import TORCH

RESERVED = {
    *("torch", "math", "dist", "device", "ctx", "context", "where", "cotangent", "op", "parts"),
    *("group", "check", "sent", "alone", "rank", "world", "mesh", "part", "once_differentiable"),
    *("os", "tempfile", "Path", "slopes", "weights", "saved", "generator", "drawn", "random"),
}
HELPERS = (
    *("_at", "_put", "_added", "_choose", "_exp_difference", "_sigmoid", "_softplus", "_sign"),
    *("_weighted", "_held", "_all_reduce", "_all_argmax", "_largest", "_valid"),
)


@dataclass(frozen=True)
class Passed:
    """What a file is made of besides its facts.

    `program` takes the cotangent, `second` the directions too: its loss is the change of the
    gradients along them, its gradients are the products with the Hessian, printed as `results`.
    None where it cannot be derived: `reason` says why.  `dense` is the loss as it was written.
    """

    program: Program
    cotangent: str
    dense: Kernel
    second: Program | None = None
    directions: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    reason: str = ""


def torch_files(passed: Passed, facts: Facts) -> dict[str, str]:
    """The module for torch.distributed, by its name."""
    return _files(passed, facts, TORCH, "torch_sharded.py.j2")


def jax_files(passed: Passed, facts: Facts) -> dict[str, str]:
    """The module for shard_map, by its name; its parts are of one size."""
    second = None if passed.second is None else padded(passed.second)
    even = replace(passed, program=padded(passed.program), second=second)
    return _files(even, facts, JAX, "jax_sharded.py.j2")


SHARDED: Mapping[str, Callable[[Passed, Facts], dict[str, str]]] = {
    "torch": torch_files,
    "jax": jax_files,
}


def _files(passed: Passed, facts: Facts, dialect: ArrayDialect, template: str) -> dict[str, str]:
    program, cotangent = passed.program, passed.cotangent
    names = _names(passed)
    passes = passes_of(program, names, dialect)
    inputs = [g for g in program.inputs if g.name != cotangent]
    given = [names[g.name] for g in inputs]
    valid = " & ".join(_valid(inputs, program, names, dialect is JAX))
    keys = [key for key, _ in program.outputs if key]
    second = _second(passed, names, dialect, valid)
    checks = checks_of(program, passed.dense, cotangent, facts.domains, names, dialect)
    both = [*passes.forward, *passes.backward, passes.value, valid, *second["push"]]
    body = "\n".join((*both, *checks["dense"]))
    held = Kernel(program.name, tuple(inputs), (), (), program.batch, program.weight)
    parts = tuple(_parts(program, names)) if dialect is JAX else ()
    wide = [split.axis.name for split in program.splits]
    text = render(
        template,
        facts=facts,
        name=program.name,
        signature=_signature(program, names, cotangent, dialect.name),
        given=given,
        prepare=folded(
            "given, dtype, sizes = _prepare(", [f"{n}={n}" for n in given], ")", " " * 8
        ),
        arguments=", ".join(given),
        cotangent=names[cotangent],
        passes=passes,
        kept="".join(f", {name}" for name in passes.kept),
        forward=(
            *parts,
            *sizes_of(program.inputs, names, [*passes.forward, valid], wide),
            *passes.forward,
        ),
        backward_setup=(
            *parts,
            *sizes_of(program.inputs, names, [*passes.backward, valid], wide),
        ),
        slopes=dict(zip([names[key] for key in keys], passes.slopes, strict=True)),
        slopes_tuple=tuple_of(passes.slopes),
        kept_tuple=", ".join(passes.kept) + ("," if len(passes.kept) == 1 else ""),
        keys=[names[key] for key in keys],
        wrt=tuple_of(f'"{names[key]}"' for key in keys),
        messages=tuple(_messages(program)),
        batch=_batch(program),
        **_places(program),
        **tables(held, names),
        **second,
        **checks,
        setup=parts,
        valid=valid,
        helpers={helper for helper in HELPERS if f"{helper}(" in body},
        math="math." in body,
        products=" @ " in body or "einsum" in body,
    )
    return {f"{program.name}.py": text}


def _places(program: Program) -> dict[str, Any]:
    """What the template says of the split axes: over which ranks, where a part starts, sizes."""
    splits = program.splits
    return {
        "splits": [
            {
                "axis": s.axis.name,
                "local": s.local.name,
                "over": over(s),
                "start": start(s),
                "size": size(s),
            }
            for s in splits
        ],
        "where": ", ".join(f"{over(s)}, {start(s)}, {s.axis.name}" for s in splits),
        "where_given": tuple_of(t for s in splits for t in (over(s), f"*first_{s.axis.name}")),
        "whole": ", ".join(f'"{s.axis.name}": first_{s.axis.name}[1]' for s in splits),
        "over_tuple": tuple_of(over(s) for s in splits),
        "where_names": tuple_of(text for s in splits for text in (over(s), size(s))),
        "sizes_given": ", ".join(f"{size(s)}={size(s)}" for s in splits),
    }


def _names(passed: Passed) -> dict[str, str]:
    """A Python identifier for each array of the programs and of the dense loss."""
    program = passed.program
    programs = [p for p in (program, passed.second) if p is not None]
    words = {program.name, *RESERVED}
    for s in program.splits:
        words |= {over(s), start(s), size(s), f"part_{s.axis.name}", f"first_{s.axis.name}"}
        words.add(s.axis.name)
    tensors = [g.tensor for p in programs for g in p.inputs]
    tensors += [tensor for p in programs for tensor in made_in(p)]
    tensors += [defines(statement) for statement in passed.dense.statements]
    return identifiers(tensors, words)


def _second(
    passed: Passed, names: dict[str, str], dialect: ArrayDialect, valid: str
) -> dict[str, Any]:
    """What the template says of the second derivatives."""
    found = passed.second
    reason = "".join(c for c in passed.reason if c.isprintable() and c not in "\\\"'{}")
    if found is None:
        return {"second": False, "reason": reason, "push": (), "results": ()}
    passes = passes_of(found, names, dialect)
    lines = [*passes.forward, *passes.backward]
    wide = [split.axis.name for split in found.splits]
    return {
        "second": True,
        "results": [wrapped(line) for line in passed.results],
        "directions": [names[name] for name in passed.directions],
        "push_setup": tuple(sizes_of(found.inputs, names, [*lines, valid], wide)),
        "push": lines,
        "along": passes.value,
        "products_tuple": tuple_of(passes.slopes),
        "second_messages": count([s for s in found.steps if isinstance(s, AllReduce)]),
    }


def _parts(program: Program, names: Mapping[str, str]) -> Iterator[str]:
    """Where the part of a device begins and how large the whole is; all devices hold as much."""
    for split in program.splits:
        name, place = next(
            (names[g.name], g.tensor.axes.index(split.local))
            for g in program.inputs
            if split.local in g.tensor.axes
        )
        local = f"{name}.shape[{place}]"
        yield f"{start(split)} = jax.lax.axis_index({over(split)}) * {local}"
        yield f"{split.axis.name} = _whole({over(split)}, {local}, {size(split)})"


def _valid(
    inputs: Sequence[Input], program: Program, names: Mapping[str, str], pads: bool
) -> Iterator[str]:
    """Whether the labels of a sample are in range, or ignored, or padding, as text."""
    for given in inputs:
        if given.tensor.label is None or given.is_mark:
            continue
        more = f", {names[given.ignored.name]}" if given.ignored else ""
        beyond = " | ".join(_beyond(given, program)) if pads else ""
        more += f", beyond={beyond}" if beyond else ""
        yield f"_valid({names[given.name]}, {given.tensor.label}{more})"


def _beyond(given: Input, program: Program) -> Iterator[str]:
    """Where the entries of an array are padding, as text."""
    for place, axis in enumerate(given.tensor.axes):
        for split in program.splits:
            if split.local == axis:
                slots = ", None" * (len(given.tensor.axes) - 1 - place)
                number = f"{start(split)} + jnp.arange({axis})"
                number = f"({number})[:{slots}]" if slots else number
                yield f"({number} >= {split.axis.name})"


def _batch(program: Program) -> dict[str, str]:
    """The split of the samples, if they are split."""
    for split in program.splits:
        if split.local == program.batch:
            return {"axis": split.axis.name, "over": over(split), "size": size(split)}
    return {}


def _signature(program: Program, names: Mapping[str, str], cotangent: str, target: str) -> str:
    inputs = [g for g in program.inputs if g.name != cotangent]
    first = [names[g.name] for g in inputs if g.role != "const"]
    consts = [g for g in inputs if g.role == "const"]
    named = [names[g.name] for g in consts if g.default is None]
    named += [f"{names[g.name]}={default_of(g)}" for g in consts if g.default is not None]
    for split in program.splits:
        if target == "torch":
            named += [f"{over(split)}=None", f"part_{split.axis.name}=None"]
        else:
            named += [f'{over(split)}="{split.axis.name}"', f"{size(split)}=None"]
    if program.batch is not None:
        named += ['reduction="none"', 'on_empty="nan"']
    named += ["check=True"] if target == "torch" else []
    return folded(f"def {program.name}(", [*first, "*", *named], "):", "    ")


def _messages(program: Program) -> Iterator[str]:
    """What is sent, for the docstring."""
    forward, backward = program.collectives()
    for when, sent in (("loss", forward), ("gradients", backward)):
        for message in sent:
            parts = ", ".join(part.name for part in message.parts)
            yield f"{when}: {message.op} over the ranks of {message.split.axis.name}: {parts}"
    yield f"All-reduces: {count(forward)} for the loss, {count(backward)} more for the gradients."
