"""What is worth saying of a gradient given as code beside its errors: none of it is a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.code_inputs import INFINITE, PLAIN, Case, axes_of, cases, handed
from codegen.code_process import Answer, UserFunction
from codegen.oracle import Oracle
from derive.batch import BATCH

if TYPE_CHECKING:
    from codegen.code_check import Judged


def notes(found: Sequence[Judged], oracle: Oracle) -> Iterator[str]:
    """Of the calls that were judged."""
    changed = sorted({name for judged in found for name in judged.changed})
    if changed:
        yield f"it changes its arguments: {', '.join(changed)}"
    for given, dtype in sorted({(j.case.dtype, j.dtype) for j in found if j.dtype}):
        if np.dtype(dtype).kind == "f" and np.dtype(dtype) < np.dtype(given):
            yield f"it returns {dtype} where it is given {given}"
    left_out = sum(judged.left_out for judged in found)
    if left_out:
        whole = left_out + sum(len(judged.errors) for judged in found)
        yield f"{left_out} of {whole} entries left out: on a kink, or too near a limit to decide"
    if any(j.case.regime == INFINITE and j.errors for j in found):
        yield "at infinities the truth is what two far points agree on; elsewhere it is rigorous"


def probes(oracle: Oracle, function: UserFunction, one_hot: bool) -> Iterator[str]:
    """Of a batch without samples, and of a NaN in one sample."""
    if oracle.whole or not oracle.leads(oracle.wrt):
        return
    plain = (case for case in cases(oracle, function.names, one_hot) if case.regime == PLAIN)
    case = next((case for case in plain if min(case.sizes.values()) > 1), None)
    if case is None:
        return
    said = _call(oracle, function, _without_samples(oracle, case), one_hot).failed
    if said:
        yield f"given a batch of 0 samples it {said}"
    before = _call(oracle, function, case, one_hot)
    after = _call(oracle, function, _with_nan(oracle, case), one_hot)
    if after.failed:
        yield f"where {oracle.wrt} has a NaN it {after.failed}"
    elif not before.failed:
        if not np.array_equal(before.array[1:], after.array[1:], equal_nan=True):
            yield f"a NaN in one sample of {oracle.wrt} changes the gradient of the others"
        if not np.isnan(after.array[0]).any():
            yield f"a NaN in {oracle.wrt} is hidden: the gradient of its sample has none"


def _call(oracle: Oracle, function: UserFunction, case: Case, one_hot: bool) -> Answer:
    shape = [case.sizes[axis] for axis in axes_of(oracle, oracle.wrt)]
    given = {name: handed(oracle, case, name, one_hot) for name in function.names}
    return function(given, shape)


def _without_samples(oracle: Oracle, case: Case) -> Case:
    leading = {d.name for d in oracle.loss.declarations if oracle.leads(d.name)}
    values = {name: v[:0] if name in leading else v for name, v in case.values.items()}
    return replace(case, sizes={**case.sizes, BATCH: 0}, values=values)


def _with_nan(oracle: Oracle, case: Case) -> Case:
    marked: Any = case.values[oracle.wrt].copy()
    marked[0] = np.nan
    return replace(case, values={**case.values, oracle.wrt: marked})
