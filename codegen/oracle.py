"""What a loss and its gradient are, in ball arithmetic, and what one unit in the last place is.

The truth is the automatic derivative of the loss itself, with precision raised until its ball is
small against the rounding to the dtype.  No rule of the engine has a part in it; the derived
gradient only says how large the terms are that an entry is the sum of.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import product as cartesian
from typing import Any

import numpy as np
from flint import arb, ctx
from sympy import Expr

from codegen.builder import gradients
from codegen.stabilize import Unchecked, stabilize
from codegen.terms import Form, Place, last_place
from derive.balls import Undetermined
from derive.batch import PER_SAMPLE, names_batch
from derive.errors import PminusyError
from derive.evaluate import Evaluator
from derive.index import Entry, Partial
from derive.loss import Loss
from derive.point import Point

PRECISIONS = (160, 640, 2560, 10240)
FORMATS = {"float32": (24, -149, 128), "float64": (53, -1074, 1024)}
ROUNDED = {"float32": 2**10, "float64": 2**20}  # rounding loses no more of the derived terms
UNDERFLOW = 4  # below the normal range, products of numbers there lose this many bits more
FAR = (Fraction(2**14), Fraction(2**15))
Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """One entry of the true gradient: its ball, the unit that errors are counted in, and the
    size of the terms of the gradient as derived, which tells rounding from a wrong formula."""

    exact: arb
    unit: arb
    terms: arb

    def ulps(self, got: float, dtype: str) -> float:
        """The error in units; infinite where `got` is not finite and the truth is."""
        if abs(self.exact) >= arb(2) ** FORMATS[dtype][2]:
            return 0.0 if np.isinf(got) else float("inf")
        if not np.isfinite(got):
            return float("inf")
        with ctx.workprec(PRECISIONS[-1]):
            return float((abs(arb(got) - self.exact) / self.unit).mid())

    def strict(self, dtype: str) -> Known:
        """The same counted in units in the last place of the exact number, whatever it sums."""
        bits, lowest, _ = FORMATS[dtype]
        return replace(self, unit=last_place(self.exact, bits, lowest))

    def is_wrong(self, got: float, dtype: str) -> bool:
        """Whether neither the rounding of the derived formula nor underflow explains the error."""
        error = self.ulps(got, dtype)
        if error <= 1 or error == float("inf"):
            return error > 1
        bits, lowest, _ = FORMATS[dtype]
        allowed = (
            self.terms.mid() / ROUNDED[dtype] + 8 * self.unit.mid() + arb(2) ** (lowest + bits)
        )
        with ctx.workprec(PRECISIONS[-1]):
            return bool(abs(arb(got) - self.exact).mid() > allowed)


@dataclass(frozen=True)
class Oracle:
    """True gradients of a loss by one of its inputs or params, at arrays of floats.

    The gradient by an input has a row for each sample; by a param it is the sum over the batch,
    or with reduction="mean" both are divided by N, or by the sum of the weights.
    """

    loss: Loss
    wrt: str
    reduction: str = "none"
    most: int | None = None  # entries of a row that are asked for, evenly spaced; None: all
    counts_roundings: bool = True  # without it the unit is that of the terms, nothing more

    @cached_property
    def whole(self) -> bool:
        """Whether the loss is written over the whole batch: no leading axis is added."""
        return names_batch(self.loss)

    def leads(self, name: str) -> bool:
        """Whether arrays of this name have a leading axis for the batch."""
        return not self.whole and self.loss.declared[name].role in PER_SAMPLE

    def entries(self, values: Arrays, sizes: Mapping[str, int], dtype: str) -> dict[Place, Known]:
        """Every entry that is decided; on a kink, or where the value is not finite, there is none.

        `values` has an array for every declared name; `sizes` counts N for the batch.
        """
        if self.whole:
            return self._limit(values, sizes, dtype)
        count, rows = sizes["N"], []
        for n in range(count):
            row = {k: v[n] if self.leads(k) else v for k, v in values.items()}
            rows.append(self._limit(row, sizes, dtype))
        share = self._divisor(values, sizes) if self.reduction == "mean" else arb(1)
        if self.leads(self.wrt):
            return {
                (n, *place): _scaled([known], share)
                for n, row in enumerate(rows)
                for place, known in row.items()
            }
        common = set.intersection(*map(set, rows)) if rows else set()
        return {place: _scaled([row[place] for row in rows], share) for place in sorted(common)}

    def _divisor(self, values: Arrays, sizes: Mapping[str, int]) -> arb:
        """What the mean divides by."""
        weight, count = self.loss.weight, sizes["N"]
        if weight is None:
            return arb(count)
        rows = ({k: v[n] if self.leads(k) else v for k, v in values.items()} for n in range(count))
        with ctx.workprec(PRECISIONS[0]):
            points = (_point(row, sizes, FAR[0]) for row in rows)
            return sum((Evaluator(self.loss, point)(weight, {}) for point in points), arb(0))

    def _limit(self, values: Arrays, sizes: Mapping[str, int], dtype: str) -> dict[Place, Known]:
        """At infinities, what the values at two far points agree on."""
        if all(np.all(np.isfinite(v)) for v in values.values()):
            return self._decided(_point(values, sizes, FAR[0]), dtype)
        near, far = (self._decided(_point(values, sizes, end), dtype) for end in FAR)
        return {
            place: known
            for place, known in far.items()
            if place in near and abs(near[place].exact - known.exact) <= known.unit
        }

    def _decided(self, point: Point, dtype: str) -> dict[Place, Known]:
        entry = self.loss.free_entry(self.wrt)
        ranges = [range(point.sizes[axis.name]) for axis in entry.tensor.axes]
        waiting, found = self._spaced(list(cartesian(*ranges))), {}
        bits, lowest, _ = FORMATS[dtype]
        with ctx.workprec(PRECISIONS[0]):
            units = self._units(point, waiting, dtype)
        for precision in PRECISIONS:
            with ctx.workprec(precision):
                for place, exact in self._at(point, waiting, entry):
                    stable, moved, derived = units[place]
                    scale = _larger(abs(exact), stable)
                    unit = last_place(scale, bits, lowest + UNDERFLOW) + moved.mid()
                    if exact.rad() * 1024 <= unit.mid():
                        found[place] = Known(exact, unit, _larger(abs(exact), derived))
            waiting = [place for place in waiting if place not in found]
        return dict(sorted(found.items()))

    def _spaced(self, places: list[Place]) -> list[Place]:
        if self.most is None or len(places) <= self.most:
            return places
        return [places[k * len(places) // self.most] for k in range(self.most)]

    def _at(self, point: Point, places: list[Place], entry: Entry) -> Iterator[tuple[Place, arb]]:
        truth = Evaluator(self.loss, point)
        for place in places:
            env: dict[Expr, int] = dict(zip(entry.indices, place, strict=True))
            try:
                exact = truth(Partial(self.loss.value.entry, entry), env)
            except (Undetermined, ZeroDivisionError, ValueError):
                continue
            if exact.is_finite():
                yield place, exact

    def _units(self, point: Point, places: list[Place], dtype: str) -> dict[Place, tuple[arb, ...]]:
        """For each entry the terms of its stable form, what rounded stages move, its terms."""
        stable, derived = _forms(self.loss, self.wrt)
        at = Evaluator(self.loss, point)
        bits, lowest, _ = FORMATS[dtype]
        if not self.counts_roundings:
            sizes = derived.sizes(at, places)
            return {place: (size, arb(0), size) for place, size in zip(places, sizes, strict=True)}
        columns = (
            map(
                _smaller,
                stable.sizes(Evaluator(stable.loss, point), places),
                derived.sizes(at, places),
            ),
            map(
                operator.add,
                derived.moved(at, places, bits, lowest),
                derived.softened(at, places, bits, lowest),
            ),
            derived.sizes(at, places, through=True),
        )
        return dict(zip(places, zip(*columns, strict=True), strict=True))


@lru_cache(maxsize=64)
def _forms(loss: Loss, wrt: str) -> tuple[Form, Form]:
    """The gradient in stable form and as derived: only their terms count."""
    found = gradients(loss, (wrt,))
    derived = Form(loss, found[0].wrt, found[0].result)
    try:
        stable = stabilize(loss, found, kind=Unchecked)
    except PminusyError:  # no stable form is known: its terms are those of the derived one
        return derived, derived
    return Form(stable.loss, found[0].wrt, stable.gradients[0].result), derived


@dataclass(frozen=True)
class Values:
    """True values of a loss at arrays of floats, one for each sample.

    A unit covers what rounding the given targets, and sums of products of inputs, moves.

    A loss that can be negative has roots: `counts_terms` makes their unit that of its terms.
    """

    loss: Loss
    counts_terms: bool = False

    def rows(self, values: Arrays, sizes: Mapping[str, int], dtype: str) -> list[Known | None]:
        """For each sample its value; None where it is not decided, or not finite."""
        if names_batch(self.loss):
            return [self._decided(_point(values, sizes, FAR[0]), dtype)]
        leading = {d.name for d in self.loss.declarations if d.role in PER_SAMPLE}
        found = []
        for n in range(sizes["N"]):
            row = {k: v[n] if k in leading else v for k, v in values.items()}
            found.append(self._decided(_point(row, sizes, FAR[0]), dtype))
        return found

    def _decided(self, point: Point, dtype: str) -> Known | None:
        bits, lowest, _ = FORMATS[dtype]
        value = self.loss.value
        form, terms = Form(self.loss, value.entry, value.body), arb(0)
        with ctx.workprec(PRECISIONS[0]):
            at = Evaluator(self.loss, point)
            (staged,) = form.moved(at, [()], bits, lowest)
            (softened,) = form.softened(at, [()], bits, lowest)
            if self.counts_terms:
                (terms,) = form.sizes(at, [()])
        for precision in PRECISIONS:
            with ctx.workprec(precision):
                try:
                    exact = Evaluator(self.loss, point).at(value.name, ())
                except (Undetermined, ZeroDivisionError, ValueError):
                    continue
                moved = staged.mid() + softened.mid()
                unit = last_place(_larger(abs(exact), terms), bits, lowest) + moved
                if exact.is_finite() and exact.rad() * 1024 <= unit.mid():
                    return Known(exact, unit.mid(), terms)
        return None


def _larger(one: arb, two: arb) -> arb:
    return one if one.mid() >= two.mid() else two


def _smaller(one: arb, two: arb) -> arb:
    return one if one.mid() <= two.mid() else two


def _scaled(parts: list[Known], share: arb) -> Known:
    """The sum of entries over a batch, divided by `share`."""
    with ctx.workprec(PRECISIONS[-1]):
        exact, unit, terms = (
            sum((getattr(part, name) for part in parts), arb(0)) / share
            for name in ("exact", "unit", "terms")
        )
    return Known(exact, abs(unit.mid()), terms)


def _point(values: Arrays, sizes: Mapping[str, int], far: Fraction) -> Point:
    def number(value: float) -> Fraction:
        if np.isinf(value):
            return far if value > 0 else -far
        return Fraction(value)

    tables = {
        name: {place: number(float(array[place])) for place in np.ndindex(array.shape)}
        for name, array in ((name, np.asarray(value)) for name, value in values.items())
    }
    return Point(dict(sizes), tables)
