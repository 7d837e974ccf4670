"""Points: sizes of axes and exact values, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from derive.balls import Number


@dataclass(frozen=True)
class Point:
    """Sizes of the axes, and an exact value for every entry of every declared tensor."""

    sizes: Mapping[str, int]
    values: Mapping[str, Mapping[tuple[int, ...], Fraction]]
    overrides: Mapping[tuple[str, tuple[int, ...]], Number] = field(default_factory=dict)


def nested(given: Mapping[tuple[int, ...], Any]) -> Any:
    """Values by place as nested lists; a scalar as itself."""
    if set(given) == {()}:
        return given[()]
    heads = sorted({place[0] for place in given})
    return [nested({p[1:]: v for p, v in given.items() if p[0] == head}) for head in heads]


def show(value: Any) -> str:
    """Exact numbers as they are written in the language."""
    if isinstance(value, list):
        return "[" + ", ".join(map(show, value)) + "]"
    return str(value)
