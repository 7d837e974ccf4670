"""Kernels over several ranks as modules: for torch.distributed, and for JAX's shard_map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from codegen.emit import render
from codegen.kernel import Input, Kernel
from codegen.shard.program import Program
from codegen.targets.array_dialect import ArrayDialect
from codegen.targets.array_lines import tuple_of
from codegen.targets.facts import Facts
from codegen.targets.jax_dialect import JAX
from codegen.targets.jax_names import identifiers
from codegen.targets.numpy import default_of, tables
from codegen.targets.sharded_lines import folded, made_in, over, passes_of, sizes_of, start
from codegen.targets.torch_dialect import TORCH

RESERVED = {
    *("torch", "math", "dist", "device", "ctx", "context", "where", "cotangent", "op", "parts"),
    *("group", "check", "sent", "alone", "rank", "world", "mesh", "part", "once_differentiable"),
}
HELPERS = (
    *("_at", "_put", "_added", "_choose", "_exp_difference", "_sigmoid", "_softplus", "_sign"),
    *("_weighted", "_held", "_all_reduce", "_all_argmax", "_largest", "_valid"),
)


def torch_files(program: Program, facts: Facts, cotangent: str) -> dict[str, str]:
    """The module for torch.distributed, by its name."""
    return _files(program, facts, cotangent, TORCH, "torch_sharded.py.j2")


def jax_files(program: Program, facts: Facts, cotangent: str) -> dict[str, str]:
    """The module for shard_map, by its name."""
    return _files(program, facts, cotangent, JAX, "jax_sharded.py.j2")


SHARDED: Mapping[str, Callable[[Program, Facts, str], dict[str, str]]] = {
    "torch": torch_files,
    "jax": jax_files,
}


def _files(
    program: Program, facts: Facts, cotangent: str, dialect: ArrayDialect, template: str
) -> dict[str, str]:
    words = {program.name, *RESERVED, *(over(s) for s in program.splits)}
    words |= {start(s) for s in program.splits} | {f"part_{s.axis.name}" for s in program.splits}
    tensors = [g.tensor for g in program.inputs] + list(made_in(program))
    wide = [split.axis for split in program.splits]
    names = identifiers(tensors, words | {axis.name for axis in wide})
    passes = passes_of(program, names, dialect)
    inputs = [g for g in program.inputs if g.name != cotangent]
    given = [names[g.name] for g in inputs]
    valid = " & ".join(_valid(inputs, names))
    keys = [key for key, _ in program.outputs if key]
    both = [*passes.forward, *passes.backward, passes.value, valid]
    body = "\n".join(both)
    held = Kernel(program.name, tuple(inputs), (), (), program.batch, program.weight)
    parts = tuple(_parts(program, names)) if dialect is JAX else ()
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
        forward=(*parts, *sizes_of(program, names, [*passes.forward, valid]), *passes.forward),
        backward=(*sizes_of(program, names, [*passes.backward, valid]), *passes.backward),
        backward_setup=(*parts, *sizes_of(program, names, [*passes.backward, valid])),
        slopes=dict(zip([names[key] for key in keys], passes.slopes, strict=True)),
        slopes_tuple=tuple_of(passes.slopes),
        splits=[
            {"axis": s.axis.name, "local": s.local.name, "over": over(s), "start": start(s)}
            for s in program.splits
        ],
        where=", ".join(f"{over(s)}, {start(s)}, {s.axis.name}" for s in program.splits),
        where_given=tuple_of(
            text for s in program.splits for text in (over(s), f"*first_{s.axis.name}")
        ),
        whole=", ".join(f'"{s.axis.name}": first_{s.axis.name}[1]' for s in program.splits),
        over_tuple=tuple_of(over(s) for s in program.splits),
        kept_tuple=", ".join(passes.kept) + ("," if len(passes.kept) == 1 else ""),
        wrt=tuple_of(f'"{names[key]}"' for key in keys),
        messages=tuple(_messages(program)),
        batch=_batch(program),
        **tables(held, names),
        valid=valid,
        helpers={helper for helper in HELPERS if f"{helper}(" in body},
        math="math." in body,
    )
    return {f"{program.name}.py": text}


def _parts(program: Program, names: Mapping[str, str]) -> Iterator[str]:
    """Where the part of a device begins and how large the whole is; all devices hold as much."""
    for split in program.splits:
        name, place = next(
            (names[g.name], g.tensor.axes.index(split.local))
            for g in program.inputs
            if split.local in g.tensor.axes
        )
        size = f"{name}.shape[{place}]"
        yield f"{start(split)} = jax.lax.axis_index({over(split)}) * {size}"
        yield f"{split.axis.name} = jax.lax.axis_size({over(split)}) * {size}"


def _valid(inputs: Sequence[Input], names: Mapping[str, str]) -> Iterator[str]:
    """Whether the labels of a sample are in range, or ignored, as text."""
    for given in inputs:
        if given.tensor.label is not None and not given.is_mark:
            mark = f", {names[given.ignored.name]}" if given.ignored else ""
            yield f"_valid({names[given.name]}, {given.tensor.label}{mark})"


def _batch(program: Program) -> dict[str, str]:
    """The split of the samples, if they are split."""
    for split in program.splits:
        if split.local == program.batch:
            return {"axis": split.axis.name, "over": over(split)}
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
            named.append(f'{over(split)}="{split.axis.name}"')
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
    yield f"All-reduces: {len(forward)} for the loss, {len(backward)} more for the gradients."
