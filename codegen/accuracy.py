"""Errors of kernels in units in the last place (ULP), by loss and regime, against balls.

One ULP is the distance of two floats at the exact value.  A gradient that is a difference, such
as p - y, has roots: there its error is also counted against the larger of the terms it sums,
max(|p|, |y|); a loss of rounded soft targets, against what their last places move it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from statistics import median
from typing import Any

import numpy as np

from codegen.builder import KernelFunction, build, default_wrt
from codegen.oracle import Known, Oracle, Values
from codegen.regimes import Sample, samples
from derive.loss import Loss

GOAL = 512.0  # of a fast form in fp64; a compensated one reaches 4
MOST_ENTRIES = 8
DTYPES = ("float64", "float32")
Errors = list[tuple[float, float]]  # in ULP, and in units of terms


@dataclass(frozen=True)
class Row:
    """The errors of one kernel in one regime: medians and maxima, and those of the terms."""

    loss: str
    target: str
    dtype: str
    regime: str
    value_median: float
    value_max: float
    value_of_terms: float
    slope_median: float
    slope_max: float
    slope_of_terms: float

    @property
    def passed(self) -> bool:
        return max(self.value_of_terms, self.slope_of_terms) <= GOAL

    def data(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


@dataclass(frozen=True)
class Stratum:
    """The points of one regime with what is true there, computed once for every target."""

    loss: Loss
    regime: str
    sample: Sample

    @property
    def arrays(self) -> Mapping[str, Any]:
        return self._ready

    @cached_property
    def _ready(self) -> dict[str, Any]:
        return self.sample.finished()

    @cached_property
    def values(self) -> list[Known | None]:
        return Values(self.loss).rows(self.arrays, self.sample.sizes, self.sample.dtype)

    @cached_property
    def slopes(self) -> dict[str, Mapping[tuple[int, ...], Known]]:
        return {
            name: Oracle(self.loss, name, most=MOST_ENTRIES).entries(
                self.arrays, self.sample.sizes, self.sample.dtype
            )
            for name in default_wrt(self.loss)
        }

    def row(self, kernel: KernelFunction) -> Row:
        """The errors of a kernel at these points."""
        dtype = self.sample.dtype
        got, slopes = kernel(**self.arrays)
        pairs = list(zip(self.values, np.atleast_1d(got), strict=True))
        values = [_error(known, mine, dtype) for known, mine in pairs if known is not None]
        errors = [
            _error(known, slopes[name][place], dtype)
            for name, table in self.slopes.items()
            for place, known in table.items()
        ]
        figures = [*_summary(values), *_summary(errors)]
        return Row(self.loss.name, kernel.target, dtype, self.regime, *figures)


def _error(known: Known, got: Any, dtype: str) -> tuple[float, float]:
    return known.strict(dtype).ulps(float(got), dtype), known.ulps(float(got), dtype)


def _summary(errors: Errors) -> tuple[float, float, float]:
    """Median and maximum in ULP, maximum in units of terms; 0 where nothing is decided."""
    if not errors:
        return 0.0, 0.0, 0.0
    strict = [one for one, _ in errors]
    return median(strict), max(strict), max(terms for _, terms in errors)


def measure(
    loss: Loss,
    targets: Sequence[str] = ("numpy",),
    dtypes: Sequence[str] = DTYPES,
    regimes: Sequence[str] = (),
) -> Iterator[Row]:
    """A row for each regime, dtype and target; `regimes` names the ones wanted, none means all."""
    kernels = {
        (target, dtype): build(loss, target, dtype=dtype) for target in targets for dtype in dtypes
    }
    for dtype in dtypes:
        for name, sample in samples(loss, dtype):
            if regimes and name not in regimes:
                continue
            stratum = Stratum(loss, name, sample)
            for target in targets:
                yield stratum.row(kernels[target, dtype])
