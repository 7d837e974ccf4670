"""Arguments of a kernel, drawn inside the domains that a loss declares."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codegen.draws import Draws
from derive.batch import PER_SAMPLE, names_batch
from derive.loss import Declaration, Loss

SIZES = {"N": 4, "K": 5, "D": 3}
ROWS = 6
Arrays = dict[str, Any]


@dataclass
class Sample:
    """Arguments of a kernel, with the sizes of the axes; regimes change `arrays` in place."""

    loss: Loss
    sizes: dict[str, int]
    dtype: str
    random: Draws
    arrays: Arrays = field(default_factory=dict)

    def shape(self, declaration: Declaration) -> tuple[int, ...]:
        own = tuple(self.sizes[axis.name] for axis in declaration.tensor.axes)
        leading = not names_batch(self.loss) and declaration.role in PER_SAMPLE
        return (self.sizes["N"], *own) if leading else own

    def movable(self) -> list[str]:
        """Inputs and params that take any real number."""
        return [d.name for d in self.loss.declarations if is_real(d) and d.role != "target"]

    def classes(self) -> tuple[str, Any] | None:
        """The logits, and a class for each row of them: the label, or the largest target."""
        for name in self.movable():
            axes = self.loss.declared[name].tensor.axes
            for other in self.loss.declarations if axes else ():
                shape, value = self.arrays[name].shape, self.arrays[other.name]
                if other.tensor.label == axes[-1] and value.shape == shape[:-1]:
                    return name, value
                if other.domain.kind == "simplex" and value.shape == shape:
                    return name, np.argmax(value, axis=-1)
        return None

    def finished(self) -> Arrays:
        """The arrays in their dtype; a const stays a number."""
        ready = {}
        for declaration in self.loss.declarations:
            value = self.arrays[declaration.name]
            label = declaration.tensor.label is not None
            ready[declaration.name] = value if label else np.asarray(value).astype(self.dtype)
        return ready


def is_real(declaration: Declaration) -> bool:
    domain = declaration.domain
    bare = domain.kind == "real" and domain.lower is None and domain.upper is None
    return declaration.tensor.label is None and bare and declaration.role != "const"


def moderate(loss: Loss, sizes: Mapping[str, int], dtype: str, seed: str) -> Sample:
    """A sample of moderate values inside every domain; the same on every run."""
    known = {axis.name: 3 for axis in loss.axes} | SIZES | {"N": ROWS}
    if names_batch(loss):
        known["N"] = SIZES["N"]
    random = Draws(zlib.crc32(f"{loss.name} {seed}".encode()))
    sample = Sample(loss, {**known, **sizes}, dtype, random)
    for declaration in loss.declarations:
        sample.arrays[declaration.name] = _draw(declaration, sample)
    return sample


def mark_of(declaration: Declaration) -> int:
    """The label that is ignored: the default, or one that is out of range."""
    return -100 if declaration.default is None else int(declaration.default)


def _draw(declaration: Declaration, sample: Sample) -> Any:
    random, shape, domain = sample.random, sample.shape(declaration), declaration.domain
    if declaration.is_mark:
        return np.array(mark_of(declaration))
    if declaration.tensor.label is not None:
        return random.integers(0, sample.sizes[declaration.tensor.label.name], shape)
    if declaration.default is not None and not shape:
        return np.array(float(declaration.default))
    if domain.kind == "simplex":
        return random.shares(shape)
    if domain.kind in ("binary", "sign"):
        bits = random.integers(0, 2, shape).astype(float)
        return bits if domain.kind == "binary" else 2 * bits - 1
    ends = (0.0, 1.0) if domain.kind == "unit" else (domain.lower, domain.upper)
    lower, upper = (None if end is None else float(end) for end in ends)
    if lower is not None and upper is not None:
        return lower + (upper - lower) * random.uniform(0.02, 0.98, shape)
    if lower is not None:
        return lower + random.gamma(shape) + 0.01
    values = 2 * random.normal(size=shape)
    return values if upper is None else upper - np.abs(values) - 0.01
