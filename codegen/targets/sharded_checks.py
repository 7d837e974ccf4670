"""The self-test of a generated sharded file: a dense loss, as it was written, and arguments.

What is checked is held against the definitions in plain operations on whole arrays, and against
numerical differences of that: nothing of the kernel, its rules or its derivatives is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from codegen.kernel import Input, Kernel
from codegen.shard.program import Program, count
from codegen.targets import array_samples, torch_samples
from codegen.targets.array_dialect import ArrayDialect
from codegen.targets.array_lines import array_lines, tuple_of
from codegen.targets.sharded_lines import over, sizes_of
from derive.loss import Domain

SPLIT, OTHERS = 5, {"N": 3, "K": 4, "D": 2}  # 5 entries: no two or four parts are of one size

Draw = Callable[[Input, Domain, Mapping[str, int]], str]
SCALAR = {"torch": "torch.tensor({!r}, dtype=torch.float64)", "jax": "{!r}"}
DRAW: Mapping[str, Draw] = {"torch": torch_samples.drawn, "jax": array_samples.drawn}


def checks_of(
    program: Program,
    dense: Kernel,
    cotangent: str,
    domains: Mapping[str, Domain],
    names: Mapping[str, str],
    dialect: ArrayDialect,
) -> dict[str, Any]:
    """What the self-test's template says of a program."""
    whole = {split.local.name: split.axis.name for split in program.splits}
    sizes = {**OTHERS, **{split.axis.name: SPLIT for split in program.splits}}
    known = dict(names)
    lines = array_lines(dense.statements, known, dialect)
    loss = names[dense.outputs[0][1].tensor.name]
    weight = "" if dense.weight is None else names[dense.weight.tensor.name]
    inputs = [g for g in dense.inputs if g.name != cotangent]
    forward, backward = program.collectives()
    wide = [g for g in program.inputs if g.name != cotangent]
    return {
        "dense": (*sizes_of(inputs, names, lines, ()), *lines),
        "dense_arguments": ", ".join(names[g.name] for g in inputs),
        "dense_result": f"{loss}, {weight}" if weight else loss,
        "samples": [
            (names[g.name], _sample(g, domains[g.name], sizes, dialect.name)) for g in inputs
        ],
        "axes": [(names[g.name], tuple_of(_axes(g, whole))) for g in wide],
        "all_axes": tuple_of(f'"{axis}"' for axis in whole.values()),
        "counts": (count(forward), count(backward)),
        "groups": tuple_of(f'"{over(split)}"' for split in program.splits),
        "batch_axis": "" if dense.batch is None else dense.batch.name,
        "world": 2 ** len(program.splits),
        "cotangents": SPLIT if "N" in whole.values() else OTHERS["N"],
    }


def _axes(given: Input, whole: Mapping[str, str]) -> list[str]:
    """The axes of an argument, None where it is not split."""
    return [f'"{whole[a.name]}"' if a.name in whole else "None" for a in given.tensor.axes]


def _sample(given: Input, domain: Domain, sizes: Mapping[str, int], dialect: str) -> str:
    if given.default is None or given.tensor.axes:
        return DRAW[dialect](given, domain, sizes)
    if given.is_mark:
        return f"{'torch.tensor' if dialect == 'torch' else ''}({given.default})"
    return SCALAR[dialect].format(float(given.default))
