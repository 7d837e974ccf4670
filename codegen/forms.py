"""The choice of a loss's form by measuring.

A candidate leaves out one of the rules that had a say, adds an optional one, or carries rounding
errors; the last is not tried where it would cost too much to win.  Each is run in
rounded arithmetic that is the same on every machine, and held against balls regime by regime.
An error counts as the multiple of the best one of its regime, so that what no form can mend
decides nothing.  Of the candidates that cost at most 1.5 times the cheapest usable one, the most
accurate wins; within 1.5 times its errors the cheaper one does, but a tie is no reason to leave
out a rule: it may keep the digits of points that were not among the few.

  python -m codegen.forms            which losses have no row, or one that is out of date
  python -m codegen.forms --update   measure every loss of the library, and write the table
"""

from __future__ import annotations

import json
import math
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from codegen.accuracy import GOAL, Stratum
from codegen.builder import default_wrt, dense_target, prepared
from codegen.chosen import TABLE, digest, table
from codegen.commands import write_file
from codegen.compensate import compensated
from codegen.forms_points import strata
from codegen.kernel import Kernel
from codegen.lower import lower_loss
from codegen.rounded import Rounded, cost
from codegen.stabilize import (
    ALL,
    OPTIONAL,
    RULES,
    Gradient,
    Selection,
    Stable,
    Unchecked,
    stabilize,
)
from derive import library, load
from derive.errors import PminusyError
from derive.loss import Loss

ROOM = 1.5  # how much more than the cheapest a candidate may cost; how near a tie is
COUNTED = {"N": 10, "K": 10, "D": 10}


@dataclass(frozen=True)
class Candidate:
    """A selection of rules, what its kernel costs, and its errors by regime, in ULP of terms."""

    selection: Selection
    cost: int
    errors: Mapping[str, float]

    @property
    def worst(self) -> tuple[float, str]:
        """The largest error, and the regime that it is in."""
        regime = max(self.errors, key=lambda name: self.errors[name])
        return self.errors[regime], regime


@dataclass(frozen=True)
class Choice:
    """The candidates of a loss, each with the largest multiple of a best error, and the winner."""

    loss: Loss
    wrt: tuple[str, ...]
    candidates: tuple[Candidate, ...]

    def excess(self, candidate: Candidate) -> float:
        """How many times the best error of a regime its error is, at most."""
        return max(
            _ratio(error, min(other.errors[regime] for other in self.candidates))
            for regime, error in candidate.errors.items()
        )

    def usable(self, candidate: Candidate) -> bool:
        """Whether it keeps to the goal wherever another candidate does."""
        return all(
            error <= GOAL or all(other.errors[regime] > GOAL for other in self.candidates)
            for regime, error in candidate.errors.items()
        )

    @cached_property
    def _near(self) -> list[Candidate]:
        """The usable ones that cost little more than the cheapest of them."""
        usable = [c for c in self.candidates if self.usable(c)] or list(self.candidates)
        limit = ROOM * min(c.cost for c in usable)
        return [c for c in usable if c.cost <= limit]

    @cached_property
    def winner(self) -> Candidate:
        near, best = self._near, min(map(self.excess, self._near))
        tied = [c for c in near if self.excess(c) <= ROOM * best]
        whole = [c for c in tied if not c.selection.without]
        return min(whole or tied, key=_simplest)

    @property
    def because(self) -> str:
        """Why the winner won, in a line."""
        others = [c for c in self._near if c is not self.winner]
        if not others:
            return "the only usable candidate within the cost"
        least = min(map(self.excess, others))
        if self.excess(self.winner) * ROOM < least:
            return f"the most accurate of {len(self._near)} usable ones within the cost"
        return f"as accurate as any of {len(self._near)} usable ones, and nothing cheaper is"

    def data(self) -> dict[str, Any]:
        """The row of the table."""
        return {
            "loss": self.loss.name,
            "by": list(self.wrt),
            "chosen": _named(self.winner.selection),
            "because": self.because,
            "candidates": [
                {
                    **_named(c.selection),
                    "cost": c.cost,
                    "worst": _figure(c.worst[0]),
                    "in": c.worst[1],
                    "excess": _figure(self.excess(c)),
                }
                for c in self.candidates
            ],
        }


def _ratio(error: float, best: float) -> float:
    """Errors below 1 count as 1; what no candidate keeps within the goal is the same for all."""
    if best > GOAL:
        return 1.0
    return max(error, 1.0) / max(best, 1.0)


def _simplest(candidate: Candidate) -> tuple[int, int]:
    selection = candidate.selection
    return candidate.cost, len(selection.without) + len(selection.added)


def _named(selection: Selection) -> dict[str, Any]:
    named: dict[str, Any] = {"without": list(selection.without), "with": list(selection.added)}
    return named | ({"compensated": True} if selection.compensated else {})


def _figure(value: float) -> float | str:
    return round(value, 2) if math.isfinite(value) else "infinite"


def choose(loss: Loss, wrt: Sequence[str] | None = None, labels: str = "dense") -> Choice:
    """Measure every candidate of a loss and its gradients."""
    names = default_wrt(loss) if wrt is None else tuple(dict.fromkeys(wrt))
    loss, found, _ = prepared(loss, names, labels)
    points = list(strata(loss, names))
    kernels = _kernels(loss, found)
    return Choice(
        loss, names, tuple(_measured(selection, kernel, points) for selection, kernel in kernels)
    )


def _kernels(loss: Loss, found: tuple[Gradient, ...]) -> Iterator[tuple[Selection, Kernel]]:
    """Each candidate with its kernel; those that come out alike only once."""
    stable = stabilize(loss, found, kind=Unchecked)
    fired = {step.name for d in stable.derivations for step in d.steps}
    tried = [ALL, ALL.carrying(True)]
    tried += [Selection((rule.name,)) for rule in RULES if rule.name in fired]
    tried += [Selection((), (rule.name,)) for rule in OPTIONAL]
    if len(OPTIONAL) > 1:
        tried.append(Selection((), tuple(rule.name for rule in OPTIONAL)))
    seen: list[Stable] = []
    for selection in tried:
        try:
            stable = stabilize(loss, found, selection, Unchecked)
            kernel = lower_loss(stable.loss, [(g.wrt, g.result) for g in stable.gradients])
        except PminusyError:  # what is left has no end, or no kernel
            continue
        if selection.compensated:
            plain, kernel = kernel, compensated(kernel)
            if kernel != plain and cost(kernel, COUNTED) <= ROOM * cost(plain, COUNTED):
                yield selection, kernel
            continue
        alike = any(
            other.loss.definitions == stable.loss.definitions
            and other.gradients == stable.gradients
            for other in seen
        )
        if not alike:
            seen.append(stable)
            yield selection, kernel


def _measured(selection: Selection, kernel: Kernel, strata: Sequence[Stratum]) -> Candidate:
    errors = {}
    for stratum in strata:
        row = stratum.row(Rounded(kernel), "rounded")
        errors[stratum.regime] = max(row.value_of_terms, row.slope_of_terms)
    return Candidate(selection, cost(kernel, COUNTED), errors)


def library_choices(names: Sequence[str] = ()) -> Iterator[tuple[Loss, str, str]]:
    """Each loss of the library with its labels, and the key of its row."""
    for name in names or library():
        loss = load(name)
        for labels in ["dense", "index"] if dense_target(loss) else ["dense"]:
            wrt = default_wrt(loss)
            yield loss, labels, digest(prepared(loss, wrt, labels)[0], wrt)


def updated(names: Sequence[str] = ()) -> dict[str, Any]:
    """The rows of these losses, measured anew."""
    rows = {}
    for loss, labels, key in library_choices(names):
        rows[key] = {"labels": labels, **choose(loss, labels=labels).data()}
        chosen = rows[key]["chosen"]
        print(f"{loss.name} ({labels}): {chosen}", file=sys.stderr, flush=True)
    return rows


def text_of(rows: Mapping[str, Any]) -> str:
    """The table as it is kept: rows in the order of their keys."""
    return json.dumps({"rows": dict(sorted(rows.items()))}, indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(prog="python -m codegen.forms", description=__doc__)
    parser.add_argument("losses", nargs="*")
    parser.add_argument("--update", action="store_true", help="measure, and write the table")
    options = parser.parse_args(arguments)
    if options.update:
        kept = table() if options.losses else {}
        write_file(TABLE, text_of({**kept, **updated(options.losses)}))
        return 0
    missing = [
        f"{loss.name} ({labels})"
        for loss, labels, key in library_choices(options.losses)
        if key not in table()
    ]
    print("\n".join(missing) or "every loss has a row")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
