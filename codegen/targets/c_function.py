"""What a C function looks like: the data that templates and the Python binding are made from."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """A parameter of a C function: `kind` is size, array, stride, label, number or result."""

    kind: str
    name: str
    text: str
    of: str = ""


@dataclass(frozen=True)
class Function:
    """A C function as the template sees it."""

    name: str
    suffix: str
    real: str
    parameters: tuple[Parameter, ...]
    scratch: tuple[tuple[str, str], ...]
    lines: tuple[str, ...]
    strip: tuple[str, ...] = ()
    few: str = ""

    @property
    def signature(self) -> str:
        return ", ".join(parameter.text for parameter in self.parameters)

    def call(self, size: str) -> str:
        """The parameters, with a constant for the size of the short axis."""
        return ", ".join(size if p.name == self.few else p.name for p in self.parameters)

    @property
    def unused(self) -> tuple[str, ...]:
        """The parameters that a strip does not need."""
        words = set(re.findall(r"\w+", "\n".join(self.strip)))
        return tuple(p.name for p in self.parameters if p.name not in words)

    @property
    def elements(self) -> str:
        """How many elements a call takes, as a double: it does not overflow."""
        return " * ".join(["1.0", *self.sizes])

    @property
    def sizes(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.parameters if p.kind == "size")
