"""The points at which the candidates for a form are measured: few, of every regime and more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from codegen.accuracy import Stratum, is_difference
from codegen.points import Sample, moderate
from codegen.regimes import REGIMES, Change
from derive.batch import names_batch
from derive.loss import Loss

LENGTHS = (2, 3, 10)
ROWS = 3


def strata(loss: Loss, wrt: tuple[str, ...]) -> Iterator[Stratum]:
    """A few points of every regime, over the lengths of the axes in turn."""
    changes = {**REGIMES, **MORE}
    for at, (name, change) in enumerate(changes.items()):
        size = LENGTHS[at % len(LENGTHS)]
        sizes = {"K": size, "D": size} | ({} if names_batch(loss) else {"N": ROWS})
        sample = moderate(replace(loss, name=""), sizes, "float64", name)
        if change(sample):
            stratum = Stratum(loss, name, sample, wrt=wrt)
            yield replace(stratum, signed=is_difference(loss, [stratum]))


def _infinite(sample: Sample) -> bool:
    """One entry of each row at minus infinity, or a number at one of the two."""
    for name in sample.movable():
        array = np.array(sample.arrays[name], dtype=float)
        if sample.loss.declared[name].tensor.axes:
            array[..., 0] = -np.inf
        else:
            array[...] = np.where(array < 0, -np.inf, np.inf)
        sample.arrays[name] = array
        break
    return bool(sample.movable())


def _large_consts(sample: Sample) -> bool:
    """Consts that have no upper end far above their defaults."""
    changed = False
    for d in sample.loss.declarations:
        known = d.role == "const" and d.default is not None and not d.is_mark
        if known and d.domain.upper is None:
            sample.arrays[d.name] = np.asarray(sample.arrays[d.name]) * 16.0
            changed = True
    return changed


def _ahead(sample: Sample) -> bool:
    """Large consts, and of bounded entries that of the class near the upper end, the others low."""
    changed = False
    for d in sample.loss.declarations:
        axes, lower, upper = d.tensor.axes, d.domain.lower, d.domain.upper
        if not axes or lower is None or upper is None or d.role != "input":
            continue
        value, width = sample.arrays[d.name], float(upper) - float(lower)
        for other in sample.loss.declarations:
            label = sample.arrays[other.name]
            if other.tensor.label == axes[-1] and label.shape == value.shape[:-1]:
                value = float(lower) + (value - float(lower)) / 8
                near = np.full((*label.shape, 1), float(upper) - width / 256)
                np.put_along_axis(value, label[..., None], near, axis=-1)
                sample.arrays[d.name], changed = value, True
    return changed and _large_consts(sample)


def _largest_zero(sample: Sample) -> bool:
    """The largest entry of each row 0, and the others far below."""
    names = [n for n in sample.movable() if sample.loss.declared[n].tensor.axes]
    for name in names:
        array = sample.arrays[name]
        sample.arrays[name] = (array - array.max(axis=-1, keepdims=True)) * 16
    return bool(names)


MORE: Mapping[str, Change] = {
    "largest 0": _largest_zero,
    "class ahead, large consts": _ahead,
    "infinite": _infinite,
    "large consts": _large_consts,
    "hard targets, scale 10": lambda s: REGIMES["hard targets"](s) and REGIMES["scale 10"](s),
}
