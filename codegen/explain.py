"""How a loss was made stable, as derivations whose every step is checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from codegen.stabilize import UNCHECKED, Gradient, stabilize
from derive.derivation import Derivation
from derive.loss import Loss
from derive.record import Checker

NAMED = ("without", "with", "compensated")  # what tells one candidate from another


def stabilizations(loss: Loss, gradients: tuple[Gradient, ...] = ()) -> Iterator[Derivation]:
    """The rewriting of each definition, and of each gradient, that changes anything."""
    yield from checked(stabilize(loss, gradients).derivations)


def checked(derivations: tuple[Derivation, ...]) -> Iterator[Derivation]:
    """The derivations with steps, each step checked as those of the engine are, now or before."""
    for derivation in derivations:
        checker = Checker(derivation.loss)
        steps = tuple(
            replace(step, check=checker.method(step.before, step.after, step.hypotheses))
            if step.check == UNCHECKED
            else step
            for step in derivation.steps
        )
        if steps:
            yield replace(derivation, steps=steps)


def choice_lines(row: dict[str, Any] | None) -> list[str]:
    """The candidates for the form of a loss, their errors and costs, and which won and why."""
    if row is None:
        return ["Form: every rule; nothing was measured (--measure does)"]
    lines = ["Form, of the candidates that were measured (errors in ULP, excess over the best)"]
    for candidate in row["candidates"]:
        won = all(candidate.get(key) == row["chosen"].get(key) for key in NAMED)
        worst = f"error at most {candidate['worst']} ({candidate['in']})"
        figures = f"cost {candidate['cost']:5}, {worst}, excess {candidate['excess']}"
        lines.append(f"  {'*' if won else ' '} {_described(candidate)}: {figures}")
    return [*lines, f"  * {row['because']}"]


def _described(candidate: dict[str, Any]) -> str:
    changes = [f"without '{name}'" for name in candidate["without"]]
    changes += [f"with '{name}'" for name in candidate["with"]]
    changes += ["rounding errors carried"] if candidate.get("compensated") else []
    return ", ".join(changes) or "every rule"
