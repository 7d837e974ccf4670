"""What a boosting library is: how its objective is written, and which policy it prefers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codegen.kernel import Kernel
from codegen.objectives.policies import Chosen
from codegen.targets.target import shared_module
from derive.derivation import Derivation
from derive.loss import Loss


@dataclass(frozen=True)
class Library:
    """A boosting library.

    `preferred` are the Hessian policies of its own objectives, the first that a loss can have
    is the default; `matrix` says that it takes the whole Hessian where a row has several
    scores.  `package` is the distribution, `remedy` how to get it.
    """

    name: str
    title: str
    template: str
    module: str
    package: str
    remedy: str
    preferred: tuple[str, ...]
    matrix: bool = False

    @property
    def short(self) -> str:
        """The title, where a line is short."""
        return self.title.rpartition("'s ")[2]


@dataclass(frozen=True)
class ObjectiveFunction:
    """A generated objective: its files, and what they define.

    `objective` is what the library is given.  Called as `f(scores, y)` it gives the losses (N,),
    the gradient in the shape of the scores and the second derivatives that the policy gives:
    that shape, or (N, K, K) for CatBoost; `consts` come by name.
    """

    loss: Loss
    kernel: Kernel
    target: str
    policy: Chosen
    possible: tuple[str, ...]
    source: str
    files: Mapping[str, str]
    explain: tuple[Derivation, ...]

    @property
    def functions(self) -> Mapping[str, Any]:
        """What the generated module defines."""
        return shared_module(self.source)

    @property
    def objective(self) -> Any:
        """The objective with the loss file's consts; `functions["Objective"]` takes others."""
        return self.functions["objective"]

    def __call__(self, scores: Any, y: Any, **consts: float) -> tuple[Any, Any, Any]:
        made = self.functions["Objective"](**consts)
        losses, gradient, hessian = made.derivatives(np.asarray(scores), np.asarray(y))
        return losses, gradient, hessian
