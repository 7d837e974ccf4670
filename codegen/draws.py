"""Random numbers that are the same on every machine and with every version of NumPy.

Only the bits of the generator, IEEE arithmetic and correctly rounded functions have a part.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from sympy import log

from codegen.rounding import rounded

Shape = int | tuple[int, ...]


class Draws:
    """Arrays of random numbers, with the names that NumPy's generator has for them."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def _filled(self, shape: Shape | None, one: Callable[[], float]) -> Any:
        sizes = (shape,) if isinstance(shape, int) else shape or ()
        count = int(np.prod(sizes, dtype=int))
        return np.array([one() for _ in range(count)]).reshape(sizes)

    def uniform(self, low: float, high: float, shape: Shape | None = None) -> Any:
        return self._filled(shape, lambda: low + (high - low) * self._random.random())

    def normal(self, size: Shape | None = None) -> Any:
        """Nearly normal: twelve uniform numbers."""
        return self._filled(size, lambda: sum(self._random.random() for _ in range(12)) - 6)

    def integers(self, low: int, high: int, shape: Shape | None = None) -> Any:
        return self._filled(shape, lambda: low + self._random.getrandbits(48) % (high - low))

    def gamma(self, shape: Shape | None = None) -> Any:
        """Of shape 2 and scale 1."""
        return self._filled(shape, lambda: self._exponential() + self._exponential())

    def shares(self, shape: tuple[int, ...], power: int = 1) -> Any:
        """Numbers of sum 1 along the last axis; a higher power makes them less even."""
        once = self._filled(shape, self._exponential)
        parts = once
        for _ in range(power - 1):
            parts = parts * once
        return parts / _summed(parts)

    def _exponential(self) -> float:
        return -rounded(log, 1 - self._random.random())


def _summed(parts: Any) -> Any:
    whole = parts[..., :1]
    for k in range(1, parts.shape[-1]):
        whole = whole + parts[..., k : k + 1]
    return whole
