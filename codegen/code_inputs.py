"""Arrays to try a gradient at, by regime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from codegen.oracle import Oracle
from codegen.points import mark_of
from derive.batch import BATCH
from derive.index import Entry, walk
from derive.loss import Declaration, Domain

SIZES = ((1, 2), (2, 6), (3, 4), (10, 2))  # for each size K: how many rows
SINGLE = (3, 1)
LARGEST = 10
FAR = {"float64": (5, 80), "float32": (5, 30)}
FARTHEST = {"float64": 720.0, "float32": 95.0}  # exp of minus this is subnormal
PLAIN, INFINITE = "plain", "infinities"
REGIMES = (
    PLAIN,
    "target far above",
    "target equal",
    "target far below",
    "offset 1e2",
    "offset 1e4",
    "offset 1e8",
    "scale",
    "ties",
    "subnormals",
    INFINITE,
)
REAL_ONLY = ("offset 1e2", "offset 1e4", "offset 1e8", INFINITE)
HARD_TARGETS = ("target far above", "target equal", "target far below", "subnormals", INFINITE)


@dataclass(frozen=True)
class Case:
    """One call: its regime and dtype, the sizes of the axes (N counts samples), the arrays."""

    regime: str
    dtype: str
    sizes: Mapping[str, int]
    values: Mapping[str, Any]


def axes_of(oracle: Oracle, name: str) -> tuple[str, ...]:
    """The names of the axes that arrays of a name have, N in front where it is batched."""
    own = tuple(axis.name for axis in oracle.loss.declared[name].tensor.axes)
    return (BATCH, *own) if oracle.leads(name) else own


def handed(oracle: Oracle, case: Case, name: str, one_hot: bool) -> Any:
    """The array as the function gets it: class labels as integers, or as rows of one 1."""
    value, label = case.values[name], oracle.loss.declared[name].tensor.label
    if label is None or not one_hot or oracle.loss.declared[name].is_mark:
        return value
    return np.eye(case.sizes[label.name], dtype=case.dtype)[value]


def cases(oracle: Oracle, accepted: tuple[str, ...], one_hot: bool = False) -> Iterator[Case]:
    """Every case of every regime that the domain allows; the same ones on every run.

    Consts with a default that the function does not take (`accepted`) keep it.  Where `one_hot`,
    every row of a dense target is a single 1.
    """
    real = oracle.loss.declared[oracle.wrt].domain == Domain()
    axes = [axis.name for axis in oracle.loss.axes if axis.name != BATCH]
    for number, regime in enumerate(REGIMES):
        if (regime in REAL_ONLY and not real) or (regime == INFINITE and _is_factor(oracle)):
            continue
        for dtype, (size, rows) in product(FAR, _rows(oracle, axes, regime)):
            if regime == INFINITE and size == 1 and not _alone(oracle):
                continue
            random = np.random.default_rng([number, size])
            sizes = {BATCH: rows, **_sizes(oracle, axes, size)}
            draw = _Draw(oracle, regime, dtype, sizes, random, one_hot)
            yield Case(regime, dtype, sizes, draw.values(accepted))


def _rows(oracle: Oracle, axes: list[str], regime: str) -> list[tuple[int, int]]:
    """Sizes and rows: fewer rows where the loss, or the variable, has many entries.

    A loss over the batch is tried with many rows on plain inputs: its truth costs their square.
    """
    if not axes and not oracle.whole:
        return [(1, 12), (1, 1)] if regime == PLAIN else [(1, 12)]
    many = oracle.whole or len(oracle.loss.declared[oracle.wrt].tensor.axes) > 1
    if not many:
        return [*SIZES, SINGLE] if regime == PLAIN else list(SIZES)
    small = [(1, 2), (2, 4), (3, 3), (LARGEST, 2)]
    if not oracle.whole:
        return small
    found = small if axes else [pair for pair in small if pair[0] < LARGEST]
    return [*found, (2, LARGEST)] if regime == PLAIN else found


def _alone(oracle: Oracle) -> bool:
    """Whether the variable is one number a sample, and not a row of them."""
    return axes_of(oracle, oracle.wrt)[-1:] in ((), (BATCH,))


def _is_factor(oracle: Oracle) -> bool:
    """Whether the variable is a factor of a product, in which infinity times 0 has no value."""
    for definition in oracle.loss.definitions:
        for node in walk(definition.body):
            loose = [arg for arg in getattr(node, "args", ()) if not arg.is_Rational]
            factors = loose if getattr(node, "is_Mul", False) and len(loose) > 1 else []
            if any(isinstance(f, Entry) and f.tensor.name == oracle.wrt for f in factors):
                return True
    return False


def _sizes(oracle: Oracle, axes: list[str], size: int) -> dict[str, int]:
    """The axis of the classes, else the last of the variable, has this size; others are short."""
    main = set(axes_of(oracle, oracle.wrt)[-1:]) & set(axes) or set(axes)
    for declaration in oracle.loss.declarations:
        if declaration.role == "target":
            tensor = declaration.tensor
            named = [axis.name for axis in tensor.axes[-1:]]
            main = {tensor.label.name} if tensor.label else set(named) & set(axes) or main
    return {axis: size if axis in main else min(size, 2) for axis in axes}


@dataclass(frozen=True)
class _Draw:
    oracle: Oracle
    regime: str
    dtype: str
    sizes: Mapping[str, int]
    random: np.random.Generator
    one_hot: bool = False

    def values(self, accepted: tuple[str, ...]) -> dict[str, Any]:
        """An array for every declared name: targets first, as the variable goes by them."""
        found: dict[str, Any] = {}
        order = sorted(self.oracle.loss.declarations, key=lambda d: d.role != "target")
        for declaration in order:
            name = declaration.name
            if declaration.is_mark:
                found[name] = np.array(mark_of(declaration))
            elif declaration.default is not None and not self._varied(name, accepted):
                kept = self.dtype if name in accepted else "float64"
                found[name] = np.full(self._shape(name), float(declaration.default), dtype=kept)
            elif name == self.oracle.wrt:
                found[name] = self._into(declaration, self._variable(found))
            else:
                found[name] = self._other(declaration)
        for declaration in order:
            if declaration.ignored is not None and self.regime == PLAIN and not self.one_hot:
                labels = found[declaration.name]
                labels.flat[1:2] = found[declaration.ignored.name]
        return {d.name: found[d.name] for d in self.oracle.loss.declarations}

    def _varied(self, name: str, accepted: tuple[str, ...]) -> bool:
        return name in accepted and self.regime == PLAIN and max(self.sizes.values()) % 2 == 0

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.sizes[axis] for axis in axes_of(self.oracle, name))

    def _other(self, declaration: Declaration) -> Any:
        shape, domain = self._shape(declaration.name), declaration.domain
        label = declaration.tensor.label
        if label is not None:
            return self.random.integers(0, self.sizes[label.name], shape)
        if domain.kind == "simplex" and declaration.role == "target":
            return self._weights(shape).astype(self.dtype)
        if domain.kind == "unit" and declaration.role == "target":
            soft = self.random.integers(0, 9, shape) / 8
            hard = self.random.integers(0, 2, shape)
            soften = (self.regime not in HARD_TARGETS) & (self.random.random(shape) < 0.5)
            return np.where(soften, soft, hard).astype(self.dtype)
        return self._into(declaration, self.random.normal(0, 1, shape))

    def _weights(self, shape: tuple[int, ...]) -> Any:
        """Rows of eighths that sum to 1: one-hot ones, and soft ones where the regime is mild."""
        rows, last = shape[:-1], shape[-1]
        found = np.zeros(shape)
        for count, row in enumerate(np.ndindex(rows)):
            soft = count % 2 and self.regime not in HARD_TARGETS and not self.one_hot
            for k in self.random.integers(0, last, 8 if soft else 1):
                found[(*row, k)] += 1 / 8 if soft else 1
        return found

    def _variable(self, targets: Mapping[str, Any]) -> Any:
        """The variable in its regime, before its domain is looked at."""
        z = self.random.normal(0, 2, self._shape(self.oracle.wrt))
        if self.regime.startswith("offset"):
            return z + float(self.regime.split()[1])
        if self.regime == "scale":
            return z * self.random.choice([1e-6, 1e-2, 10.0, 100.0], z.shape)
        if self.regime == "ties":
            return np.round(z / 2)
        if self.regime == "subnormals":
            tiny = z * float(np.finfo(self.dtype).tiny) / 1000
            far = self._margin(z, targets, 1, FARTHEST[self.dtype])
            odd = np.arange(z.size).reshape(z.shape) // max(z.shape[-1:], default=1) % 2
            return np.where(odd == 1, tiny, far) if z.ndim > 1 else far
        if self.regime == INFINITE:
            return self._margin(z, targets, -1, np.inf)
        if self.regime == PLAIN:
            return z
        sign = {"target far above": 1, "target equal": 0, "target far below": -1}[self.regime]
        return self._margin(z, targets, sign, None)

    def _margin(self, z: Any, targets: Mapping[str, Any], sign: int, far: float | None) -> Any:
        """The entry of the target, so far above the largest of its row or below the smallest;
        one alone goes towards its target; minus infinity goes to an entry that is no target."""
        z, axes = z.copy(), axes_of(self.oracle, self.oracle.wrt)
        alone = _alone(self.oracle)
        for row in np.ndindex(z.shape if alone else z.shape[:-1]):
            distance = self.random.uniform(*FAR[self.dtype]) if far is None else far
            if alone:
                toward = 1 if far == np.inf else sign
                z[row] = self._direction(row, targets) * (toward * distance if toward else 0)
                continue
            hot = self._hot(row, targets, axes[-1], z.shape[-1])
            if distance == np.inf:
                z[(*row, (hot + 1) % z.shape[-1])] = -distance
                continue
            others = np.delete(z[row], hot) if z.shape[-1] > 1 else z[row]
            end = others.max() if sign >= 0 else others.min()
            z[(*row, hot)] = end + sign * distance
        return z

    def _hot(self, row: tuple[int, ...], targets: Mapping[str, Any], axis: str, size: int) -> int:
        for name, given in targets.items():
            declaration = self.oracle.loss.declared[name]
            label = declaration.tensor.label
            is_label = label is not None and not declaration.is_mark
            if is_label and label.name == axis and given.ndim <= len(row):
                return int(given[row[: given.ndim]])
            if axes_of(self.oracle, name)[-1:] == (axis,) and given.ndim <= len(row) + 1:
                return int(np.argmax(given[row[: given.ndim - 1]]))
        return int(self.random.integers(size))

    def _direction(self, place: tuple[int, ...], targets: Mapping[str, Any]) -> float:
        for given in targets.values():
            if given.shape == self._shape(self.oracle.wrt):
                return 1.0 if given[place] > 0.5 else -1.0
        return float(self.random.choice([-1.0, 1.0]))

    def _into(self, declaration: Declaration, z: Any) -> Any:
        """Real numbers moved into a domain, as floats of the dtype."""
        domain = declaration.domain
        if domain.kind in ("binary", "sign"):
            z = np.where(z > 0, 1.0, 0.0 if domain.kind == "binary" else -1.0)
        elif domain.kind == "simplex":
            e = np.exp(z - z.max(axis=-1, keepdims=True))
            z = e / e.sum(axis=-1, keepdims=True)
        elif domain.kind == "unit" or (domain.lower is not None and domain.upper is not None):
            lower, upper = (
                (0.0, 1.0)
                if domain.kind == "unit"
                else (float(domain.lower or 0), float(domain.upper or 0))
            )
            z = lower + (upper - lower) / (1 + np.exp(-np.clip(z, -700, 700)))
        elif domain.lower is not None:
            z = float(domain.lower) + np.exp(np.clip(z, -60, 60))
        elif domain.upper is not None:
            z = float(domain.upper) - np.exp(np.clip(z, -60, 60))
        return np.asarray(z).astype(self.dtype)
