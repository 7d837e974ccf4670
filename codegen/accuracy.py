"""Errors of kernels in units in the last place (ULP), by loss and regime, against balls.

One ULP is the distance of two floats at the exact value.  A gradient that is a difference, such
as p - y, has roots: there its error is also counted against the larger of the terms it sums,
max(|p|, |y|); a loss of rounded soft targets, against what their last places move it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from statistics import median
from typing import Any

import numpy as np

from codegen.builder import build, default_wrt, dense_target
from codegen.oracle import Known, Oracle, Values
from codegen.peers import Peer, installed
from codegen.points import Sample
from codegen.regimes import samples
from codegen.targets import TARGETS
from derive.batch import names_batch
from derive.functions import largest, relu
from derive.index import walk
from derive.labels import with_labels
from derive.loss import Loss

GOAL = 512.0  # of a fast form in fp64
COMPENSATED = 4.0  # of one that carries its rounding errors
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
    def worst(self) -> float:
        """The larger error of the two, in units of terms."""
        return max(self.value_of_terms, self.slope_of_terms)

    @property
    def passed(self) -> bool:
        return self.worst <= GOAL

    def data(self, goal: float = GOAL) -> dict[str, Any]:
        return {**asdict(self), "passed": self.worst <= goal}


@dataclass(frozen=True)
class Stratum:
    """The points of one regime with what is true there, computed once for every target."""

    loss: Loss
    regime: str
    sample: Sample
    signed: bool = False
    wrt: tuple[str, ...] = ()  # none: every input and param

    @cached_property
    def arrays(self) -> Mapping[str, Any]:
        return self.sample.finished()

    @cached_property
    def values(self) -> list[Known | None]:
        if not all(np.all(np.isfinite(array)) for array in self.arrays.values()):
            return [None] * (1 if names_batch(self.loss) else self.sample.sizes["N"])
        return Values(self.loss, self.signed and not self._large).rows(
            self.arrays, self.sample.sizes, self.sample.dtype
        )

    @cached_property
    def slopes(self) -> dict[str, Mapping[tuple[int, ...], Known]]:
        return {
            name: Oracle(
                self.loss, name, most=MOST_ENTRIES, counts_roundings=not self._large
            ).entries(self.arrays, self.sample.sizes, self.sample.dtype)
            for name in self.wrt or default_wrt(self.loss)
        }

    @property
    def _large(self) -> bool:
        """Whether there are too many terms to look at each."""
        return max(self.sample.sizes.values()) > 100

    def row(self, kernel: Peer, name: str) -> Row:
        """The errors of a kernel, or of a peer, at these points."""
        dtype = self.sample.dtype
        with np.errstate(all="ignore"):
            got, slopes = kernel(**self.arrays)
        pairs = list(zip(self.values, np.atleast_1d(got), strict=True))
        values = [_error(known, mine, dtype) for known, mine in pairs if known is not None]
        errors = [
            _error(known, slopes[wrt][place], dtype)
            for wrt, table in self.slopes.items()
            if wrt in slopes
            for place, known in table.items()
        ]
        figures = [*_summary(values), *_summary(errors)]
        return Row(self.loss.name, name, dtype, self.regime, *figures)


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
    peers: bool = False,
    accumulate: str = "",
    compensate: bool | None = None,
) -> Iterator[Row]:
    """A row for each regime, dtype and target; `regimes` names the ones wanted, none means all.

    `accumulate`, for the narrower dtypes, and `compensate` are those of `codegen.build`.
    With `peers` also what other libraries give, where they are installed and have the loss.
    """
    for given, labels in variants(loss):
        others: dict[str, Peer] = installed(loss.name) if peers and labels == "dense" else {}
        for dtype in dtypes:
            able = [target for target in targets if dtype in TARGETS[target].dtypes]
            wide = accumulate if dtype != accumulate else ""
            options: dict[str, Any] = {"dtype": dtype, "labels": labels, "accumulate": wide}
            ours = {t: build(loss, t, **options, compensate=compensate) for t in able}
            yield from rows(given, {**ours, **others}, dtype, regimes)


def variants(loss: Loss) -> Iterator[tuple[Loss, str]]:
    """The loss as it stands, and where it has a dense target also with class labels for it."""
    yield loss, "dense"
    name = dense_target(loss)
    if name is not None:
        yield replace(with_labels(loss, name), name=f"{loss.name} (labels)"), "index"


def rows(
    loss: Loss, kernels: Mapping[str, Peer], dtype: str, regimes: Sequence[str] = ()
) -> Iterator[Row]:
    """A row for each regime and kernel, or peer, by the name that it is to have."""
    strata = [
        Stratum(loss, name, sample)
        for name, sample in samples(loss, dtype)
        if not regimes or name in regimes
    ]
    signed = is_difference(loss, strata)
    for stratum in strata:
        here = replace(stratum, signed=True) if signed else stratum
        for target, kernel in kernels.items():
            yield here.row(kernel, target)


def is_difference(loss: Loss, strata: Sequence[Stratum]) -> bool:
    """Whether a loss can be 0 between its terms: it is negative somewhere, or cut off at 0."""
    cut_off = any(isinstance(node, relu | largest) for node in walk(loss.value.body))
    return cut_off or any(v and v.exact < 0 for stratum in strata for v in stratum.values)
