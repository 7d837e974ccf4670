"""The files of every target for one loss, made from one stable kernel; also with class labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from codegen.builder import KernelFunction, build, dense_target, prepared
from codegen.targets import TARGETS
from codegen.targets.facts import facts
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


def kernel_files(loss: Loss, function: KernelFunction) -> dict[str, Files]:
    """For each target, its files: what `generate` gives, with the stable form found only once."""
    dense = _emitted(loss, function, "dense")
    labelled: Mapping[str, tuple[File, ...]] = {}
    if dense_target(loss) is not None:
        named = _labelled(loss)
        labelled = _emitted(named, build(named, labels="index"), "index")
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


def _emitted(loss: Loss, function: KernelFunction, labels: str) -> dict[str, tuple[File, ...]]:
    loss = replace(loss, name=function.loss.name)
    given, found, notes = prepared(loss, function.wrt, labels)
    pairs = [(slope.wrt, slope.result) for slope in found]
    files = {}
    for name, target in TARGETS.items():
        if name == function.target:
            texts = function.files
        else:
            said = facts(given, pairs, function.kernel, notes, target.dtypes)
            try:
                texts = target.emit(function.kernel, said, target.dtypes)
            except Misfit:
                continue
        files[name] = tuple(
            File(f"{name}/{labels}/{file}", file, LANGUAGES.get(file.rpartition(".")[2], ""), text)
            for file, text in texts.items()
        )
    return files
