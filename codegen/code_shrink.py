"""How arrays that show a failure are made smaller: fewer entries, then shorter numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from codegen.code_inputs import Case, axes_of
from codegen.oracle import Oracle
from derive.batch import BATCH
from derive.sampling import allows


def smaller(oracle: Oracle, case: Case) -> Iterator[Case]:
    """The cases with one entry less along an axis."""
    for axis in sorted(case.sizes, key=lambda axis: axis != BATCH):
        for k in reversed(range(case.sizes[axis] if case.sizes[axis] > 1 else 0)):
            found = _without(oracle, case, axis, k)
            if found is not None and not _all_infinite(found.values[oracle.wrt]):
                yield found


def _all_infinite(array: Any) -> bool:
    """Whether a row of several is infinite throughout: it has no softmax."""
    return array.ndim > 1 and bool(np.any(np.all(np.isinf(array), axis=-1)))


def _without(oracle: Oracle, case: Case, axis: str, k: int) -> Case | None:
    """The case without entry k along an axis; what a simplex loses goes to its first entry."""
    values = {}
    for name, array in case.values.items():
        declaration = oracle.loss.declared[name]
        label = declaration.tensor.label
        cut = array
        axes = axes_of(oracle, name)
        for place in reversed([i for i, own in enumerate(axes) if own == axis]):
            lost = np.take(cut, k, axis=place)
            cut = np.delete(cut, k, axis=place)
            if declaration.domain.kind == "simplex" and place == len(axes) - 1:
                cut[..., 0] += lost
        if label is not None and label.name == axis:
            if np.any(cut == k):
                return None
            cut = cut - (cut > k)
        values[name] = cut
    return replace(case, sizes={**case.sizes, axis: case.sizes[axis] - 1}, values=values)


def simpler(oracle: Oracle, case: Case) -> Iterator[Case]:
    """The cases with one number that is shorter to write, in its domain."""
    for name, array in case.values.items():
        declaration = oracle.loss.declared[name]
        if declaration.default is not None:
            continue
        if declaration.domain.kind == "simplex":
            yield from _hotter(case, name)
            continue
        for place in np.ndindex(array.shape):
            old = array[place]
            for new in _shorter(old):
                if np.isfinite(new) and allows(declaration, Fraction(float(new)), case.sizes):
                    changed = array.copy()
                    changed[place] = new
                    yield replace(case, values={**case.values, name: changed})


def _hotter(case: Case, name: str) -> Iterator[Case]:
    array = case.values[name]
    for row in np.ndindex(array.shape[:-1]):
        old = array[row]
        hot = np.zeros_like(old)
        hot[np.argmax(old)] = 1
        if not np.array_equal(hot, old):
            changed = array.copy()
            changed[row] = hot
            yield replace(case, values={**case.values, name: changed})


def _shorter(old: Any) -> list[Any]:
    """Numbers that are shorter to write than this one, the shortest first."""
    kind = type(old)
    if not np.isfinite(old):
        return []
    nearby = [kind(float(f"{float(old):.{digits}g}")) for digits in (1, 2, 3)]
    found = [kind(0), kind(1), kind(-1), *nearby]
    return [new for new in found if _length(new) < _length(old)]


def _length(number: Any) -> tuple[int, int]:
    text = str(number)
    digits = sum(c.isdigit() for c in text.removesuffix(".0"))
    return (0, 0) if number == 0 else (digits + ("e" in text) + ("." in text), text.startswith("-"))
