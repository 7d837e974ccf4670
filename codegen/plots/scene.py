"""Where a loss is looked at: one sample of it, its class 0 the target, one name free to move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from codegen.builder import KernelFunction, build
from codegen.points import mark_of
from derive.batch import PER_SAMPLE, names_batch
from derive.errors import PminusyError
from derive.loss import Declaration, Domain, Loss
from derive.sampling import allows

CLASSES = 3
UNLIKE = (1.0, 0.5, -0.5)
CONST = 2.0  # of a const without a default


@dataclass
class Scene:
    """A loss, the name that moves, and the fixed values of everything else.

    `values` are of one sample; `built` is a kernel of the loss that gives the slope by that name,
    where there is one already.  Raises PminusyError where the loss couples the samples of a
    batch, or where the name is not an input or a param.
    """

    loss: Loss
    wrt: str
    given: Mapping[str, float] = field(default_factory=dict)
    classes: int = CLASSES
    built: KernelFunction | None = None

    def __post_init__(self) -> None:
        if names_batch(self.loss):
            raise PminusyError(f"{self.loss.name} couples the samples of a batch: nothing to plot")
        found = self.loss.declared.get(self.wrt)
        if found is None or found.role not in ("input", "param"):
            names = [d.name for d in self.loss.declarations if d.role in ("input", "param")]
            raise PminusyError(f"no input or param '{self.wrt}'; there are {', '.join(names)}")
        for name, value in self.given.items():
            const = self.loss.declared.get(name)
            if const is None or const.role != "const":
                raise PminusyError(f"{self.loss.name} has no const '{name}'")
            if not allows(const, Fraction(value), {}):
                raise PminusyError(f"{name} = {value:g} is outside its domain")
        self.kernel: KernelFunction = self.built or build(self.loss, wrt=[self.wrt])
        self.axes = tuple(axis.name for axis in found.tensor.axes)
        self.values = {d.name: self._value(d) for d in self.loss.declarations}

    @property
    def of_the_target(self) -> str:
        """What to say of the first entry: that it is the true class's, if entries are classes'."""
        targets = [d for d in self.loss.declarations if d.role == "target"]
        axes = self.loss.declared[self.wrt].tensor.axes
        shared = [d.tensor.label in axes for d in targets if d.tensor.label]
        shared += [d.tensor.axes[-1] in axes for d in targets if d.domain.kind == "simplex"]
        return ", of the target class" if any(shared) else ""

    @property
    def others(self) -> str:
        """The value of the entries that do not move, which all have one."""
        return f"{float(np.ravel(self.values[self.wrt])[-1]):g}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the name that moves."""
        return tuple(self.classes for _ in self.axes)

    def at(self, points: Any) -> tuple[Any, Any]:
        """Loss and slope at each of the points, an array (n, *shape)."""
        points = np.asarray(points, dtype=float).reshape(-1, *self.shape)
        losses = np.empty(len(points))
        slopes = np.empty_like(points)
        batched = self.kernel.loss.declared[self.wrt].role == "input"
        if batched:
            given = {name: self._rows(name, len(points)) for name in self.values}
            losses, found = self.kernel(**{**given, self.wrt: points})
            return losses, found[self.wrt]
        for number, point in enumerate(points):
            given = {name: self._rows(name, 1) for name in self.values}
            value, found = self.kernel(**{**given, self.wrt: point})
            losses[number], slopes[number] = value[0], found[self.wrt]
        return losses, slopes

    def _rows(self, name: str, count: int) -> Any:
        role = self.loss.declared[name].role
        value = self.values[name]
        if role not in PER_SAMPLE:
            return value
        return np.broadcast_to(value, (count, *np.shape(value))).copy()

    def _value(self, declaration: Declaration) -> Any:
        """One-hot targets of class 0, the default of a const, and 0 or the middle for the rest."""
        name, domain, tensor = declaration.name, declaration.domain, declaration.tensor
        shape = tuple(self.classes for _ in tensor.axes)
        if name in self.given:
            return np.full(shape, float(self.given[name]))
        if declaration.is_mark:
            return np.int64(mark_of(declaration))
        if declaration.default is not None:
            return np.full(shape, float(declaration.default))
        if tensor.label is not None:
            return np.zeros(shape, dtype=np.int64)
        if domain.kind == "simplex":
            return np.eye(self.classes)[0] * np.ones(shape)
        if domain.kind in ("binary", "sign", "unit") and declaration.role == "target":
            return _first(shape, 1.0, -1.0 if domain.kind == "sign" else 0.0)
        if domain.kind == "unit":
            return np.full(shape, 0.5)
        low, high = domain.lower, domain.upper
        if low is not None and high is not None:
            return np.full(shape, (float(low) + float(high)) / 2)
        if declaration.role == "const":
            return np.full(shape, max(CONST, float(low) + 1 if low is not None else CONST))
        if declaration in self.unlike:
            return _unlike(self.unlike.index(declaration), shape)
        return np.full(shape, 0.0 if low is None else float(low) + 1)

    @cached_property
    def unlike(self) -> list[Declaration]:
        """The names with axes that stay, were all of whose entries alike nothing would come of it:
        a layer's weights, and what is measured against the name that moves.  Biases stay 0."""
        shown = [d for d in self.loss.declarations if d.role in ("input", "param")]
        deepest = max((len(d.tensor.axes) for d in shown), default=0)
        return [
            d
            for d in shown
            if d.name != self.wrt
            and d.tensor.axes
            and d.domain == Domain()
            and (d.role == "input" or len(d.tensor.axes) == deepest)
        ]


def _unlike(turn: int, shape: tuple[int, ...]) -> Any:
    """Numbers in rows of which no two are alike, nor those of the next turn."""
    if len(shape) > 1:
        return (1 + np.arange(np.prod(shape)).reshape(shape)) / 10
    return np.resize(np.roll(UNLIKE, turn), shape)


def _first(shape: tuple[int, ...], value: float, rest: float) -> Any:
    array = np.full(shape, rest)
    array[(0,) * len(shape)] = value
    return array
