"""Generated files: those of one loss, and those of the whole library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from codegen.builder import build, dense_target
from codegen.objectives import OBJECTIVES, fits, objective
from codegen.targets import TARGETS
from codegen.targets.target import Misfit
from derive.errors import KernelError
from derive.loss import Loss
from derive.notation import library, load

EVERY = (*TARGETS, *OBJECTIVES)


def generate(
    loss: Loss,
    target: str = "numpy",
    wrt: Sequence[str] | None = None,
    labels: str = "dense",
    hessian: str | None = None,
) -> dict[str, str]:
    """The generated files, by name; with class labels the names end in _labels.

    A boosting library always takes class labels, and `hessian` names a Hessian policy for it.
    """
    if target in OBJECTIVES:
        return dict(objective(loss, target, only(wrt, target), hessian).files)
    if hessian is not None:
        known = ", ".join(OBJECTIVES)
        raise KernelError(f"a Hessian policy is for the boosting libraries, {known}: not {target}")
    if labels == "index":
        loss = replace(loss, name=f"{loss.name}_labels")
    return dict(build(loss, target, wrt, labels=labels).files)


def only(wrt: Sequence[str] | None, target: str) -> str | None:
    """The one name of the raw scores, where names are given."""
    names = list(dict.fromkeys(wrt or ()))
    if len(names) > 1:
        raise KernelError(f"{target}: expected one name of raw scores, found {', '.join(names)}")
    return names[0] if names else None


def library_files(targets: tuple[str, ...] = EVERY) -> Iterator[tuple[str, str]]:
    """Each file as its path below generated/ and its text, loss by loss.

    A loss with a dense simplex target has a second file that takes it as class labels; a target
    has no file of a loss that does not fit it.  A boosting library always has labels.
    """
    for name in library():
        loss = load(name)
        for target in targets:
            if target in OBJECTIVES:
                kinds = ["index"] if fits(loss) else []
            else:
                kinds = ["dense", "index"] if dense_target(loss) else ["dense"]
            for kind in kinds:
                for file, text in _files(loss, target, kind).items():
                    yield f"{target}/{file}", text


def _files(loss: Loss, target: str, labels: str) -> dict[str, str]:
    """The files of a loss for a target; none where it does not fit."""
    try:
        return generate(loss, target, labels=labels)
    except Misfit:
        return {}
