"""The battery: derivation, proof, and kernels against balls and finite differences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product as cartesian
from typing import Any

import numpy as np
from flint import arb, ctx

from codegen.builder import KernelFunction, build, default_wrt
from codegen.points import mark_of
from derive.evaluate import Evaluator
from derive.index import Partial
from derive.loss import Declaration, Loss
from derive.named import gradient
from derive.point import Point
from derive.proof import decide

SIZES = {"N": 4, "K": 5, "D": 3}
MOST_ULP = 512


@dataclass(frozen=True)
class Check:
    """One line of the table: what was checked of which loss, whether it passed, the figures."""

    loss: str
    what: str
    passed: bool
    detail: str


def battery(loss: Loss, target: str = "numpy") -> Iterator[Check]:
    """Every check of one loss."""
    names = default_wrt(loss)
    for name in names:
        yield from _derivation(loss, name)
    kernel = build(loss, target)
    arguments = sample(kernel)
    values, slopes = kernel(**arguments)
    yield _kernel(kernel, arguments, values, slopes)
    yield _differences(kernel, arguments, slopes)


def _derivation(loss: Loss, name: str) -> Iterator[Check]:
    derivation = gradient(loss, name)
    derivation.replay()
    checks = [step.check for step in derivation.all_steps()]
    unknown = checks.count("unknown")
    detail = f"{len(checks)} steps replayed, {unknown} unknown"
    yield Check(loss.name, f"d/d{name} steps", unknown == 0, detail)
    verdict = decide(derivation.loss, derivation.result, derivation.start, loss.below(name))
    yield Check(
        loss.name, f"d/d{name} result", bool(verdict), f"{verdict.status}: {verdict.reason}"
    )


def sample(kernel: KernelFunction) -> dict[str, Any]:
    """Arguments for a kernel: the same on every run, inside every domain."""
    random = np.random.default_rng(7)
    arrays = {
        given.name: _array(
            kernel.loss.declared[given.name],
            tuple(SIZES.get(axis.name, 3) for axis in given.tensor.axes),
            random,
        )
        for given in kernel.kernel.inputs
    }
    for given in kernel.kernel.inputs:
        if given.ignored is not None and np.size(arrays[given.name]) > 1:
            arrays[given.name].flat[1] = arrays[given.ignored.name]
    return arrays


def _array(declaration: Declaration, shape: tuple[int, ...], random: np.random.Generator) -> Any:
    domain = declaration.domain
    if declaration.is_mark:
        return np.array(mark_of(declaration))
    if declaration.tensor.label is not None:
        return random.integers(0, SIZES.get(declaration.tensor.label.name, 3), shape)
    if domain.kind == "simplex":
        weights = random.integers(1, 9, shape) / 8.0
        return weights / weights.sum(axis=-1, keepdims=True)
    if domain.kind in ("binary", "sign"):
        bits = random.integers(0, 2, shape).astype(float)
        return bits if domain.kind == "binary" else 2 * bits - 1
    if domain.kind == "unit":
        return random.uniform(0, 1, shape)
    values = random.normal(size=shape) * 3
    lower = None if domain.lower is None else float(domain.lower)
    upper = None if domain.upper is None else float(domain.upper)
    if lower is not None and upper is not None:
        return lower + (upper - lower) / (1 + np.exp(-values))
    if lower is not None:
        return lower + np.abs(values) + 0.1
    return values if upper is None else upper - np.abs(values) - 0.1


def _kernel(
    kernel: KernelFunction, arguments: dict[str, Any], values: Any, slopes: dict[str, Any]
) -> Check:
    """The largest error against balls, in units of the last place of the largest entry."""
    worst = 0.0
    rows = len(values) if kernel.kernel.batch is not None else 1
    sums: dict[str, Any] = {}
    for row in range(rows):
        one = {
            given.name: arguments[given.name][row]
            if _batched(kernel, given.name)
            else arguments[given.name]
            for given in kernel.kernel.inputs
        }
        value, exact = _exact(kernel, one)
        worst = max(worst, _ulp(np.atleast_1d(values)[row], value))
        for name, table in exact.items():
            if _batched(kernel, name):
                worst = max(worst, _ulp(slopes[name][row], table))
            else:
                sums[name] = table if name not in sums else sums[name] + table
    for name, table in sums.items():
        worst = max(worst, _ulp(slopes[name], table))
    return Check(kernel.loss.name, "kernel against balls", worst <= MOST_ULP, f"{worst:.1f} ULP")


def _batched(kernel: KernelFunction, name: str) -> bool:
    batch = kernel.kernel.batch
    given = next(g for g in kernel.kernel.inputs if g.name == name)
    return batch is not None and given.tensor.axes[:1] == (batch,)


def _exact(kernel: KernelFunction, one: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The loss of one sample and its gradients, as arrays of balls."""
    loss = kernel.loss
    given = {
        name: {place: Fraction(float(array[place])) for place in np.ndindex(np.shape(array))}
        for name, array in ((name, np.asarray(value)) for name, value in one.items())
    }
    sizes = {}
    for name, value in one.items():
        for axis, size in zip(loss.declared[name].tensor.axes, np.shape(value), strict=True):
            sizes[axis.name] = size
        label = loss.declared[name].tensor.label
        if label is not None and not loss.declared[name].is_mark:
            sizes.setdefault(label.name, SIZES.get(label.name, 3))
    with ctx.workprec(160):
        evaluator = Evaluator(loss, Point(sizes, given))
        value = np.array(evaluator.at(loss.value.name, ()), dtype=object)
        return value, {name: _slope(evaluator, loss, name, sizes) for name in kernel.wrt}


def _slope(evaluator: Evaluator, loss: Loss, name: str, sizes: dict[str, int]) -> Any:
    variable = loss.free_entry(name)
    shape = tuple(sizes[axis.name] for axis in variable.tensor.axes)
    table = np.empty(shape, dtype=object)
    for place in cartesian(*map(range, shape)):
        env = dict(zip(variable.indices, place, strict=True))
        table[place] = evaluator(Partial(loss.value.entry, variable), env)
    return table


def _ulp(got: Any, exact: Any) -> float:
    """The largest error in units of the last place of the largest exact entry."""
    exact = np.atleast_1d(exact).ravel()
    got = np.atleast_1d(np.asarray(got, dtype=float)).ravel()
    largest = max(abs(float(value.mid())) for value in exact)
    unit = float(np.spacing(max(largest, np.finfo(float).tiny)))
    return max(
        abs(float((arb(float(mine)) - value).mid())) / unit
        for mine, value in zip(got, exact, strict=True)
    )


def _differences(
    kernel: KernelFunction, arguments: dict[str, Any], slopes: dict[str, Any]
) -> Check:
    """Central differences of the kernel's own loss: a smoke test in floating point."""
    worst = 0.0
    step = 1e-5
    for name in kernel.wrt:
        array = np.asarray(arguments[name], dtype=float)
        for place in np.ndindex(array.shape):
            ends = []
            for sign in (1, -1):
                moved = array.copy()
                moved[place] += sign * step
                values, _ = kernel(**{**arguments, name: moved})
                ends.append(float(np.sum(values)))
            slope = (ends[0] - ends[1]) / (2 * step)
            worst = max(
                worst, abs(slope - float(np.asarray(slopes[name])[place])) / (1 + abs(slope))
            )
    return Check(kernel.loss.name, "finite differences", worst < 1e-6, f"{worst:.0e} relative")
