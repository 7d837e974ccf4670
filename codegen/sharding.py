"""Kernels over several ranks: the program of a rank, and the files that targets make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sympy import Mul

from codegen.builder import default_wrt, prepared
from codegen.chosen import selection_for
from codegen.kernel import Kernel
from codegen.lower import lower_loss
from codegen.shard import Program, sharded
from codegen.stabilize import Selection, Stable, as_written, stabilize
from codegen.targets.facts import facts
from codegen.targets.sharded import SHARDED
from derive.derivation import Derivation
from derive.errors import KernelError
from derive.index import Entry, Tensor
from derive.loss import Declaration, Loss


@dataclass(frozen=True)
class ShardedKernel:
    """A kernel whose axes are split over ranks: its program, and the generated files by name.

    The program takes the cotangent of the loss, and weights the gradients by it.
    """

    loss: Loss
    wrt: tuple[str, ...]
    program: Program
    cotangent: str
    files: dict[str, str]
    explain: tuple[Derivation, ...]


def build_sharded(
    loss: Loss,
    axes: Sequence[str],
    target: str = "",
    wrt: Sequence[str] | None = None,
    labels: str = "dense",
    stable: bool = True,
    selection: Selection | None = None,
) -> ShardedKernel:
    """The kernel of a rank, where the axes of these names are split over ranks.

    Other options are those of `build`.  Without a target there are no files.  Raises KernelError
    for an axis that no input has, and for a target that has no words for messages.
    """
    if target and target not in SHARDED:
        able = ", ".join(SHARDED)
        raise KernelError(f"the target {target} has no sharded kernels; those that have: {able}")
    names = default_wrt(loss) if wrt is None else tuple(dict.fromkeys(wrt))
    cut, found, notes = prepared(loss, names, labels)
    how = selection or selection_for(cut, names)
    made = stabilize(cut, found, how) if stable else as_written(cut, found)
    cotangent = loss.unused_name("cotangent", "weight_of_sample")
    weighted = _weighted(made, cotangent)
    program = sharded(weighted, axes)
    files: dict[str, str] = {}
    if target:
        name = "_".join((program.name, "sharded", *(s.axis.name for s in program.splits)))
        program = replace(program, name=name)
        given = tuple(g for g in program.inputs if g.name != cotangent)
        held = replace(weighted, inputs=given)
        said = facts(cut, [(g.wrt, g.result) for g in found], held, notes)
        files = SHARDED[target](program, said, cotangent)
    return ShardedKernel(cut, names, program, cotangent, files, made.derivations)


def _weighted(made: Stable, cotangent: str) -> Kernel:
    """The kernel with every gradient weighted by the cotangent of the loss."""
    weight = Tensor(cotangent)
    declared = (*made.loss.declarations, Declaration(weight, "target"))
    pairs = [(g.wrt, Mul(Entry(weight), g.result)) for g in made.gradients]
    return lower_loss(replace(made.loss, declarations=declared), pairs)
