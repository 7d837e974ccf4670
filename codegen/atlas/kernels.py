"""The files of every target for one loss, also with class labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from codegen.builder import build, dense_target
from codegen.targets import TARGETS
from codegen.targets.target import Misfit
from derive.loss import Loss

# What a file's ending says of it.
LANGUAGES = {"py": "Python", "c": "C", "h": "C header", "mjs": "JavaScript module"}


@dataclass(frozen=True)
class File:
    """A generated file, as a page shows it, under a key that no other file of the page has."""

    key: str
    name: str
    language: str
    text: str

    @property
    def lines(self) -> int:
        return self.text.count("\n")


@dataclass(frozen=True)
class Files:
    """What one target gives: its files, and those that take class labels for a dense target."""

    summary: str
    dense: tuple[File, ...]
    labels: tuple[File, ...] = ()


def kernel_files(loss: Loss) -> dict[str, Files]:
    """For each target that the loss fits, its files: what `generate` gives."""
    dense = _built(loss, "dense")
    labelled: Mapping[str, tuple[File, ...]] = {}
    if dense_target(loss) is not None:
        labelled = _built(_labelled(loss), "index")
    return {
        name: Files(TARGETS[name].summary, made, labelled.get(name, ()))
        for name, made in dense.items()
    }


def numpy_sources(loss: Loss) -> tuple[str, ...]:
    """The NumPy kernels of a loss, whose accuracy a page shows."""
    dense = build(loss).source
    if dense_target(loss) is None:
        return (dense,)
    return dense, build(_labelled(loss), labels="index").source


def _labelled(loss: Loss) -> Loss:
    return replace(loss, name=f"{loss.name}_labels")


def _built(loss: Loss, labels: str) -> dict[str, tuple[File, ...]]:
    files = {}
    for target in TARGETS:
        try:
            texts = build(loss, target, labels=labels).files
        except Misfit:
            continue
        files[target] = tuple(
            File(
                f"{target}/{labels}/{file}", file, LANGUAGES.get(file.rpartition(".")[2], ""), text
            )
            for file, text in texts.items()
        )
    return files
