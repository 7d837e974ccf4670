"""Kernels over several ranks: the program of a rank, and the files that targets make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from codegen.autograd import autograd, weighted_by
from codegen.builder import default_wrt, dense_target, prepared
from codegen.chosen import selection_for
from codegen.lower import cut, lower_loss
from codegen.shard import Program, sharded
from codegen.stabilize import Selection, as_written, stabilize
from codegen.targets.facts import facts
from codegen.targets.sharded import SHARDED, Passed
from derive.derivation import Derivation
from derive.errors import KernelError
from derive.loss import Loss


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
    whole, found, notes = prepared(loss, names, labels)
    how = selection or selection_for(whole, names)
    made = stabilize(whole, found, how) if stable else as_written(whole, found)
    cotangent = loss.unused_name("cotangent", "weight_of_sample")
    weighted = weighted_by(made, cotangent)
    program = sharded(weighted, axes, (cotangent,))
    kernel = ShardedKernel(whole, names, program, cotangent, {}, made.derivations)
    if not target:
        return kernel
    label = dense_target(loss) if labels == "index" else None
    second = autograd(cut(loss, names), made, names, label)
    passed = Passed(
        replace(program, name="_".join((program.name, "sharded", *axes_of(program)))),
        cotangent,
        lower_loss(as_written(whole).loss),
        None if second.second is None else sharded(second.second, axes),
        second.directions,
        second.results,
        second.reason,
    )
    given = tuple(g for g in program.inputs if g.name != cotangent)
    held = replace(weighted, inputs=given)
    said = facts(whole, [(g.wrt, g.result) for g in found], held, notes)
    return replace(kernel, program=passed.program, files=SHARDED[target](passed, said))


def axes_of(program: Program) -> tuple[str, ...]:
    """The names of the axes that are split."""
    return tuple(split.axis.name for split in program.splits)
