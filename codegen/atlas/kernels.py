"""The files of every target for one loss, made from one stable kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codegen.builder import KernelFunction, gradients
from codegen.targets import TARGETS
from codegen.targets.facts import facts

# What a file's ending says of it.
LANGUAGES = {"py": "Python", "c": "C", "h": "C header", "mjs": "JavaScript module"}


@dataclass(frozen=True)
class File:
    """A generated file, as a page shows it."""

    name: str
    language: str
    text: str

    @property
    def lines(self) -> int:
        return self.text.count("\n")


def kernel_files(function: KernelFunction) -> dict[str, tuple[File, ...]]:
    """For each target, its files: what `generate` gives, with the stable form found only once."""
    kernel, loss = function.kernel, function.loss
    found: list[tuple[Any, Any]] = [
        (slope.wrt, slope.result) for slope in gradients(loss, function.wrt)
    ]
    files = {}
    for name, target in TARGETS.items():
        if name == function.target:
            files[name] = _files(function.files)
            continue
        said = facts(loss, found, kernel, (), target.dtypes)
        files[name] = _files(target.emit(kernel, said, target.dtypes))
    return files


def _files(texts: Mapping[str, str]) -> tuple[File, ...]:
    return tuple(
        File(name, LANGUAGES.get(name.rpartition(".")[2], ""), text) for name, text in texts.items()
    )
