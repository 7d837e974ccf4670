"""How a loss was made stable, as derivations whose every step is checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from codegen.stabilize import Gradient, stabilize
from derive.derivation import Derivation
from derive.loss import Loss
from derive.record import Checker


def stabilizations(loss: Loss, gradients: tuple[Gradient, ...] = ()) -> Iterator[Derivation]:
    """The rewriting of each definition, and of each gradient, that changes anything."""
    yield from checked(stabilize(loss, gradients).derivations)


def checked(derivations: tuple[Derivation, ...]) -> Iterator[Derivation]:
    """The derivations with steps, each step checked as those of the engine are."""
    for derivation in derivations:
        checker = Checker(derivation.loss)
        steps = tuple(
            replace(step, check=checker.method(step.before, step.after, step.hypotheses))
            for step in derivation.steps
        )
        if steps:
            yield replace(derivation, steps=steps)
