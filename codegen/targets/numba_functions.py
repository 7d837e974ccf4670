"""Elementary functions in Numba: the forms and the coefficients of the C helpers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from codegen.emit import render
from codegen.targets.c_functions import FORMATS, values

# Each helper after those that it calls.
HELPERS = (
    *("positive_part", "step", "sign", "largest", "smallest", "weighted"),
    *("exp", "exp_difference", "expm1", "sinh", "cosh", "tanh", "sigmoid"),
    *("log", "log1p", "softplus", "product_tail", "pow", "sum", "prod", "max", "min"),
    *("product_lost", "sum_lost", "leading", "corrected"),
)
NEEDS = {"pow": ("product_tail",), "product_lost": ("product_tail",)}


@dataclass(frozen=True)
class Words:
    """How the templates write the type and its plain numbers."""

    suffix: str
    real: str
    unsigned: str

    @property
    def wide(self) -> str:
        return "np.float64"

    def __getattr__(self, name: str) -> str:
        numbers = {"zero": 0.0, "one": 1.0, "two": 2.0, "four": 4.0}
        if name in numbers:
            return literal(numbers[name], self.suffix)
        raise AttributeError(name)

    @property
    def infinity(self) -> str:
        return f"{self.suffix}(np.inf)"

    @property
    def nan(self) -> str:
        return f"{self.suffix}(np.nan)"


def literal(value: float, suffix: str) -> str:
    """A number of the type: a plain one would make single precision double."""
    return f"f32({value!r})" if suffix == "f32" else repr(value)


def called(text: str, suffix: str) -> list[str]:
    """The helpers of this type that a text calls, and those that they call."""
    found = set(re.findall(rf"\b_(\w+?)_{suffix}\(", text)) & set(HELPERS)
    for name in sorted(found):
        found |= set(NEEDS.get(name, ()))
    return [name for name in HELPERS if name in found]


def source(names: Iterable[str], real: str) -> tuple[str, ...]:
    """The text of each of these helpers, without blank lines around it."""
    shape = FORMATS[real]
    suffix, unsigned = shape.suffix, f"np.uint{shape.width}"
    words = Words(suffix, f"np.float{shape.width}", unsigned)
    constants = values(shape, partial(literal, suffix=suffix), partial(_bits, unsigned=unsigned))
    return tuple(
        _plain(render("numba_functions.j2", names=[name], t=words, c=constants)) for name in names
    )


def _bits(word: int, unsigned: str) -> str:
    return f"{unsigned}({word:#x})"


def _plain(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.strip())
