"""Which kernels of the library a target is tried on: all, or one of each structure where the
target takes seconds to make or compile one."""

from __future__ import annotations

from functools import cache

import codegen
import derive
from codegen.builder import dense_target
from codegen.kernel import Kernel, Reduce, trees
from codegen.schedule import Phase, Sum, schedule
from derive.index import walk

SLOW = ("numba", "torch", "triton")
# Triton leaves a loss that joins the rows of its batch to other targets.
MISFITS = {"triton": ("cox_partial_likelihood", "info_nce")}
# test_numba_target.py holds that no other kernel has a structure or a function of its own.
REPRESENTATIVES = (
    ("am_softmax", "dense"),
    ("arcface", "dense"),
    ("binary_focal", "dense"),
    ("cox_partial_likelihood", "dense"),
    ("cross_entropy", "dense"),
    ("cross_entropy", "index"),
    ("dice", "dense"),
    ("distillation", "dense"),
    ("focal", "dense"),
    ("gamma", "dense"),
    ("hinge", "dense"),
    ("huber", "dense"),
    ("info_nce", "dense"),
    ("linear_sigmoid_cross_entropy", "dense"),
    ("linear_softmax_cross_entropy", "dense"),
    ("log_cosh", "dense"),
    ("mean_absolute_error", "dense"),
    ("softmax_mse", "index"),
    ("triplet", "dense"),
    ("tversky", "dense"),
    ("weighted_softmax_cross_entropy", "dense"),
)
# One of each kind, where every shape is compiled; test_jax_target.py runs all that is generated.
FEW = {
    "jax": (
        ("arcface", "dense"),
        ("binary_focal", "dense"),
        ("cox_partial_likelihood", "dense"),
        ("distillation", "dense"),
        ("info_nce", "dense"),
        ("linear_softmax_cross_entropy", "dense"),
        ("softmax_mse", "index"),
    )
}


def variants_of(target: str) -> tuple[tuple[str, str], ...]:
    """The losses of the library to try on a target, with the form of their targets."""
    found = REPRESENTATIVES if target in SLOW else library_variants()
    found = FEW.get(target, found)
    return tuple(variant for variant in found if variant[0] not in MISFITS.get(target, ()))


@cache
def library_variants() -> tuple[tuple[str, str], ...]:
    """Every loss, also with class labels where it may have them."""
    return tuple(
        (name, labels)
        for name in derive.library()
        for labels in ("dense", "index")
        if labels == "dense" or dense_target(derive.load(name))
    )


def features(kernel: Kernel) -> set[object]:
    """The structure of a kernel's schedule, and each function that it calls."""
    plan = schedule(kernel)
    phases = tuple(_phase(phase) for phase in plan.phases)
    found: set[object] = {(phases, tuple(sorted(set(plan.rooms.values()))))}
    nodes = (n for s in plan.kernel.statements for tree in trees(s) for n in walk(tree))
    return found | {type(node).__name__ for node in nodes if node.args}


def _phase(phase: Phase | Sum) -> tuple[object, ...]:
    if isinstance(phase, Sum):
        return ("sum", len(phase.statement.indices))
    reductions = {s.op for loop in phase.loops for s in loop.statements if isinstance(s, Reduce)}
    depths = {len(loop.indices) for loop in phase.loops}
    return ("rows" if phase.row else "once", tuple(sorted(depths)), tuple(sorted(reductions)))


@cache
def representatives() -> tuple[tuple[str, str], ...]:
    """The kernels that have, in the order of the library, something that none before them has."""
    known: set[object] = set()
    kept = []
    for name, labels in library_variants():
        own = features(codegen.build(derive.load(name), labels=labels).kernel)
        if not own <= known:
            kept.append((name, labels))
            known |= own
    return tuple(kept)
