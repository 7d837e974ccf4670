"""Kernels over several ranks: the program of a rank, and the files that targets make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from codegen.builder import build, default_wrt, prepared
from codegen.shard import Program, sharded
from codegen.targets import TARGETS
from codegen.targets.facts import facts
from derive.derivation import Derivation
from derive.errors import KernelError
from derive.loss import Loss


@dataclass(frozen=True)
class ShardedKernel:
    """A kernel whose axes are split over ranks: its program, and the generated files by name."""

    loss: Loss
    wrt: tuple[str, ...]
    program: Program
    files: dict[str, str]
    explain: tuple[Derivation, ...]


def build_sharded(
    loss: Loss,
    axes: Sequence[str],
    target: str = "",
    wrt: Sequence[str] | None = None,
    labels: str = "dense",
    **options: Any,
) -> ShardedKernel:
    """The kernel of a rank, where the axes of these names are split over ranks.

    Other options are those of `build`.  Without a target there are no files.  Raises KernelError
    for an axis that no input has, and for a target that has no words for messages.
    """
    if target and TARGETS[target].shard is None:
        able = ", ".join(name for name in TARGETS if TARGETS[name].shard) or "none"
        raise KernelError(f"the target {target} has no sharded kernels; those that have: {able}")
    names = default_wrt(loss) if wrt is None else tuple(dict.fromkeys(wrt))
    whole = build(loss, "numpy", names, labels=labels, **options)
    program = sharded(whole.kernel, axes)
    files: dict[str, str] = {}
    write = TARGETS[target].shard if target else None
    if write is not None:
        name = "_".join((program.name, "sharded", *(s.axis.name for s in program.splits)))
        program = replace(program, name=name)
        loss_as_cut, found, notes = prepared(whole.loss, names, labels)
        held = replace(whole.kernel, inputs=program.inputs)
        pairs = [(g.wrt, g.result) for g in found]
        said = facts(loss_as_cut, pairs, held, notes, TARGETS[target].dtypes)
        files = write(program, said)
    return ShardedKernel(whole.loss, whole.wrt, program, files, whole.explain)
