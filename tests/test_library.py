"""Every loss of the library: its closed form, its derivation, its gradient and its kernel.

The truth is the loss file run as plain Python over mpmath numbers, and its differences.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from random import Random
from typing import Any

import mpmath
import numpy as np
import plain
import pytest
from closed_forms import CLOSED_FORMS
from mpmath import mp, mpf
from samples import with_coined

import codegen
import derive
from codegen.builder import KernelFunction, default_wrt
from codegen.verify import battery
from derive import Derivation
from derive.batch import PER_SAMPLE, names_batch
from derive.loss import Declaration, Loss

every = pytest.mark.parametrize("name", derive.library())
PAIRS = [(name, wrt) for name in derive.library() for wrt in default_wrt(derive.load(name))]
gradients = pytest.mark.parametrize(("name", "wrt"), PAIRS)

# The sizes of the axes and the spread of real values, one a stratum: all kinds of branches.
SIZES = ({"N": 3, "K": 3, "D": 2}, {"N": 2, "K": 2, "D": 3}, {"N": 2, "K": 4, "D": 1})
SPREADS = (1.0, 0.25, 3.0)
POINTS = 6
# What the language knows and `plain` does not.
MORE = {"acos": mpmath.acos, "cos": mpmath.cos, "sin": mpmath.sin, "pi": mpf(mp.pi)}
MOST_ULP = 300  # of the largest entry
# Their gradients p_j (u_j - sum_i u_i p_i) cancel at some samples: the bound is what that costs.
CANCELLING = {"softmax_mse": 350, "total_variation": 380}


@cache
def derivation(name: str, wrt: str) -> Derivation:
    return derive.gradient(derive.load(name), wrt)


# -- closed forms and derivations ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wrt", "claim"), CLOSED_FORMS, ids=[f"{name} {wrt}" for name, wrt, _ in CLOSED_FORMS]
)
def test_closed_form(name: str, wrt: str, claim: str) -> None:
    verdict = derive.check(derive.load(name), wrt, claim)
    assert verdict.status == "proved", f"{verdict.reason}: {verdict.counterexample}"


@gradients
def test_has_a_closed_form(name: str, wrt: str) -> None:
    entries = {(loss, entry.split("[")[0]) for loss, entry, _ in CLOSED_FORMS}
    assert (name, wrt) in entries, "tests/closed_forms.py does not say what the gradient is"


@gradients
def test_takes_less_than_a_second(name: str, wrt: str) -> None:
    """Recorded and checked; the first time may be that of a cold or crowded process."""
    loss = derive.load(name)
    for _ in range(3):
        begun = time.process_time()
        derive.gradient(loss, wrt)
        if (spent := time.process_time() - begun) < 1:
            return
    pytest.fail(f"{spent:.2f} s")


@every
def test_battery(name: str) -> None:
    """What `pminusy verify` does: no step is unknown, each follows again, the result is proved."""
    for row in battery(derive.load(name)):
        assert row.passed, row


# -- values ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """Exact values, each of which is a float64, for every declared name."""

    sizes: Mapping[str, int]
    values: Mapping[str, Mapping[tuple[int, ...], Fraction]]

    def array(self, declaration: Declaration) -> Any:
        shape = tuple(self.sizes[axis.name] for axis in declaration.tensor.axes)
        array = np.empty(shape, int if declaration.tensor.label else float)
        for place, value in self.values[declaration.name].items():
            array[place] = value
        return array


def samples(loss: Loss) -> Iterator[Sample]:
    """Points spread over the domains, consts too: each bounded value visits every stratum."""
    random = Random(11)
    for k in range(POINTS):
        sizes = SIZES[k % len(SIZES)]
        values = {}
        for declaration in loss.declarations:
            if declaration.default is not None and k == 0:
                places = product(*(range(sizes[axis.name]) for axis in declaration.tensor.axes))
                default = Fraction(float(declaration.default))
                values[declaration.name] = dict.fromkeys(places, default)
            else:
                values[declaration.name] = _draw(declaration, sizes, k, random)
        for declaration in loss.declarations:
            if declaration.ignored is not None and k % 3 == 2:
                mark = values[declaration.ignored.name][()]
                values[declaration.name] = dict.fromkeys(values[declaration.name], mark)
        yield Sample(sizes, values)


def _draw(
    declaration: Declaration, sizes: Mapping[str, int], k: int, random: Random
) -> dict[tuple[int, ...], Fraction]:
    tensor, domain = declaration.tensor, declaration.domain
    shape = [sizes[axis.name] for axis in tensor.axes]
    places = list(product(*map(range, shape)))
    if declaration.is_mark:
        return {(): Fraction(random.choice((-100, 0, 7)))}
    if tensor.label is not None:
        return {place: Fraction(random.randrange(sizes[tensor.label.name])) for place in places}
    if domain.kind == "simplex":
        return {p: x for row in product(*map(range, shape[:-1])) for p, x in _row(row, shape[-1])}
    if domain.kind in ("binary", "sign"):
        low = 0 if domain.kind == "binary" else -1
        return {place: Fraction(random.choice((low, 1))) for place in places}
    ends = (0.0, 1.0) if domain.kind == "unit" else (domain.lower, domain.upper)
    return {place: Fraction(_real(ends, k, random)) for place in places}


def _row(row: tuple[int, ...], size: int) -> Iterator[tuple[tuple[int, ...], Fraction]]:
    """A distribution whose entries are exact in binary."""
    cuts = [0, *sorted(Random(str(row)).sample(range(1, 64), size - 1)), 64]
    for k in range(size):
        yield (*row, k), Fraction(cuts[k + 1] - cuts[k], 64)


def _real(ends: tuple[Any, Any], k: int, random: Random) -> float:
    lower, upper = (None if end is None else float(end) for end in ends)
    if lower is not None and upper is not None:
        return lower + (upper - lower) * (k + random.uniform(0.1, 0.9)) / POINTS
    spread = SPREADS[k // 2 % 3]
    if lower is not None:
        return lower + spread * random.uniform(0.2, 1.5)
    return random.gauss(0, spread)


@dataclass(frozen=True)
class Truth:
    """The loss at one sample by `plain`, and its differences."""

    loss: Loss
    sample: Sample

    def value(self, **moved: Mapping[tuple[int, ...], Any]) -> Any:
        given = {**self.sample.values, **moved}
        sizes = {**MORE, **self.sample.sizes}
        return plain.run(self.loss.text, sizes, given)[self.loss.value.name]

    def slope(self, wrt: str, place: tuple[int, ...]) -> Any:
        """A central difference, right to some 35 digits."""
        old = self.sample.values[wrt]
        step = mpf(10) ** -20

        def at(move: int) -> Any:
            exact = mpf(old[place].numerator) / old[place].denominator
            return self.value(**{wrt: {**old, place: exact + move * step}})

        return (at(1) - at(-1)) / (2 * step)

    def slopes(self, wrt: str) -> dict[tuple[int, ...], Any]:
        return {place: self.slope(wrt, place) for place in self.sample.values[wrt]}

    def claimed(self, found: Derivation, letters: Mapping[str, int]) -> Any:
        sizes, text = {**MORE, **self.sample.sizes}, with_coined(self.loss.text, found.loss)
        return plain.claimed(text, sizes, self.sample.values, found.formula, letters)


@every
def test_gradient_and_kernel_equal_the_loss(name: str) -> None:
    """The printed result, read as plain Python, equals differences of the loss to 30 digits, and
    the kernel equals both within a few hundred units in the last place of the largest entry."""
    loss = derive.load(name)
    kernel = codegen.build(loss)
    most = CANCELLING.get(name, MOST_ULP)
    with mp.workdps(60):
        for sample in samples(loss):
            truth = Truth(loss, sample)
            value, found = run_kernel(kernel, sample)
            assert _ulp(value, [truth.value()]) <= most, sample
            for wrt in default_wrt(loss):
                slopes = truth.slopes(wrt)
                assert_printed(derivation(name, wrt), truth, slopes)
                assert _ulp(found[wrt], list(slopes.values())) <= most, sample


def assert_printed(found: Derivation, truth: Truth, slopes: Mapping[tuple[int, ...], Any]) -> None:
    """The formula has the values of the slopes."""
    letters = [found.names.free[index] for index in found.wrt[-1].indices]
    for place, slope in slopes.items():
        value = truth.claimed(found, dict(zip(letters, place, strict=True)))
        assert abs(value - slope) < mpf(10) ** -30 * (1 + abs(slope)), (truth.sample, place)


def run_kernel(kernel: KernelFunction, sample: Sample) -> tuple[Any, Any]:
    """A batch of one sample, or the whole batch that the sample is."""
    batch = not names_batch(kernel.loss)
    given = {}
    for declaration in kernel.loss.declarations:
        array = sample.array(declaration)
        leading = batch and declaration.role in PER_SAMPLE
        given[declaration.name] = array[None] if leading else array if array.shape else array[()]
    return kernel(**given)


def _ulp(got: Any, exact: list[Any]) -> float:
    """The largest error; a difference in mpmath below 1e-36 may be a zero."""
    largest = max(float(max(map(abs, exact))), 1e-20)
    pairs = zip(np.ravel(got), exact, strict=True)
    return max(float(abs(mpf(float(mine)) - true) / np.spacing(largest)) for mine, true in pairs)
