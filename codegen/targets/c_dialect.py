"""How C99 writes numbers and functions, for one of its two real types."""

from __future__ import annotations

import re
from functools import lru_cache

import sympy
from sympy import exp, log

from codegen.kernel import (
    corrected,
    exp_difference,
    leading,
    product_lost,
    sum_lost,
    weighted,
)
from codegen.targets.c_functions import FUNCTIONS
from codegen.targets.scalar_expressions import Dialect
from derive import functions

SUFFIX = {"float": "f32", "double": "f64"}
OWN: dict[type, str] = {
    exp: "exp",
    log: "log",
    sympy.sinh: "sinh",
    sympy.cosh: "cosh",
    sympy.tanh: "tanh",
    functions.sigmoid: "sigmoid",
    functions.softplus: "softplus",
    functions.log1p: "log1p",
    functions.expm1: "expm1",
    exp_difference: "exp_difference_nonpositive",
}
LIBRARY: dict[type, str] = {
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.tan: "tan",
    sympy.asin: "asin",
    sympy.acos: "acos",
    sympy.atan: "atan",
    sympy.erf: "erf",
    functions.erfc: "erfc",
    functions.lgamma: "lgamma",
    functions.absolute: "fabs",
}
SMALL: dict[type, str] = {
    functions.relu: "positive_part",
    functions.step: "step",
    functions.signum: "sign",
    functions.largest: "largest",
    functions.smallest: "smallest",
    functions.digamma: "digamma",
    functions.trigamma: "trigamma",
    weighted: "weighted",
    corrected: "corrected",
    leading: "leading",
    product_lost: "product_lost",
    sum_lost: "sum_lost",
}
ARGUMENTS: dict[type, int] = {
    **dict.fromkeys((exp_difference, weighted, functions.largest, functions.smallest), 2),
    **dict.fromkeys((corrected, leading), 2),
    **dict.fromkeys((product_lost, sum_lost), 3),
}


@lru_cache(maxsize=4)
def dialect(real: str, along: bool = False) -> Dialect:
    """The dialect of expressions in `real`; `along` a row, one number is taken off them all."""
    suffix, f = SUFFIX[real], "f" if real == "float" else ""
    own = OWN | ({exp_difference: "exp_difference_fixed"} if along else {})
    calls = {kind: f"pm_{name}_{suffix}" for kind, name in {**own, **SMALL}.items()}
    calls |= {kind: f"{name}{f}" for kind, name in LIBRARY.items()}
    table = {kind: f"{name}({{}})" for kind, name in calls.items()}
    for kind, count in ARGUMENTS.items():
        table[kind] = f"{calls[kind]}({', '.join(['{}'] * count)})"
    return Dialect(
        name="c",
        functions=table,
        choice="({test} ? {then} : {other})",
        relations={"true": "1", "not": "!", "and": "&&", "or": "||"},
        power=f"pm_pow_{suffix}({{}}, {{}})",
        whole_power=f"pow{f}({{}}, {{}})",
        number=lambda value: literal(value, f),
        size=f"({real}){{}}",
        infinity=f"({real})INFINITY",
        sqrt=f"sqrt{f}({{}})",
    )


def literal(value: float, f: str) -> str:
    """A C literal of the type that ends in `f`."""
    text = repr(value)
    return (text if any(mark in text for mark in ".e") else f"{text}.0") + f


def helpers(text: str, real: str) -> list[str]:
    """The helpers of this type that a text calls."""
    suffix = SUFFIX[real]
    found = set(re.findall(rf"\bpm_(\w+?)_{suffix}\(", text))
    return [name for name in FUNCTIONS if name in found]
