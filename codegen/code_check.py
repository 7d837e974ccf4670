"""Judging a gradient that is given as code: right and accurate, inaccurate, or wrong.

The function is called at arrays of every regime in float64 and float32.  An error is counted in
units in the last place of the larger of the entry and the terms that its stable form sums, so
that a root of the gradient (p near y) asks for no more digits than the terms have; where the
loss computes a sum of products first, its rounding is allowed for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from codegen.builder import dense_target
from codegen.code_inputs import PLAIN, Case, axes_of, cases, handed
from codegen.code_notes import notes, probes
from codegen.code_process import Answer, TimeLimit, UserFunction
from codegen.code_shrink import simpler, smaller
from codegen.lower import cut
from codegen.oracle import Known, Oracle
from codegen.terms import Place
from derive.errors import PminusyError
from derive.labels import with_labels
from derive.loss import Loss

KINDS = ("accurate", "inaccurate", "wrong")
LABELS = ("declared", "index", "one-hot")
MOST_WORK = 12_000
FEW = 60
NO_DIGITS = {"float32": 2.0**20, "float64": 2.0**49}  # on plain inputs that is no rounding
MAX_ULP = 512.0


@dataclass(frozen=True)
class Judged:
    """What a call gave: its kind, the errors of the entries in ULP, and the worst of them."""

    case: Case
    kind: str
    errors: tuple[float, ...] = ()
    failed: str = ""
    place: Place = ()
    got: float = 0.0
    known: Known | None = None
    left_out: int = 0
    changed: tuple[str, ...] = ()
    dtype: str = ""

    @property
    def worst(self) -> float:
        return float("inf") if self.failed else max(self.errors, default=0.0)


@dataclass(frozen=True)
class Regime:
    """One line of the table: a regime in one dtype; `failed` says what came instead of numbers."""

    name: str
    dtype: str
    kind: str
    median: float
    worst: float
    failed: str
    left_out: int


@dataclass(frozen=True)
class Report:
    """What became of a function: "accurate", "inaccurate", "wrong" or "undecided", and why."""

    status: str
    reason: str
    regimes: tuple[Regime, ...] = ()
    example: Judged | None = None
    notes: tuple[str, ...] = ()


def check_code(
    loss: Loss,
    wrt: str,
    target: str,
    timeout: float = 20.0,
    max_ulp: float = MAX_ULP,
    reduction: str = "none",
    labels: str = "declared",
) -> Report:
    """Run a user's function at every regime, and judge what it returns.

    `target` is "module:function" or "file.py:function".  The function is called by keyword with
    the declared names (arrays; inputs and targets with a leading N, labels as integers) and
    returns the gradient by `wrt`, in its shape; a definition in `wrt` becomes an argument.
    With labels="index" a dense target in simplex comes as class labels, integers of shape (N,);
    with "one-hot" declared labels come as rows of one 1, and dense targets are such rows only.
    Raises PminusyError where there is no such function, or it does not take these names.
    """
    _check_limits(timeout, max_ulp)
    oracle = _oracle(labelled(loss, labels), wrt, reduction)
    one_hot = labels == "one-hot"
    loss = oracle.loss
    required = [d.name for d in loss.declarations if d.default is None]
    optional = [d.name for d in loss.declarations if d.default is not None]
    found: list[Judged] = []
    try:
        with UserFunction(target, timeout, required, optional) as function:
            judge = _judge(oracle, function, max_ulp, one_hot)
            for case in cases(oracle, function.names, one_hot):
                if case.regime != PLAIN and _wrong_when_plain(found):
                    break  # a formula that is wrong has no accuracy
                found.append(judge(case))
            beside = () if _wrong_when_plain(found) else probes(oracle, function, one_hot)
            said = (*notes(found, oracle), *beside)
            return _report(found, oracle, judge, max_ulp, said)
    except TimeLimit as error:
        if any(judged.kind != "accurate" for judged in found):
            return _report(found, oracle, None, max_ulp, tuple(notes(found, oracle)))
        return Report("undecided", str(error), _table(found))


def _check_limits(timeout: float, max_ulp: float) -> None:
    if not timeout > 0:
        raise PminusyError(f"--timeout: expected a time above 0 s, found {timeout:g}")
    if not max_ulp >= 1:
        raise PminusyError(f"--max-ulp: expected a limit of at least 1, found {max_ulp:g}")


def _oracle(loss: Loss, wrt: str, reduction: str) -> Oracle:
    """The truth about the loss, cut at `wrt` where that is a definition."""
    loss = cut(loss, [wrt])
    if loss.tensor(wrt).label is not None:
        raise PminusyError(f"{wrt} is a class label: nothing is derived by it")
    oracle = Oracle(loss, wrt, reduction)
    if oracle.whole and reduction != "none":
        raise PminusyError(f"{loss.name} is written over the whole batch: no reduction")
    return oracle


def labelled(loss: Loss, labels: str) -> Loss:
    """The loss with its target as `labels` says: "declared", "index" or "one-hot"."""
    if labels not in LABELS:
        raise PminusyError(f"labels: expected {', '.join(LABELS)}, found '{labels}'")
    dense = dense_target(loss)
    if labels == "index" and dense is not None:
        return with_labels(loss, dense)
    if labels != "declared" and dense is None and not _has_labels(loss):
        raise PminusyError(f"{loss.name} has neither a class label nor one dense target in simplex")
    return loss


def _has_labels(loss: Loss) -> bool:
    return any(d.tensor.label is not None for d in loss.declarations)


def _wrong_when_plain(found: list[Judged]) -> bool:
    return any(judged.kind == "wrong" for judged in found if judged.case.regime == PLAIN)


def _judge(
    oracle: Oracle, function: UserFunction, max_ulp: float, one_hot: bool
) -> Callable[[Case], Judged]:
    """A function that calls the user's at a case, and compares with the truth there."""

    def judge(case: Case) -> Judged:
        shape = [case.sizes[axis] for axis in axes_of(oracle, oracle.wrt)]
        given = {name: handed(oracle, case, name, one_hot) for name in function.names}
        answer = function(given, shape)
        if answer.failed:
            return Judged(case, "wrong", failed=answer.failed)
        return _compared(case, answer, oracle.entries(case.values, case.sizes, case.dtype), max_ulp)

    return judge


def _compared(case: Case, answer: Answer, truth: dict[Place, Known], max_ulp: float) -> Judged:
    errors: list[float] = []
    worst: tuple[int, float, Place] = (-1, 0.0, ())
    for place, known in truth.items():
        got = float(answer.array[place])
        error = known.ulps(got, case.dtype)
        lost = case.regime == PLAIN and error > NO_DIGITS[case.dtype]
        kind = 2 if lost or known.is_wrong(got, case.dtype) else int(error > max_ulp)
        errors.append(error)
        if (kind, error) > worst[:2]:
            worst = (kind, error, place)
    left_out = answer.array.size - len(truth)
    if not errors:
        return Judged(case, "accurate", (), "", left_out=left_out, changed=answer.changed)
    kind, _, place = worst
    return Judged(
        case,
        KINDS[kind],
        tuple(errors),
        place=place,
        got=float(answer.array[place]),
        known=truth[place],
        left_out=left_out,
        changed=answer.changed,
        dtype=answer.dtype,
    )


def _report(
    found: list[Judged],
    oracle: Oracle,
    judge: Callable[[Case], Judged] | None,
    max_ulp: float,
    said: tuple[str, ...],
) -> Report:
    table = _table(found)
    if not any(judged.errors or judged.failed for judged in found):
        reason = "the truth could not be evaluated at any of the points"
        return Report("undecided", reason, table, notes=said)
    kind = max((judged.kind for judged in found), key=KINDS.index)
    if kind == "accurate":
        worst = max(regime.worst for regime in table)
        return Report(kind, f"right, and at most {worst:.3g} ULP off", table, notes=said)
    first = next(judged for judged in found if judged.kind == kind)
    names = list(dict.fromkeys(line.name for line in table if line.kind == kind))
    plain = [line for line in table if line.name == PLAIN and line.kind == "wrong"]
    right = [line.dtype for line in table if line.name == PLAIN and line.kind == "accurate"]
    where = ", ".join(names)
    if kind == "inaccurate":
        reason = f"right, but more than {max_ulp:g} ULP off where: {where}"
    elif plain and plain[0].failed:
        reason = f"on plain inputs it {plain[0].failed}"
    elif plain and right:
        reason = f"on plain inputs it is right in {right[0]}, but wrong in {plain[0].dtype}"
    elif plain:
        reason = "not the gradient of this loss: it differs on plain inputs already"
    else:
        reason = f"right on plain inputs, but wrong where: {where}"
    return Report(kind, reason, table, _shrunk(first, oracle, judge) if judge else first, said)


def _table(found: list[Judged]) -> tuple[Regime, ...]:
    lines = []
    for name, dtype in dict.fromkeys((j.case.regime, j.case.dtype) for j in found):
        here = [j for j in found if (j.case.regime, j.case.dtype) == (name, dtype)]
        errors = [error for judged in here for error in judged.errors]
        failed = next((judged.failed for judged in here if judged.failed), "")
        kind = max((judged.kind for judged in here), key=KINDS.index)
        worst = max(judged.worst for judged in here)
        left_out = sum(judged.left_out for judged in here)
        if errors or failed:
            middle = median(errors) if errors else float("inf")
            lines.append(Regime(name, dtype, kind, middle, worst, failed, left_out))
    return tuple(lines)


def _shrunk(worst: Judged, oracle: Oracle, judge: Callable[[Case], Judged]) -> Judged:
    """The same kind of failure with fewer entries, then with shorter numbers."""
    work = 0
    for moves in (smaller, simpler):
        again = True
        while again and work < MOST_WORK:
            again = False
            for case in moves(oracle, worst.case):
                work += _work(oracle, case)
                try:
                    judged = judge(case)
                except TimeLimit:
                    return worst
                if _alike(judged, worst):
                    worst, again = judged, True
                    break
                if work >= MOST_WORK:
                    break
    return worst


def _work(oracle: Oracle, case: Case) -> int:
    """What it costs to know the truth: over a whole batch every entry depends on all others."""
    return int(case.values[oracle.wrt].size) ** 2 * case.sizes["N"] if oracle.whole else FEW


def _alike(judged: Judged, worst: Judged) -> bool:
    """Whether two failures are of one kind: words for words, numbers for numbers."""
    same = judged.kind == worst.kind and bool(judged.failed) == bool(worst.failed)
    return same and np.isfinite(judged.got) == np.isfinite(worst.got)


def digits(known: Known) -> str:
    """The true value, to seven digits."""
    return "0" if 0 in known.exact else str(known.exact.mid().str(7, radius=False))


def written(value: Any) -> Any:
    """An array as nested lists of the shortest numbers that are read back as the same floats."""
    if isinstance(value, np.ndarray) and value.ndim:
        return [written(part) for part in value]
    return str(value[()] if isinstance(value, np.ndarray) else value).removesuffix(".0")
