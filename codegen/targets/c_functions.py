"""Elementary functions in C99 that compilers vectorise: no calls, no tables, no branches.

Each is `static inline REAL pm_NAME_SUFFIX(...)` with the suffix f32 or f64; one template serves
both.  Valid as C99 and C++11; wants <math.h>, <stdint.h>, <string.h>, and never -ffast-math.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from codegen.emit import render
from codegen.targets.c_polynomials import CONSTANTS, POLYNOMIALS

HEADERS = ("math.h", "stdint.h", "string.h")


@dataclass(frozen=True)
class Function:
    """A helper: how many arguments it takes, which helpers it calls, its errors.

    `ulp` is a little above the largest error that was measured (float: over all arguments), and
    the bound that the tests hold, for float and double; None for a part of other helpers.
    """

    arguments: int
    needs: tuple[str, ...] = ()
    ulp: tuple[float, float] | None = None


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "positive_part": Function(1, (), (0.0, 0.0)),
        "step": Function(1, (), (0.0, 0.0)),
        "sign": Function(1, (), (0.0, 0.0)),
        "largest": Function(2, (), (0.0, 0.0)),
        "smallest": Function(2, (), (0.0, 0.0)),
        "weighted": Function(2, (), (0.5, 0.5)),
        "gemm": Function(13),
        "turn": Function(4),
        "bits": Function(1),
        "exp_parts": Function(4, ("bits",)),
        "exp_core": Function(4, ("exp_parts",)),
        "exp_both": Function(2, ("exp_core",)),
        "exp": Function(1, ("exp_both",), (0.9, 0.95)),
        "exp_nonpositive": Function(1, ("exp_core",), (0.9, 0.95)),
        "difference_tail": Function(3),
        "exp_difference": Function(2, ("exp_both", "difference_tail"), (0.95, 1.0)),
        "exp_difference_nonpositive": Function(2, ("exp_core",), (0.95, 1.0)),
        "exp_difference_fixed": Function(2, ("bits",), (1.25, 1.25)),
        "expm1_core": Function(2, ("bits",)),
        "expm1": Function(1, ("expm1_core",), (1.25, 1.3)),
        "sinh": Function(1, ("expm1_core",), (1.5, 1.6)),
        "cosh": Function(1, ("exp_core",), (1.4, 1.45)),
        "tanh": Function(1, ("expm1_core",), (1.3, 1.4)),
        "sigmoid": Function(1, ("exp_parts",), (1.8, 1.8)),
        "log_split": Function(2, ("bits",)),
        "log_core": Function(3),
        "log_edges": Function(2),
        "log": Function(1, ("log_split", "log_core", "log_edges"), (0.9, 0.9)),
        "log1p": Function(1, ("log_split", "log_core", "log_edges"), (0.9, 0.9)),
        "softplus": Function(1, ("exp_nonpositive",), (2.0, 2.0)),
        "product_tail": Function(3, ("bits",)),
        "log_both": Function(2, ("log_split", "product_tail")),
        "product_lost": Function(3, ("product_tail",)),
        "sum_lost": Function(3),
        "leading": Function(2),
        "corrected": Function(2),
        "pow": Function(2, ("log_both", "log_edges", "exp_both"), (0.95, 1.1)),
    }
)


@dataclass(frozen=True)
class Format:
    """A binary floating-point format, and where exp and sinh become constant or infinite."""

    real: str
    suffix: str
    f: str
    width: int
    mantissa: int
    reach: float
    exp_range: tuple[float, float]
    expm1_range: tuple[float, float]

    @property
    def bias(self) -> int:
        """Of the exponent."""
        return int(2 ** (self.width - self.mantissa - 2)) - 1

    def literal(self, number: float) -> str:
        """A decimal that C reads as this number, which the format holds."""
        text = f"{number:.9g}" if self.real == "float" else repr(number)
        return (text if any(mark in text for mark in ".e") else f"{text}.0") + self.f

    def bits(self, number: float) -> int:
        """The bits of a number of the format."""
        codes = ("<f", "<I") if self.real == "float" else ("<d", "<Q")
        return int(struct.unpack(codes[1], struct.pack(codes[0], number))[0])

    def hexadecimal(self, bits: int) -> str:
        return f"UINT{self.width}_C(0x{bits:0{self.width // 4}x})"


FORMATS = {
    "float": Format("float", "f32", "f", 32, 23, 256.0, (-104.0, 89.0), (-20.0, 89.5)),
    "double": Format("double", "f64", "", 64, 52, 2048.0, (-746.0, 710.0), (-40.0, 710.5)),
}


def source(names: Iterable[str], real: str) -> str:
    """The text of the named helpers and of those that they call, each after what it calls."""
    shape = FORMATS[real]
    context = {
        "real": real,
        "suffix": shape.suffix,
        "f": shape.f,
        "uint": f"uint{shape.width}_t",
        "c": values(shape, shape.literal, shape.hexadecimal),
    }
    return "\n".join(
        render(f"c_functions/{name}.c.j2", **context).lstrip("\n") for name in closure(names)
    )


def closure(names: Iterable[str]) -> tuple[str, ...]:
    """The helpers and those that they call, each once, in the order of `FUNCTIONS`."""
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += FUNCTIONS[name].needs
    return tuple(name for name in FUNCTIONS if name in wanted)


def values(
    shape: Format, literal: Callable[[float], str], hexadecimal: Callable[[int], str]
) -> dict[str, str | int | tuple[str, ...]]:
    """What the templates call c: literals of the format, as a language writes them."""
    real, mantissa, bias = shape.real, shape.mantissa, shape.bias
    # Adding it rounds to an integer, and leaves the integer in the lowest bits.
    integer = 1.5 * 2.0**mantissa
    lift = mantissa + 2
    numbers = {
        **CONSTANTS[real],
        "exp_low": shape.exp_range[0],
        "exp_high": shape.exp_range[1],
        "expm1_low": shape.expm1_range[0],
        "expm1_high": shape.expm1_range[1],
        "shift_up": integer + bias + lift,
        "unshift_up": 2.0**-lift,
        "shift_down": integer + bias - lift,
        "unshift_down": 2.0**lift,
        "unshift_down_half": 2.0 ** (lift - 1),
        "shift_quarter": integer + bias - 2,
        "sqrt_2_less_1": 2 * CONSTANTS[real]["sqrt_half"] - 1,
        # From twice the least exponent of exp on, x - y is exact; below, the shift rounds to a
        # multiple of the unit of log_2_short or more.
        "reach": shape.reach,
        "reach_shift": 3.0 * shape.reach,
        "quarter": 0.25,
        "half": 0.5,
        "tiny": 2.0 ** -(mantissa + 3),
        "normal": 2.0 ** (1 - bias),
        "denormal_scale": 2.0**lift,
        "exponent_bias": 2.0**mantissa + bias,
        "denormal_bias": 2.0**mantissa + bias + lift,
        "exponent_limit": 1024.0,
        "tail_limit": 2.0**-10,
    }
    one, base = shape.bits(1.0), shape.bits(CONSTANTS[real]["sqrt_half"])
    every = 2**shape.width - 1
    words = {
        "split_offset": one - base,
        "split_base": base,
        "mantissa_mask": 2**mantissa - 1,
        "power_bits": shape.bits(2.0**mantissa),
        "head_mask": every - (2 ** (mantissa // 2 + 1) - 1),
    }
    return {
        "mantissa": mantissa,
        **{name: literal(number) for name, number in numbers.items()},
        **{name: hexadecimal(bits) for name, bits in words.items()},
        **{
            name: tuple(literal(number) for number in numbers)
            for name, numbers in POLYNOMIALS[real].items()
        },
    }
