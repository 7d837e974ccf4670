"""Points at which kernels are held against balls, one stratum at a time.

A regime changes a sample of moderate values; one that finds nothing to change in a loss is
left out.  The structure of the declarations decides, never the name of a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from sympy import log

from codegen.points import Sample, is_real, moderate
from codegen.rounding import rounded
from derive.batch import names_batch
from derive.loss import Loss

AXIS_SIZES = (1, 2, 3, 10, 1000)
Change = Callable[[Sample], bool]


def _each(change: Callable[[Any, Sample], Any]) -> Change:
    """The change of every array that takes any real number."""

    def apply(sample: Sample) -> bool:
        for name in sample.movable():
            sample.arrays[name] = change(sample.arrays[name], sample)
        return bool(sample.movable())

    return apply


def _offset(size: float) -> Change:
    """A common offset of whole rows: the differences that a softmax sees stay."""

    def apply(sample: Sample) -> bool:
        moved = [n for n in sample.movable() if sample.loss.declared[n].tensor.axes]
        for name in moved:
            sample.arrays[name] = sample.arrays[name] + size
        return bool(moved)

    return apply


def _margin(sign: int) -> Change:
    """The logit of the class far above or below the others, or level with the largest."""

    def apply(sample: Sample) -> bool:
        found = sample.classes()
        if found is None:
            return False
        name, label = found
        z = sample.arrays[name]
        far = sample.random.uniform(5, 80 if sample.dtype == "float64" else 30, label.shape)
        edge = z.max(axis=-1) if sign >= 0 else z.min(axis=-1)
        np.put_along_axis(z, label[..., None], (edge + sign * far)[..., None], axis=-1)
        return True

    return apply


def _sparse(sample: Sample) -> bool:
    """Targets with one entry 1 and zeros, or at an end of the unit interval."""
    changed = False
    for declaration in sample.loss.declarations:
        value, kind = sample.arrays[declaration.name], declaration.domain.kind
        if kind == "simplex" and declaration.role == "target":
            sample.arrays[declaration.name] = np.eye(value.shape[-1])[np.argmax(value, axis=-1)]
            changed = True
        if kind == "unit" and declaration.role == "target":
            sample.arrays[declaration.name] = np.round(value)
            changed = True
    return changed


def _close(size: float) -> Change:
    """Inputs near the targets that they are compared with, or logits near the log of one."""

    def apply(sample: Sample) -> bool:
        changed = False
        for name in sample.movable():
            axes = sample.loss.declared[name].tensor.axes
            for other in sample.loss.declarations:
                same = other.name != name and other.tensor.axes == axes
                if not same or other.tensor.label is not None or other.role == "const":
                    continue
                there = sample.arrays[other.name]
                if np.shape(there) != np.shape(sample.arrays[name]):
                    continue
                noise = size * sample.random.normal(size=np.shape(there))
                if other.domain.kind == "simplex" and axes:
                    sample.arrays[name] = _logs(np.maximum(there, 1e-30)) + noise
                elif is_real(other):
                    sample.arrays[name] = there.astype(sample.dtype) * (1 + noise)
                else:
                    continue
                changed = True
                break
        return changed

    return apply


def _logs(values: Any) -> Any:
    return np.vectorize(lambda x: rounded(log, float(x)), otypes=[float])(values)


def _edge(size: float) -> Change:
    """Bounded inputs near the ends of their domain."""

    def apply(sample: Sample) -> bool:
        changed = False
        for d in sample.loss.declarations:
            if d.role not in ("input", "param") or d.tensor.label is not None or is_real(d):
                continue
            value = sample.arrays[d.name]
            if d.domain.kind == "simplex":
                value = sample.random.shares(value.shape, power=20)
                sample.arrays[d.name] = np.maximum(value, size)
            elif d.domain.lower is not None and d.domain.upper is not None:
                lower, upper = float(d.domain.lower), float(d.domain.upper)
                near = size * sample.random.uniform(0, 1, value.shape)
                top = sample.random.integers(0, 2, value.shape) == 1
                sample.arrays[d.name] = np.where(top, upper - near, lower + near)
            elif d.domain.lower is not None:
                near = size * sample.random.uniform(0, 1, value.shape)
                sample.arrays[d.name] = float(d.domain.lower) + near
            changed = True
        return changed

    return apply


def _tail(sign: int, low: float, high: float) -> Change:
    """Single logits far out on one side; fp32 has less room."""

    def apply(sample: Sample) -> bool:
        names = [n for n in sample.movable() if not sample.loss.declared[n].tensor.axes]
        room = 1.0 if sample.dtype == "float64" else 0.12
        for name in names:
            shape = np.shape(sample.arrays[name])
            sample.arrays[name] = sign * sample.random.uniform(low, high, shape) * room
        return bool(names)

    return apply


def _huge(sample: Sample) -> float:
    """So large that squares overflow; of vectors, that products do not."""
    largest = 1e200 if sample.dtype == "float64" else 1e25
    return float(np.sqrt(largest)) if sample.loss.axes else largest


def _consts(sample: Sample) -> bool:
    """Consts away from their defaults: an exponent 2 becomes 1/2."""
    changed = False
    for d in sample.loss.declarations:
        if d.role == "const" and not (d.tensor.axes or d.is_mark) and d.default is not None:
            value = float(d.default)
            low = 0.0 if d.domain.lower is None else float(d.domain.lower)
            sample.arrays[d.name] = np.array(low + (value - low) / 4)
            changed = True
    return changed


def _near_zero(sample: Sample) -> bool:
    """Small inputs, and real targets 0."""
    for d in sample.loss.declarations:
        if is_real(d) and d.role == "target":
            sample.arrays[d.name] = np.zeros_like(sample.arrays[d.name])
    return _each(lambda x, s: np.ldexp(x, s.random.integers(-30, -6, np.shape(x))))(sample)


def _tiny(sample: Sample) -> bool:
    info = np.finfo(sample.dtype)
    for d in sample.loss.declarations:
        if is_real(d) and d.role == "target":
            sample.arrays[d.name] = np.zeros_like(sample.arrays[d.name])
    tiny = float(info.smallest_subnormal)
    return _each(lambda x, s: np.round(np.abs(x) * 50 + 1) * np.sign(x) * tiny)(sample)


REGIMES: Mapping[str, Change] = {
    "moderate": lambda sample: True,
    "hard targets": _sparse,
    "margin far above": _margin(1),
    "margin equal": lambda sample: _margin(0)(sample) and _level(sample),
    "margin far below": _margin(-1),
    "far above, hard": lambda sample: _sparse(sample) and _margin(1)(sample),
    "far below, hard": lambda sample: _sparse(sample) and _margin(-1)(sample),
    "offset 1e2": _offset(1e2),
    "offset 1e4": _offset(1e4),
    "offset 1e8": _offset(1e8),
    "scale 1e-6": _each(lambda x, s: x * 1e-6),
    "scale 1e-2": _each(lambda x, s: x * 1e-2),
    "scale 10": _each(lambda x, s: x * 10),
    "ties": _each(lambda x, s: np.round(x)),
    "tail above": _tail(1, 5, 600),
    "tail below": _tail(-1, 5, 600),
    "near zero": _near_zero,
    "subnormal": _tiny,
    "other consts": _consts,
    "other consts, tail above": lambda sample: _consts(sample) and REGIMES["tail above"](sample),
    "other consts, tail below": lambda sample: _consts(sample) and REGIMES["tail below"](sample),
    "other consts, far above": lambda sample: _consts(sample) and _margin(1)(sample),
    "other consts, far below": lambda sample: _consts(sample) and _margin(-1)(sample),
    "huge": _each(lambda x, s: x * _huge(s)),
    "close 1e-2": _close(1e-2),
    "close 1e-6": _close(1e-6),
    "edges 1e-3": _edge(1e-3),
    "edges 1e-12": _edge(1e-12),
}


def _level(sample: Sample) -> bool:
    found = sample.classes()
    if found is not None:
        z, label = sample.arrays[found[0]], found[1]
        np.put_along_axis(z, label[..., None], z.max(axis=-1, keepdims=True), axis=-1)
    return found is not None


def samples(loss: Loss, dtype: str) -> Iterator[tuple[str, Sample]]:
    """Every regime that finds something to change in the loss, with its sample."""
    for name, change in REGIMES.items():
        sample = moderate(loss, {}, dtype, name)
        if change(sample):
            yield name, sample
    for axis in ("K", "D"):
        for size in AXIS_SIZES if axis in {a.name for a in loss.axes} else ():
            rows = {"N": 1} if size > 100 and not names_batch(loss) else {}
            yield f"{axis} = {size}", moderate(loss, {axis: size, **rows}, dtype, f"{axis}{size}")
