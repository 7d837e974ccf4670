"""Everything that is generated for the library: which files, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.builder import dense_target, generate
from codegen.targets import TARGETS
from codegen.targets.target import Misfit
from derive.loss import Loss
from derive.notation import library, load


def library_files(targets: tuple[str, ...] = tuple(TARGETS)) -> Iterator[tuple[str, str]]:
    """Each file as its path below generated/ and its text, loss by loss.

    A loss with a dense simplex target has a second file that takes it as class labels; a target
    has no file of a loss that does not fit it.
    """
    for name in library():
        loss = load(name)
        labels = ["dense", "index"] if dense_target(loss) else ["dense"]
        for target in targets:
            for kind in labels:
                for file, text in _files(loss, target, kind).items():
                    yield f"{target}/{file}", text


def _files(loss: Loss, target: str, labels: str) -> dict[str, str]:
    """The files of a loss for a target; none where it does not fit."""
    try:
        return generate(loss, target, labels=labels)
    except Misfit:
        return {}
